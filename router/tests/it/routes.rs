use birl_router::{Alert, Config, Labels, Matcher, Outcome, ReceiverConfig, RouteConfig, Router};
use proptest::prelude::*;
use serde_json::json;

use crate::{at, router, told_by};

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

const MATCHERS: [&str; 12] = [
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
