#![allow(clippy::needless_range_loop, reason = "tables of pairs are walked by index")]

use birl_router::{Config, EndpointId, Router, Topology, TopologyConfig};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{alert, at, config, router};

/// Two regions of two zones, the second pair farther apart, and a third that nothing leads to.
fn topology() -> Value {
    json!({
        "zone": "eu-1a",
        "regions": [
            { "name": "eu", "zones": ["eu-1a", "eu-1b"] },
            { "name": "us", "zones": ["us-1a", "us-1b"], "distance": 5 },
            { "name": "ap" }
        ],
        "links": [
            { "from": "eu", "to": "us", "distance": 90 },
            { "from": "eu-1b", "to": "us-1a", "distance": 70 }
        ]
    })
}

fn compiled(json: Value) -> Topology {
    let config: TopologyConfig = serde_json::from_value(json).unwrap();
    Topology::compile(&config).unwrap()
}

#[test]
fn the_nearest_way_leads_over_zones_and_is_named() {
    let topology = compiled(topology());
    assert_eq!(topology.zone(), "eu-1a");
    assert_eq!(topology.zones().collect::<Vec<_>>(), ["eu-1a", "eu-1b", "us-1a", "us-1b", "ap"]);
    for (from, to, distance, path) in [
        ("eu-1a", "eu-1a", Some(0), vec!["eu-1a"]),
        ("eu-1a", "eu-1b", Some(1), vec!["eu-1a", "eu-1b"]),
        ("eu-1a", "us-1a", Some(71), vec!["eu-1a", "eu-1b", "us-1a"]),
        ("us-1b", "eu-1b", Some(75), vec!["us-1b", "us-1a", "eu-1b"]),
        ("eu-1a", "ap", None, vec![]),
        ("eu-1a", "nowhere", None, vec![]),
        ("eu-1a", "us", None, vec![]), // a region is no zone
    ] {
        assert_eq!(topology.distance(from, to), distance, "{from} to {to}");
        assert_eq!(topology.path(from, to), path, "{from} to {to}");
    }
}

#[test]
fn a_link_in_a_region_says_how_far_the_two_are_and_one_way_is_no_way_back() {
    let topology = compiled(json!({
        "zone": "a",
        "regions": [
            { "name": "r", "zones": ["a", "b", "c"], "distance": 10 },
            { "name": "s", "zones": ["d"] }
        ],
        "links": [
            { "from": "a", "to": "b", "distance": 15 },
            { "from": "c", "to": "a", "distance": 3, "one_way": true },
            { "from": "r", "to": "d", "distance": 0, "one_way": true }
        ]
    }));
    assert_eq!(topology.distance("a", "b"), Some(15), "though the region's default is nearer");
    assert_eq!(topology.distance("c", "a"), Some(3));
    assert_eq!(topology.distance("a", "c"), Some(10));
    assert_eq!(topology.distance("b", "d"), Some(0));
    assert_eq!(topology.distance("d", "b"), None);
}

#[test]
fn a_region_linked_to_two_is_passed_through_a_zone_of_it() {
    let topology = compiled(json!({
        "zone": "a1",
        "regions": [
            { "name": "a", "zones": ["a1", "a2"] },
            { "name": "b", "zones": ["b1", "b2"] },
            { "name": "c", "zones": ["c1"] }
        ],
        "links": [
            { "from": "a", "to": "b", "distance": 10 },
            { "from": "b", "to": "c", "distance": 20 }
        ]
    }));
    assert_eq!(topology.distance("a2", "c1"), Some(30));
    let path = topology.path("a2", "c1");
    assert_eq!(path.len(), 3);
    assert!(path[1] == "b1" || path[1] == "b2", "{path:?}");
}

