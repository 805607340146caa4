//! Topology: how far one availability zone is from another, and by which way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, nearest};

/// The table of all pairs grows with the square: at 512 zones it has 2.6 MB.
const MAX_ZONES: usize = 512;
const MAX_LINKS: usize = 16_384;
/// So many names are listed in an error; of hundreds nobody reads more.
const NAMES_SHOWN: usize = 8;

/// No way leads there.
const UNREACHABLE: u64 = u64::MAX;
/// There is nothing before it on the way: it is where the way begins, or there is none.
const NOWHERE: u16 = u16::MAX;

/// Regions, the zones in them, and how far they are from each other, in whatever unit the operator thinks: milliseconds,
/// hops, money.
///
/// ```
/// use birl_router::{Topology, TopologyConfig};
///
/// let config: TopologyConfig = serde_json::from_str(r#"{
///     "zone": "eu-1a",
///     "regions": [
///         { "name": "eu", "zones": ["eu-1a", "eu-1b"] },
///         { "name": "us", "zones": ["us-1a", "us-1b"], "distance": 2 }
///     ],
///     "links": [
///         { "from": "eu", "to": "us", "distance": 90 },
///         { "from": "eu-1b", "to": "us-1a", "distance": 70 }
///     ]
/// }"#)?;
/// let topology = Topology::compile(&config)?;
/// assert_eq!(topology.distance("eu-1a", "us-1b"), Some(73));
/// assert_eq!(topology.path("eu-1a", "us-1b"), ["eu-1a", "eu-1b", "us-1a", "us-1b"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TopologyConfig {
    /// The zone that this router is in: distances are counted from here.
    pub zone: String,
    /// The regions.
    pub regions: Vec<RegionConfig>,
    /// What connects zones and regions, besides being in the same region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkConfig>,
}

/// A region: zones that are all connected with each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RegionConfig {
    /// Its name.
    pub name: String,
    /// Its zones. Left out: it is one zone, which has the region's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// How far any two of its zones are from each other, unless a link between the two says otherwise. Default 1.
    #[serde(default = "one")]
    pub distance: u32,
}

/// A way from one zone or region to another. A link of a region is one of each of its zones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LinkConfig {
    /// A zone or a region.
    pub from: String,
    /// Another zone or region.
    pub to: String,
    /// How far it is.
    pub distance: u32,
    /// There is no way back by this link. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_way: bool,
}

/// A [`TopologyConfig`], checked, with the shortest path between every two zones (by Dijkstra's algorithm, once, when
/// the configuration changes). Of two ways of one length it is always the same one.
#[derive(Debug, Clone)]
pub struct Topology {
    zones: Vec<Arc<str>>,
    places: HashMap<Arc<str>, Place>,
    regions: Vec<Vec<u16>>,
    home: u16,
    /// By `from * zones + to`.
    distances: Vec<u64>,
    /// The zone before `to` on the way, by `from * zones + to`.
    before: Vec<u16>,
}

/// How far an endpoint is. What cannot be reached comes last, and is not lost: the map may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Distance {
    Known(u64),
    /// With the endpoint's own distance, to sort by.
    Unreachable(u64),
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Zone(u16),
    Region(u16),
}

/// The zones, and for each region two nodes more: a link of a region is one edge instead of one for each of its zones.
///
/// A way into a region arrives at its gate, from where each zone is at no distance; a way out begins at its exit, which
/// each zone is at no distance from. There is no way from gate to exit but through a zone.
struct Graph {
    edges: Vec<Vec<(u16, u32)>>,
    zones: usize,
    regions: usize,
}

impl TopologyConfig {
    /// A router in `zone`, and nothing around it yet.
    pub fn new(zone: impl Into<String>) -> Self {
        Self { zone: zone.into(), ..Self::default() }
    }

