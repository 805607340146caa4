use birl_router::{
    Alert, Config, GroupBy, Labels, Matcher, Outcome, ReceiverConfig, RouteConfig, RouteScratch,
    RouteStep, RouteTree, RouteVerdict, Router,
};
use proptest::prelude::*;
use serde_json::json;

use crate::{at, config, router, told_by};

fn receivers(of: &mut Router, labels: &[(&str, &str)]) -> Vec<String> {
    let labels: Labels = labels.iter().copied().collect();
    let routed = of.route(Alert::firing(labels, at(0)), at(0));
    routed.notifications.iter().map(|n| n.receiver.clone()).collect()
}

fn team_router() -> Router {
    let receivers = ["default", "pager", "api", "api-staging", "web", "pattern"];
    let receivers = receivers.map(|name| json!({ "name": name, "stdout_configs": [{}] }));
    router(json!({
        "route": {
            "receiver": "default",
            "routes": [
                { "matchers": ["severity=\"critical\""], "receiver": "pager", "continue": true },
                { "matchers": ["team=\"api\""], "receiver": "api", "routes": [
                    { "matchers": ["env!=\"prod\""], "receiver": "api-staging" },
                    { "matchers": ["tier=\"db\""] }
                ] },
                { "match": { "team": "web" }, "receiver": "web" },
                { "match_re": { "team": "a.*|w.*" }, "receiver": "pattern" }
            ]
        },
        "receivers": receivers
    }))
}

#[test]
fn the_walk_is_alertmanagers() {
    let r = &mut team_router();
    // No route matches: the default receiver.
    assert_eq!(receivers(r, &[("team", "core")]), ["default"]);
    // No label at all: the default receiver, too.
    assert_eq!(receivers(r, &[]), ["default"]);
    // The first match per level; the later `match_re` is not asked.
    assert_eq!(receivers(r, &[("team", "web")]), ["web"]);
    assert_eq!(receivers(r, &[("team", "www")]), ["pattern"]);
    // A missing label is empty, so `env!="prod"` takes an alert without `env`.
    assert_eq!(receivers(r, &[("team", "api")]), ["api-staging"]);
    // No child takes it: the parent does.
    assert_eq!(receivers(r, &[("team", "api"), ("env", "prod")]), ["api"]);
    // A child without a receiver inherits its parent's.
    assert_eq!(receivers(r, &[("team", "api"), ("env", "prod"), ("tier", "db")]), ["api"]);
    // `continue` goes on to the siblings.
    let critical = [("severity", "critical"), ("team", "web")];
    assert_eq!(receivers(r, &critical), ["pager", "web"]);
    // `continue` without a later match is enough of a match.
    assert_eq!(receivers(r, &[("severity", "critical")]), ["pager"]);
}

#[test]
fn the_reason_names_the_route() {
    let r = &mut team_router();
    let web = r.route(Alert::firing([("team", "web")], at(0)), at(0));
    assert_eq!(
        web.reason,
        "route.routes[2] matches {team=\"web\"}: web by web/stdout_configs/0 \
         (nearest healthy: distance 0, up, rtt not measured yet)"
    );
    let lost = r.route(Alert::firing([("team", "core")], at(0)), at(0));
    assert!(
        lost.reason.to_string().starts_with("no route matches, so the default receiver is told")
    );
}

#[test]
fn an_alert_that_names_its_receiver_skips_the_tree() {
    let r = &mut team_router();
    let web = || Alert::firing([("team", "web")], at(0));
    let named = r.route(web().receiver("pager"), at(0));
    assert_eq!(told_by(&named), ["pager:firing"]);
    assert!(
        named.reason.to_string().starts_with("the alert names its receiver"),
        "{}",
        named.reason
    );
    // The same labels by the tree are another alert: neither hides the other.
    assert_eq!(told_by(&r.route(web(), at(0))), ["web:firing"]);
    assert_eq!(r.route(web().receiver("pager"), at(1)).outcome, Outcome::Deduped);
}

#[test]
fn an_unknown_name_goes_to_the_default_receiver_and_says_so() {
    let r = &mut team_router();
    let routed = r.route(Alert::firing([("team", "web")], at(0)).receiver("pagre"), at(0));
    assert_eq!(told_by(&routed), ["default:firing"]);
    assert!(
        routed.reason.to_string().starts_with(
            "the alert names the receiver `pagre`, which there is not, so the default receiver is told"
        ),
        "{}",
        routed.reason
    );
    assert_eq!(r.metrics().dropped("unknown_receiver"), 1);
}