/// One receiver, with an endpoint for each `(name, place, own distance)`.
fn pool(endpoints: &[(&str, Value, u32)]) -> Value {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|(name, place, distance)| {
            let mut endpoint = json!({ "name": name, "distance": distance, "host": {} });
            let place = place.as_object().unwrap();
            endpoint.as_object_mut().unwrap().extend(place.clone());
            endpoint
        })
        .collect();
    json!({
        "route": { "receiver": "oncall" },
        "receivers": [{ "name": "oncall", "endpoints": endpoints }],
        "topology": topology()
    })
}

#[test]
fn the_endpoint_in_the_nearest_zone_is_used_and_outward_when_it_is_down() {
    let mut r = router(pool(&[
        ("ap", json!({ "zone": "ap" }), 0),
        ("us", json!({ "zone": "us-1a" }), 4),
        ("us-region", json!({ "region": "us" }), 3), // as far as its nearest zone, us-1a
        ("eu", json!({ "zone": "eu-1b" }), 2),
        ("here", json!({}), 9),
    ]));
    let mut ways = Vec::new();
    for name in ["A", "B", "C", "D", "E"] {
        let n = r.route(alert(name, 0), at(0)).notifications.remove(0);
        let reason = n.reason.split_once("nearest healthy: ").unwrap().1;
        ways.push(reason.split(", rtt").next().unwrap().to_owned());
        for _ in 0..3 {
            r.heartbeat(&n.endpoint, None, at(0));
        }
    }
    // What cannot be reached comes last, and is not lost.
    assert_eq!(
        ways,
        [
            "distance 3 (eu-1a → eu-1b), up",
            "distance 9, up",
            "distance 74 (eu-1a → eu-1b → us-1a), up",
            "distance 75 (eu-1a → eu-1b → us-1a), up",
            "unreachable (no way from eu-1a to ap), up",
        ]
    );
}

#[test]
fn a_new_topology_changes_the_order_and_keeps_the_health() {
    let mut json =
        pool(&[("eu", json!({ "zone": "eu-1a" }), 0), ("us", json!({ "zone": "us-1a" }), 0)]);
    let mut r = router(json.clone());
    let told_by = |r: &mut Router, name: &str| {
        r.route(alert(name, 0), at(0)).notifications.remove(0).endpoint
    };
    assert_eq!(told_by(&mut r, "A"), EndpointId::new("oncall/eu"));
    json["topology"]["zone"] = json!("us-1b");
    r.replace(config(json.clone()), at(0)).unwrap();
    assert_eq!(told_by(&mut r, "B"), EndpointId::new("oncall/us"));
    for _ in 0..3 {
        r.heartbeat(&EndpointId::new("oncall/us"), None, at(0));
    }
    r.replace(config(json), at(0)).unwrap();
    assert_eq!(told_by(&mut r, "C"), EndpointId::new("oncall/eu"));
}

/// The message that a change of the whole configuration leads to.
fn complaint(change: impl FnOnce(&mut Value)) -> String {
    let mut json = pool(&[("eu", json!({ "zone": "eu-1a" }), 0)]);
    change(&mut json);
    let config: Config = serde_json::from_value(json).unwrap();
    Router::new(config).expect_err("the change makes it inconsistent").to_string()
}