    /// Adds a region whose zones are `distance` from each other.
    #[must_use]
    pub fn region<Z: Into<String>>(
        mut self,
        name: impl Into<String>,
        zones: impl IntoIterator<Item = Z>,
        distance: u32,
    ) -> Self {
        let zones = zones.into_iter().map(Into::into).collect();
        self.regions.push(RegionConfig { name: name.into(), zones, distance });
        self
    }

    /// Adds a link that leads both ways.
    #[must_use]
    pub fn link(mut self, from: impl Into<String>, to: impl Into<String>, distance: u32) -> Self {
        let (from, to) = (from.into(), to.into());
        self.links.push(LinkConfig { from, to, distance, one_way: false });
        self
    }
}

impl Topology {
    /// Checks the names, and finds all shortest paths.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with the path of what is wrong: a name that there is not, or twice, or a link from a
    /// place to itself; and more than 512 zones or 16,384 links.
    pub fn compile(config: &TopologyConfig) -> Result<Self, Error> {
        let mut topology = Self::named(config)?;
        topology.home = match topology.find(&config.zone, "topology.zone")? {
            Place::Zone(zone) => zone,
            Place::Region(_) => {
                let message = format!(
                    "`{}` is a region: name the zone of it that this router is in",
                    config.zone
                );
                return Err(invalid("topology.zone", message));
            }
        };
        let graph = topology.graph(config)?;
        let zones = topology.zones.len();
        topology.distances = Vec::with_capacity(zones * zones);
        topology.before = Vec::with_capacity(zones * zones);
        for from in 0..zones {
            graph.shortest(from, &mut topology.distances, &mut topology.before);
        }
        Ok(topology)
    }

    /// The zone that this router is in.
    pub fn zone(&self) -> &str {
        self.name(self.home)
    }