#[test]
fn a_receiver_is_told_once_however_many_routes_lead_to_it() {
    let mut r = router(json!({
        "route": { "receiver": "all", "routes": [
            { "matchers": ["a=\"1\""], "continue": true },
            { "matchers": ["b=\"1\""], "continue": true },
        ] },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }));
    assert_eq!(receivers(&mut r, &[("a", "1"), ("b", "1")]), ["all"]);
}

#[test]
fn a_receiver_without_endpoints_swallows_on_purpose() {
    let mut r = router(json!({
        "route": { "receiver": "null" },
        "receivers": [{ "name": "null" }]
    }));
    let routed = r.route(Alert::firing([("a", "1")], at(0)), at(0));
    assert_eq!((routed.outcome, routed.notifications.len()), (Outcome::NoEndpoint, 0));
    assert_eq!(routed.reason, "its receivers have no endpoints");
}

/// The walk as it is defined, without any index.
fn naive<'a>(route: &'a RouteConfig, labels: &Labels, inherited: &'a str) -> Vec<&'a str> {
    let receiver = route.receiver.as_deref().unwrap_or(inherited);
    let mut found = Vec::new();
    for child in &route.routes {
        if child.matchers.iter().all(|matcher| matcher.matches(labels)) {
            found.extend(naive(child, labels, receiver));
            if !child.continue_matching {
                break;
            }
        }
    }
    if found.is_empty() { vec![receiver] } else { found }
}

const MATCHERS: [&str; 18] = [
    "a=~\"1.*\"",
    "a=~\".*2\"",
    "b:1*",
    "b=~\"[0-9]+\"",
    "c=~\"1.*|3\"",
    "a=~\"(1|2)3?\"",
    "a=\"1\"",
    "a=\"2\"",
    "a=\"3\"",
    "a=\"\"",
    "a!=\"1\"",
    "a=~\"1|2\"",
    "a!~\"1|2\"",
    "b=\"1\"",
    "b=\"2\"",
    "b!=\"\"",
    "c=~\".+\"",
    "c=\"3\"",
];

fn any_route() -> impl Strategy<Value = RouteConfig> {
    let node = (
        prop::option::of(0_usize..5),
        prop::collection::vec(prop::sample::select(&MATCHERS[..]), 0..3),
        prop::bool::weighted(0.3),
    );
    let build = |(receiver, matchers, continues): (Option<usize>, Vec<&str>, bool)| {
        let mut route = RouteConfig::default();
        route.receiver = receiver.map(|i| format!("r{i}"));
        route.matchers = matchers.into_iter().map(|m| Matcher::parse(m).unwrap()).collect();
        route.continue_matching = continues;
        route
    };
    let leaf = node.prop_map(build);
    // Up to twelve children, so that levels with and without an index both occur.
    leaf.prop_recursive(3, 60, 12, move |inner| {
        (any_node(), prop::collection::vec(inner, 0..12)).prop_map(|(mut route, children)| {
            route.routes = children;
            route
        })
    })
}

fn any_node() -> impl Strategy<Value = RouteConfig> {
    (0_usize..5, prop::sample::select(&MATCHERS[..]), any::<bool>()).prop_map(|(i, m, c)| {
        let mut route = RouteConfig::to(format!("r{i}")).matcher(Matcher::parse(m).unwrap());
        route.continue_matching = c;
        route
    })
}