#[test]
fn what_is_wrong_is_named_with_place_and_remedy() {
    for (pointer, value, expected) in [
        (
            "/topology/zone",
            json!("eu-1x"),
            "topology.zone: there is no zone or region `eu-1x`: did you mean `eu-1a`?",
        ),
        (
            "/topology/zone",
            json!("eu"),
            "topology.zone: `eu` is a region: name the zone of it that this router is in",
        ),
        (
            "/topology/links/1/to",
            json!("jupiter"),
            "topology.links[1].to: there is no zone or region `jupiter`: the zones are: eu-1a, eu-1b, us-1a, us-1b, ap",
        ),
        (
            "/topology/links/0/to",
            json!("eu-1b"),
            "topology.links[0]: `eu` and `eu-1b` are the same place, or one is in the other: a link connects two",
        ),
        (
            "/topology/links/1",
            json!({ "from": "us", "to": "eu", "distance": 1 }),
            "topology.links[1]: there are two links from `us` to `eu`",
        ),
        (
            "/topology/regions/1/zones/1",
            json!("eu-1a"),
            "topology.regions[1].zones[1]: there are two zones or regions `eu-1a`: give each its own name",
        ),
        ("/topology/regions/2/name", json!(""), "topology.regions[2]: the name is empty"),
        (
            "/receivers/0/endpoints/0/zone",
            json!("us-1c"),
            "receivers[0].endpoints[0].zone: there is no zone or region `us-1c`: did you mean `us-1a`?",
        ),
        (
            "/receivers/0/endpoints/0",
            json!({ "host": {}, "zone": "eu-1a", "region": "eu" }),
            "receivers[0].endpoints[0]: write either `zone` or `region`, not both",
        ),
        (
            "/topology",
            json!(null),
            "receivers[0].endpoints[0].zone: there is no `topology` with zones: add one, or write `distance` alone",
        ),
    ] {
        let complained = complaint(|json| *json.pointer_mut(pointer).unwrap() = value);
        assert!(complained.starts_with(expected), "{complained}");
    }
    let many: Vec<String> = (0..513).map(|n| format!("z{n}")).collect();
    let complained = complaint(|json| json["topology"]["regions"][0]["zones"] = json!(many));
    assert_eq!(complained, "topology.regions[0].zones[512]: there are more than 512 zones");
}

#[test]
fn a_topology_is_written_as_it_is_read() {
    let config: TopologyConfig = serde_json::from_value(topology()).unwrap();
    let built = TopologyConfig::new("eu-1a")
        .region("eu", ["eu-1a", "eu-1b"], 1)
        .region("us", ["us-1a", "us-1b"], 5)
        .region("ap", [""; 0], 1)
        .link("eu", "us", 90)
        .link("eu-1b", "us-1a", 70);
    assert_eq!(config, built);
    let again = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
    assert_eq!(config, again);
    let misspelt = json!({ "zone": "a", "regions": [], "link": [] });
    let error = serde_json::from_value::<TopologyConfig>(misspelt).unwrap_err().to_string();
    assert!(error.contains("unknown field `link`"), "{error}");
}

const FAR: u64 = u64::MAX;

/// The zones of each region, how far they are from each other, and links between any two names.
#[derive(Debug, Clone)]
struct Map {
    regions: Vec<(usize, u32)>,
    links: Vec<(usize, usize, u32, bool)>,
}

impl Map {
    fn zones(&self) -> usize {
        self.regions.iter().map(|(zones, _)| zones).sum()
    }

    fn region_of(&self, zone: usize) -> usize {
        let mut end = 0;
        let ends = self.regions.iter().map(|(zones, _)| {
            end += zones;
            end
        });
        ends.filter(|end| *end <= zone).count()
    }

    /// The zones that a name stands for: first come the zones, then the regions.
    fn members(&self, name: usize) -> Vec<usize> {
        match name.checked_sub(self.zones()) {
            None => vec![name],
            Some(region) => (0..self.zones()).filter(|z| self.region_of(*z) == region).collect(),
        }
    }

    fn name(&self, name: usize) -> String {
        match name.checked_sub(self.zones()) {
            None => format!("zone-{name}"),
            Some(region) => format!("region-{region}"),
        }
    }

    /// Each link once in each direction, and none inside one place.
    fn tidied(mut self) -> Self {
        let names = self.zones() + self.regions.len();
        let mut taken = std::collections::HashSet::new();
        let mut links = std::mem::take(&mut self.links);
        links.retain_mut(|(from, to, _, one_way)| {
            (*from, *to) = (*from % names, *to % names);
            let inside = self.members(*from).iter().any(|zone| self.members(*to).contains(zone))
                && (*from == *to || *from >= self.zones() || *to >= self.zones());
            let fresh =
                !taken.contains(&(*from, *to)) && (*one_way || !taken.contains(&(*to, *from)));
            if inside || !fresh {
                return false;
            }
            taken.insert((*from, *to));
            if !*one_way {
                taken.insert((*to, *from));
            }
            true
        });
        Self { links, ..self }
    }