    /// All zones, in the order of the configuration.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = &str> {
        self.zones.iter().map(|name| &**name)
    }

    /// The length of the shortest way between two zones. `None` if there is no way, or no such zone.
    pub fn distance(&self, from: &str, to: &str) -> Option<u64> {
        let (Place::Zone(from), Place::Zone(to)) = (self.place(from)?, self.place(to)?) else {
            return None;
        };
        Some(self.between(from, to)).filter(|distance| *distance != UNREACHABLE)
    }

    /// The zones on the shortest way, both ends included. Empty if there is no way, or no such zone.
    pub fn path(&self, from: &str, to: &str) -> Vec<&str> {
        match (self.place(from), self.place(to)) {
            (Some(Place::Zone(from)), Some(Place::Zone(to))) => self.steps(from, to),
            _ => Vec::new(),
        }
    }

    /// How far from here a zone is, or the nearest zone of a region, and the way there in words.
    pub(crate) fn reach(
        &self,
        name: &str,
        own: u32,
        at: &str,
    ) -> Result<(Distance, String), Error> {
        let own = u64::from(own);
        let zone = match self.find(name, at)? {
            Place::Zone(zone) => Some(zone),
            Place::Region(region) => {
                let zones = self.regions.get(usize::from(region)).into_iter().flatten();
                zones.copied().min_by_key(|zone| self.between(self.home, *zone))
            }
        };
        let found = zone.map(|zone| (zone, self.between(self.home, zone)));
        Ok(match found.filter(|(_, distance)| *distance != UNREACHABLE) {
            Some((zone, distance)) => {
                let way = self.steps(self.home, zone).join(" → ");
                (Distance::Known(distance.saturating_add(own)), way)
            }
            None => (Distance::Unreachable(own), format!("no way from {} to {name}", self.zone())),
        })
    }

    /// The names alone: no distances yet.
    fn named(config: &TopologyConfig) -> Result<Self, Error> {
        let mut topology = Self {
            zones: Vec::new(),
            places: HashMap::new(),
            regions: Vec::new(),
            home: 0,
            distances: Vec::new(),
            before: Vec::new(),
        };
        for (i, region) in config.regions.iter().enumerate() {
            let at = format!("topology.regions[{i}]");
            let mut zones = Vec::with_capacity(region.zones.len().max(1));
            if region.zones.is_empty() {
                zones.push(topology.add_zone(&region.name, &at)?);
            } else {
                let index = topology.regions.len() as u16; // no more of them than zones
                topology.add(&region.name, Place::Region(index), &at)?;
            }
            for (j, zone) in region.zones.iter().enumerate() {
                zones.push(topology.add_zone(zone, &format!("{at}.zones[{j}]"))?);
            }
            topology.regions.push(zones);
        }
        Ok(topology)
    }

    fn add_zone(&mut self, name: &str, at: &str) -> Result<u16, Error> {
        if self.zones.len() >= MAX_ZONES {
            return Err(invalid(at, format!("there are more than {MAX_ZONES} zones")));
        }
        let zone = self.zones.len() as u16; // checked above
        let name = self.add(name, Place::Zone(zone), at)?;
        self.zones.push(name);
        Ok(zone)
    }

    fn add(&mut self, name: &str, place: Place, at: &str) -> Result<Arc<str>, Error> {
        if name.is_empty() {
            return Err(invalid(at, "the name is empty"));
        }
        let name: Arc<str> = Arc::from(name);
        if self.places.insert(Arc::clone(&name), place).is_some() {
            let message =
                format!("there are two zones or regions `{name}`: give each its own name");
            return Err(invalid(at, message));
        }
        Ok(name)
    }

    fn graph(&self, config: &TopologyConfig) -> Result<Graph, Error> {
        if config.links.len() > MAX_LINKS {
            return Err(invalid(
                "topology.links",
                format!("there are more than {MAX_LINKS} links"),
            ));
        }
        let mut links: HashMap<(u16, u16), u32> = HashMap::new();
        let mut graph = Graph::new(self.zones.len(), self.regions.len());
        for (i, link) in config.links.iter().enumerate() {
            let at = format!("topology.links[{i}]");
            let from = self.find(&link.from, &format!("{at}.from"))?;
            let to = self.find(&link.to, &format!("{at}.to"))?;
            if self.overlap(from, to) {
                let message = format!(
                    "`{}` and `{}` are the same place, or one is in the other: a link connects two",
                    link.from, link.to
                );
                return Err(invalid(&at, message));
            }
            let way = (graph.exit(from), graph.entry(to));
            let back = (graph.exit(to), graph.entry(from));
            let ways = [Some(way), Some(back).filter(|_| !link.one_way)];
            for way in ways.into_iter().flatten() {
                if links.insert(way, link.distance).is_some() {
                    let message =
                        format!("there are two links from `{}` to `{}`", link.from, link.to);
                    return Err(invalid(&at, message));
                }
            }
        }
        for (i, (zones, region)) in self.regions.iter().zip(&config.regions).enumerate() {
            graph.add_region(i, zones, region.distance, &links);
        }
        for ((from, to), distance) in links {
            graph.add(from, to, distance);
        }
        graph.sort();
        Ok(graph)
    }

    /// Are the two the same place, or one a part of the other?
    fn overlap(&self, one: Place, other: Place) -> bool {
        match (one, other) {
            (Place::Zone(zone), Place::Region(region))
            | (Place::Region(region), Place::Zone(zone)) => {
                self.regions.get(usize::from(region)).is_some_and(|zones| zones.contains(&zone))
            }
            _ => one == other,
        }
    }

    fn find(&self, name: &str, at: &str) -> Result<Place, Error> {
        if let Some(place) = self.place(name) {
            return Ok(place);
        }
        // Sorted: of two that are equally near it is always the same one.
        let mut known: Vec<&str> = self.places.keys().map(|known| &**known).collect();
        known.sort_unstable();
        let remedy = match nearest(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => self.list(),
        };
        Err(invalid(at, format!("there is no zone or region `{name}`: {remedy}")))
    }

    fn list(&self) -> String {
        let shown: Vec<&str> = self.zones().take(NAMES_SHOWN).collect();
        let more = match self.zones.len().saturating_sub(NAMES_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("the zones are: {}{more}", shown.join(", "))
    }

    fn place(&self, name: &str) -> Option<Place> {
        self.places.get(name).copied()
    }

    fn name(&self, zone: u16) -> &str {
        self.zones.get(usize::from(zone)).map_or("", |name| name)
    }

    fn index(&self, from: u16, to: u16) -> usize {
        usize::from(from) * self.zones.len() + usize::from(to)
    }

    fn between(&self, from: u16, to: u16) -> u64 {
        self.distances.get(self.index(from, to)).copied().unwrap_or(UNREACHABLE)
    }

    fn steps(&self, from: u16, to: u16) -> Vec<&str> {
        if self.between(from, to) == UNREACHABLE {
            return Vec::new();
        }
        let before = |zone: &u16| self.before.get(self.index(from, *zone)).copied();
        let back =
            std::iter::successors(Some(to), |zone| before(zone).filter(|zone| *zone != NOWHERE));
        // No path passes a zone twice; whatever the table says, this ends.
        let mut steps: Vec<&str> =
            back.take(self.zones.len()).map(|zone| self.name(zone)).collect();
        steps.reverse();
        steps
    }
}