/// The walk as it is defined, with the numbers of the nodes: depth first, as they stand.
fn walk(route: &RouteConfig, labels: &Labels, number: &mut u32, asked: bool) -> Vec<u32> {
    let own = *number;
    *number += 1;
    let (mut found, mut asked_on) = (Vec::new(), asked);
    for child in &route.routes {
        let matches = asked_on && child.matchers.matches(labels);
        found.extend(walk(child, labels, number, matches));
        asked_on &= !matches || child.continue_matching;
    }
    if asked && found.is_empty() { vec![own] } else { found }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 2))]

    #[test]
    fn the_tree_agrees_with_the_naive_walk_and_so_does_its_explanation(
        children in prop::collection::vec(any_route(), 0..20),
        alerts in prop::collection::vec(prop::collection::btree_map("[abc]", "[0-3]{1,2}", 0..4), 1..12),
    ) {
        let mut root = RouteConfig::to("r0");
        root.routes = children;
        let receivers = (0..5).map(|i| ReceiverConfig::new(format!("r{i}")));
        let tree = RouteTree::new(&Config::new(root.clone(), receivers)).unwrap();
        let mut scratch = RouteScratch::default();
        for labels in alerts {
            let labels = Labels::from(labels);
            let expected = walk(&root, &labels, &mut 0, true);
            prop_assert_eq!(tree.find_into(&labels, &mut scratch), &expected[..], "{}", labels);

            let steps = tree.explain(&labels);
            let takes = |step: &&RouteStep| matches!(step.verdict, RouteVerdict::Takes { .. });
            let taken: Vec<u32> = steps.iter().filter(takes).map(|step| step.route).collect();
            let mut sorted = expected.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&taken, &sorted);
            for step in &steps {
                let route = &tree.routes()[step.route as usize];
                prop_assert_eq!(&step.path, route.path());
                if let Some(matched) = step.verdict.matched() {
                    prop_assert_eq!(route.matchers().matches(&labels), matched);
                }
            }
        }
    }
}

#[test]
fn the_explanation_says_why_of_each_node() {
    let tree = RouteTree::new(&config(json!({
        "route": { "receiver": "all", "routes": [
            { "matchers": ["severity=critical"], "continue": true },
            { "matchers": ["team:web"] },
            { "matchers": ["team:api"], "routes": [
                { "matchers": ["env!=prod"] },
                { "matchers": ["tier:db"] },
            ] },
            { "matchers": ["team=~a.*"] },
        ] },
        "receivers": [{ "name": "all" }]
    })))
    .unwrap();
    let told = |labels: &[(&str, &str)]| -> Vec<String> {
        let labels: Labels = labels.iter().copied().collect();
        tree.explain(&labels).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        told(&[("team", "api"), ("env", "prod"), ("severity", "critical")]),
        [
            r#"route {}: matches, some below take it"#,
            r#"route.routes[0] {severity="critical"}: takes it, and goes on to its siblings"#,
            r#"route.routes[1] {team="web"}: team="web" does not hold: it is "api""#,
            r#"route.routes[2] {team="api"}: takes it"#,
            r#"route.routes[2].routes[0] {env!="prod"}: env!="prod" does not hold: it is "prod""#,
            r#"route.routes[2].routes[1] {tier="db"}: tier="db" does not hold: the label is missing"#,
            r#"route.routes[3] {team=~"a.*"}: not asked: route.routes[2] matches, without `continue`"#,
        ]
    );
    assert_eq!(told(&[])[0], "route {}: takes it");
    assert_eq!(told(&[("team", "api")])[0], "route {}: matches, one below takes it");
    let steps = tree.explain(&Labels::from([("team", "web")]));
    assert_eq!(
        serde_json::to_value(&steps[0]).unwrap(),
        json!({ "route": 0, "depth": 0, "path": "route", "matchers": "{}", "verdict": "below", "taken_by": [2], "continues": false })
    );
    assert_eq!(
        serde_json::to_value(&steps[1]).unwrap(),
        json!({ "route": 1, "parent": 0, "depth": 1, "path": "route.routes[0]", "matchers": "{severity=\"critical\"}",
            "verdict": "differs", "matcher": "severity=\"critical\"", "value": "" })
    );
}