    fn config(&self) -> TopologyConfig {
        let zone = |z: usize| self.name(z);
        let mut config = TopologyConfig::new(zone(0));
        let mut next = 0;
        for (i, (zones, distance)) in self.regions.iter().enumerate() {
            config = config.region(
                self.name(self.zones() + i),
                (next..next + zones).map(zone),
                *distance,
            );
            next += zones;
        }
        for (from, to, distance, one_way) in &self.links {
            config = config.link(self.name(*from), self.name(*to), *distance);
            config.links.last_mut().unwrap().one_way = *one_way;
        }
        config
    }

    /// How far two zones are from each other without passing a third.
    fn direct(&self) -> Vec<Vec<u64>> {
        let zones = self.zones();
        let mut direct = vec![vec![FAR; zones]; zones];
        let ways: Vec<(usize, usize, u64)> = self
            .links
            .iter()
            .flat_map(|(from, to, distance, one_way)| {
                let there = (*from, *to, u64::from(*distance));
                let back = (*to, *from, u64::from(*distance));
                std::iter::once(there).chain(Some(back).filter(|_| !*one_way))
            })
            .collect();
        for from in 0..zones {
            direct[from][from] = 0;
            for to in (0..zones).filter(|to| *to != from) {
                let region = self.region_of(from);
                if region == self.region_of(to) {
                    direct[from][to] = u64::from(self.regions[region].1);
                }
                if let Some((.., said)) = ways.iter().find(|way| (way.0, way.1) == (from, to)) {
                    direct[from][to] = *said;
                }
            }
        }
        for (from, to, distance) in ways {
            for from in self.members(from) {
                for to in self.members(to) {
                    if self.region_of(from) != self.region_of(to) {
                        direct[from][to] = direct[from][to].min(distance);
                    }
                }
            }
        }
        direct
    }
}

/// All shortest distances by Floyd and Warshall's three loops.
fn floyd_warshall(mut distance: Vec<Vec<u64>>) -> Vec<Vec<u64>> {
    for via in 0..distance.len() {
        for from in 0..distance.len() {
            for to in 0..distance.len() {
                let by = distance[from][via].saturating_add(distance[via][to]);
                distance[from][to] = distance[from][to].min(by);
            }
        }
    }
    distance
}

fn map() -> impl Strategy<Value = Map> {
    let distance = || prop_oneof![4 => 0_u32..20, 1 => Just(u32::MAX)];
    let regions = prop::collection::vec((1_usize..5, distance()), 1..5);
    let links = prop::collection::vec((0_usize..99, 0_usize..99, distance(), any::<bool>()), 0..12);
    (regions, links).prop_map(|(regions, links)| Map { regions, links }.tidied())
}

proptest! {
    /// Every distance is the naive twin's; every path is one, and as long as it is said to be.
    #[test]
    fn agrees_with_floyd_and_warshall(map in map()) {
        let topology = Topology::compile(&map.config()).unwrap();
        let direct = map.direct();
        let expected = floyd_warshall(direct.clone());
        for from in 0..map.zones() {
            for to in 0..map.zones() {
                let (a, b) = (map.name(from), map.name(to));
                let distance = topology.distance(&a, &b);
                prop_assert_eq!(distance, Some(expected[from][to]).filter(|d| *d != FAR));
                let path = topology.path(&a, &b);
                let zone = |name: &str| name.strip_prefix("zone-").unwrap().parse::<usize>().unwrap();
                let steps = path.windows(2).map(|step| direct[zone(step[0])][zone(step[1])]);
                prop_assert_eq!(distance, (!path.is_empty()).then(|| steps.sum()));
                if let (Some(first), Some(last)) = (path.first(), path.last()) {
                    prop_assert_eq!((zone(first), zone(last)), (from, to));
                }
            }
        }
    }
}