impl Graph {
    fn new(zones: usize, regions: usize) -> Self {
        Self { edges: vec![Vec::new(); zones + 2 * regions], zones, regions }
    }

    /// Where ways into a place arrive.
    fn entry(&self, place: Place) -> u16 {
        match place {
            Place::Zone(zone) => zone,
            Place::Region(region) => self.zones as u16 + region,
        }
    }

    /// Where ways out of a place begin.
    fn exit(&self, place: Place) -> u16 {
        match place {
            Place::Zone(zone) => zone,
            Place::Region(region) => (self.zones + self.regions) as u16 + region,
        }
    }

    fn add(&mut self, from: u16, to: u16, distance: u32) {
        if let Some(edges) = self.edges.get_mut(usize::from(from)) {
            edges.push((to, distance));
        }
    }

    /// Connects the zones with each other, where no link of the two says how far it is, and with gate and exit.
    fn add_region(
        &mut self,
        index: usize,
        zones: &[u16],
        distance: u32,
        links: &HashMap<(u16, u16), u32>,
    ) {
        let region = Place::Region(index as u16);
        let (gate, exit) = (self.entry(region), self.exit(region));
        for &from in zones {
            self.add(gate, from, 0);
            self.add(from, exit, 0);
            for &to in zones {
                if from != to && !links.contains_key(&(from, to)) {
                    self.add(from, to, distance);
                }
            }
        }
    }

    /// A hash map gave the links: the path that is taken must not depend on its order.
    fn sort(&mut self) {
        for edges in &mut self.edges {
            edges.sort_unstable();
        }
    }

    /// Appends the distances from `source` to each zone, and the zone before each.
    fn shortest(&self, source: usize, distances: &mut Vec<u64>, before: &mut Vec<u16>) {
        let mut found = vec![(UNREACHABLE, NOWHERE); self.edges.len()];
        let mut queue = BinaryHeap::new();
        found[source].0 = 0;
        queue.push(Reverse((0_u64, source as u16)));
        while let Some(Reverse((distance, node))) = queue.pop() {
            let here = usize::from(node);
            let (shortest, previous) = found[here];
            if distance > shortest {
                continue; // there was a shorter way meanwhile
            }
            // Gates and exits are no places to name.
            let via = if here < self.zones { node } else { previous };
            for &(next, step) in &self.edges[here] {
                let there = distance + u64::from(step);
                let known = &mut found[usize::from(next)];
                if there < known.0 {
                    *known = (there, via);
                    queue.push(Reverse((there, next)));
                }
            }
        }
        for (distance, previous) in &found[..self.zones] {
            distances.push(*distance);
            before.push(*previous);
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(distance) => write!(f, "distance {distance}"),
            Self::Unreachable(_) => f.write_str("unreachable"),
        }
    }
}

fn invalid(at: &str, message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidConfig, at, message)
}

fn one() -> u32 {
    1
}