#[test]
fn a_route_inherits_what_alertmanagers_does() {
    let tree = RouteTree::new(&config(json!({
        "route": { "receiver": "a", "group_by": ["b", "a"], "group_wait": "1s", "sla": 2, "routes": [
            { "matchers": ["x=1,y!=2"], "receivers": ["b", "c", "b"], "group_interval": "7m", "group_by": [],
              "mute_time_intervals": ["night"], "active_time_intervals": ["day"], "routes": [
                { "match": { "z": "1" }, "match_re": { "a": "b|c" }, "matchers": ["q:*"], "repeat_interval": "1h", "sla": 1 },
                { "receiver": "a", "receivers": ["c"], "group_by": ["..."] },
            ] },
        ] },
        "receivers": [{ "name": "a" }, { "name": "b" }, { "name": "c" }]
    })))
    .unwrap();
    let [root, child, first, second] = tree.routes() else { panic!("four nodes") };
    let labels = |labels: &[&str]| GroupBy::Labels(labels.iter().map(|l| l.to_string()).collect());
    assert_eq!((root.key(), root.parent(), root.children()), ("{}", None, &[1][..]));
    assert_eq!((root.receivers(), root.group_by()), (&[0][..], &labels(&["a", "b"])));
    let minutes = |n: u64| std::time::Duration::from_secs(n * 60);
    assert_eq!((root.group_interval(), root.repeat_interval()), (minutes(5), minutes(240)));
    assert_eq!((child.receivers(), child.group_by()), (&[1, 2][..], &labels(&[])));
    assert_eq!((child.children(), child.parent()), (&[2, 3][..], Some(0)));
    assert_eq!(child.mute_time_intervals(), ["night"]);
    assert_eq!(child.active_time_intervals(), ["day"]);
    assert_eq!(first.key(), r#"{}/{x="1",y!="2"}/{a=~"^(?:b|c)$",q!="",z="1"}"#);
    assert_eq!(first.path(), "route.routes[0].routes[0]");
    assert_eq!((first.receivers(), first.group_by()), (&[1, 2][..], &labels(&[])));
    assert_eq!((first.group_wait(), first.group_interval()), (minutes(1) / 60, minutes(7)));
    assert_eq!(first.repeat_interval(), minutes(60));
    assert!(first.mute_time_intervals().is_empty() && first.active_time_intervals().is_empty());
    let tiers = [root, child, first, second].map(|route| route.sla().map(|tier| tier.number()));
    assert_eq!(tiers, [Some(2), Some(2), Some(1), Some(2)]);
    assert_eq!((second.receivers(), second.group_by()), (&[0, 2][..], &GroupBy::All));
}

#[test]
fn a_bad_group_by_or_interval_of_the_root_is_refused() {
    let complaint = |change: &dyn Fn(&mut RouteConfig)| {
        let mut root = RouteConfig::to("a");
        change(&mut root);
        RouteTree::new(&Config::new(root, [ReceiverConfig::new("a")])).unwrap_err().to_string()
    };
    let group_by = |labels: &[&str]| {
        let labels: Vec<String> = labels.iter().map(|l| l.to_string()).collect();
        complaint(&move |route| route.group_by = Some(labels.clone()))
    };
    assert_eq!(group_by(&["a", "a"]), "route: `group_by` names `a` twice: remove one");
    assert_eq!(
        group_by(&["a", "..."]),
        "route: `group_by`: \"...\" is all labels: leave the others out"
    );
    assert_eq!(group_by(&[""]), "route: `group_by` names an empty label: remove it");
    assert_eq!(
        complaint(&|route| route.mute_time_intervals = vec!["night".into()]),
        "route: the root route is never muted: move its time intervals to a child"
    );
    assert_eq!(
        complaint(&|route| route.receivers = vec!["b".into()]),
        "route: there is no receiver `b`: did you mean `a`?"
    );
}

proptest! {
    // A tree costs more than a walk, so each is walked by many alerts.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_index_agrees_with_the_naive_walk(
        children in prop::collection::vec(any_route(), 0..14),
        alerts in prop::collection::vec(prop::collection::btree_map("[abc]", "[0-3]", 0..4), 1..12),
    ) {
        let mut root = RouteConfig::to("r0").immediate();
        root.routes = children;
        let receivers = (0..5).map(|i| ReceiverConfig::new(format!("r{i}")).stdout());
        let mut router = Router::new(Config::new(root.clone(), receivers)).unwrap();
        for (i, labels) in alerts.into_iter().enumerate() {
            let labels = Labels::from(labels);
            let mut expected = naive(&root, &labels, "");
            let mut seen = std::collections::HashSet::new();
            expected.retain(|name| seen.insert(*name));

            // Each is an episode of its own, so that the same labels are told again.
            let alert = Alert::firing(labels, at(0)).episode(i.to_string());
            let routed = router.route(alert, at(0));
            let found: Vec<&str> = routed.notifications.iter().map(|n| n.receiver.as_str()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
