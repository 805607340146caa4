use std::collections::BTreeSet;

use birl_router::lint::{self, Lint, LintCode};
use birl_router::{Config, Labels, Matcher, ReceiverConfig, RouteConfig};
use proptest::prelude::*;
use serde_json::{Value, json};

fn lints(value: Value) -> Vec<Lint> {
    lint::check(&serde_json::from_value::<Config>(value).unwrap())
}

/// A tree below a root that is told, without anything else to speak of.
fn routes(routes: Value) -> Vec<Lint> {
    lints(json!({
        "route": { "receiver": "all", "routes": routes },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }))
}

/// `code place` of each.
fn said(lints: &[Lint]) -> Vec<String> {
    lints.iter().map(|lint| format!("{} {}", lint.code, lint.place)).collect()
}

#[track_caller]
fn tells(found: &[Lint], expected: &[&str]) {
    assert_eq!(said(found), expected, "{found:#?}");
}

#[test]
fn a_route_behind_one_that_takes_all_of_it_is_unreachable() {
    for (before, behind) in [
        (json!([]), json!(["team=\"api\""])),
        (json!(["team=\"api\""]), json!(["team=\"api\""])),
        (json!(["team=\"api\""]), json!(["env=\"prod\"", "team=\"api\""])),
        (json!(["team=~\"api|web\""]), json!(["team=\"web\""])),
        (json!(["team=~\"api|web\""]), json!(["team=~\"(web|api)\"", "a=\"b\""])),
        (json!(["team=~\"a.*\""]), json!(["team=\"api\""])),
        (json!(["team=~\"a.*|w.*\""]), json!(["team=~\"w.*\""])),
        (json!(["team!=\"api\""]), json!(["team=\"web\""])),
        (json!(["team!=\"\""]), json!(["team=\"web\""])),
        (json!(["team!~\"api|core\""]), json!(["team=~\"web|db\""])),
        (json!(["team!~\"api|core\""]), json!(["team!=\"api\"", "team!=\"core\""])),
        (json!(["team!=\"api\""]), json!(["team!~\"api|core\""])),
    ] {
        let found = routes(json!([{ "matchers": before }, { "matchers": behind }]));
        tells(&found, &["unreachable-route route.routes[1]"]);
        assert!(found[0].message.contains("route.routes[0] takes"), "{}", found[0]);
    }
}

#[test]
fn a_route_that_something_can_reach_is_not_unreachable() {
    for (before, behind) in [
        (json!(["team=\"api\""]), json!(["team=\"web\""])),
        (json!(["team=\"api\"", "env=\"prod\""]), json!(["team=\"api\""])),
        (json!(["team=~\"api|web\""]), json!(["team=~\"api|web|db\""])),
        (json!(["team=~\"a.*\""]), json!(["team=~\"ab*\""])), // is one, and not proven
        (json!(["team!=\"api\""]), json!(["team=~\"a.*\""])),
        (json!(["team!=\"\""]), json!(["env=\"prod\""])),
        // A label may hold a line feed, which a dot does not match.
        (json!(["team=~\".+\""]), json!(["team!=\"\""])),
        (json!(["team!~\"api|core\""]), json!(["team!=\"api\""])),
        (json!(["team=~\"(?i)api|web\""]), json!(["team=~\"web\\\\w\""])),
    ] {
        let found = routes(json!([{ "matchers": before }, { "matchers": behind }]));
        assert!(found.is_empty(), "{before} {behind}: {found:?}");
    }
    // `continue` goes on to the later one.
    let first = json!({ "matchers": ["team=\"api\""], "continue": true });
    tells(&routes(json!([first, { "matchers": ["team=\"api\""] }])), &[]);
}

#[test]
fn what_stands_above_a_route_counts_for_it() {
    // The parent's conditions are the child's.
    let found = routes(json!([
        { "matchers": ["team=\"api\"", "env=\"prod\""] },
        { "matchers": ["team=\"api\""], "routes": [
            { "matchers": ["env=\"prod\""], "routes": [{ "matchers": ["x=\"y\""] }] },
            { "matchers": ["env=\"dev\""] }
        ] }
    ]));
    // Said once, and not of everything below as well.
    tells(&found, &["unreachable-route route.routes[1].routes[0]"]);
    let found =
        routes(json!([{ "match": { "a": "1" }, "routes": [{ "match_re": { "a": "2|3" } }] }]));
    tells(&found, &["unreachable-route route.routes[0].routes[0]"]);
    assert!(found[0].message.starts_with("no alert can fulfill"), "{}", found[0]);
}

#[test]
fn pain_28_a_pattern_that_is_one_text_is_told() {
    let found = routes(json!([
        { "matchers": ["team=~\"api\"", "a!~\"b\\\\.c\""] },
        { "match_re": { "team": "web" } },
        { "matchers": ["team=~\"ap.\"", "b=~\"c|d\"", "c=\"e\""] }
    ]));
    let at =
        ["route.routes[0].matchers", "route.routes[0].matchers", "route.routes[1].match_re.team"];
    tells(&found, &at.map(|place| format!("plain-regex {place}")).each_ref().map(String::as_str));
    assert_eq!(found[0].remedy, "write `team=\"api\"`");
    assert_eq!(found[1].remedy, "write `a!=\"b.c\"`");
}

#[test]
fn pain_28_signs_at_the_ends_of_a_pattern_are_told() {
    let found = routes(json!([
        { "matchers": ["host=~\"^web\""] },
        { "matchers": ["host=~\"db-.*$\""] },
        { "matchers": ["host=~\"a\\\\$\"", "host=~\"^a|^b\""] }
    ]));
    tells(
        &found[..2],
        &["anchored-regex route.routes[0].matchers", "anchored-regex route.routes[1].matchers"],
    );
    assert!(found[0].remedy.starts_with("write `web.*`"), "{}", found[0]);
    assert_eq!(found.iter().filter(|lint| lint.code == LintCode::AnchoredRegex).count(), 2);
}

#[test]
fn a_pattern_that_matches_a_missing_label_is_told() {
    let found = routes(json!([
        { "matchers": ["team=~\".*\""], "continue": true },
        { "matchers": ["a=~\".+\"", "b=~\"(a|)\""], "continue": true },
        { "matchers": ["a!~\".*\""] }
    ]));
    let expected =
        ["matches-anything route.routes[0].matchers", "matches-anything route.routes[2].matchers"];
    tells(&found, &expected);
    assert!(found[0].remedy.contains("`team!=\"\"`"), "{}", found[0]);
}

#[test]
fn a_setting_that_is_inherited_anyway_is_told() {
    let found = routes(json!([{
        "matchers": ["a=\"1\""],
        "receiver": "all", "group_by": ["x"], "group_wait": "30s", "repeat_interval": "8h", "sla": 1,
        "routes": [{
            "matchers": ["b=\"1\""],
            "group_by": ["x"], "group_wait": "10s", "repeat_interval": "8h", "sla": 2
        }]
    }]));
    let expected = [
        "redundant-setting route.routes[0].receiver",
        "redundant-setting route.routes[0].group_wait",
        "redundant-setting route.routes[0].routes[0].group_by",
        "redundant-setting route.routes[0].routes[0].repeat_interval",
    ];
    tells(&found, &expected);
}

#[test]
fn a_repeat_that_falls_between_two_intervals_is_told() {
    let found = routes(json!([
        { "matchers": ["a=\"1\""], "repeat_interval": "1m" },
        { "matchers": ["a=\"2\""], "repeat_interval": "7m" },
        { "matchers": ["a=\"3\""], "group_interval": "7m" },
        { "matchers": ["a=\"4\""], "group_interval": "1m", "repeat_interval": "7m",
          "routes": [{ "matchers": ["b=\"1\""] }] }
    ]));
    let expected = [
        "uneven-repeat route.routes[0].repeat_interval",
        "uneven-repeat route.routes[1].repeat_interval",
        "uneven-repeat route.routes[2].group_interval",
    ];
    tells(&found, &expected);
    assert!(
        found[0].message.contains("(1m) is shorter than `group_interval` (5m)"),
        "{}",
        found[0]
    );
    assert!(
        found[1].message.contains("no multiple") && found[1].message.contains("after 10m"),
        "{}",
        found[1]
    );
}

#[test]
fn receivers_that_nobody_uses_or_hears_are_told() {
    let found = lints(json!({
        "route": { "receiver": "team", "routes": [
            { "matchers": ["a=\"1\""], "receiver": "blackhole" },
            { "matchers": ["a=\"2\""], "receivers": ["page", "mail"] }
        ] },
        "receivers": [
            { "name": "team" },
            { "name": "blackhole" },
            { "name": "page", "host_configs": [{ "name": "sms/0" }] },
            { "name": "mail", "endpoints": [{ "stdout": {} }] },
            { "name": "spare", "stdout_configs": [{}] }
        ]
    }));
    tells(&found, &["silent-receiver receivers[0]", "unused-receiver receivers[4]"]);
}

/// Inhibition rules below routes of which there is nothing to say.
fn inhibitions(rules: Value) -> Vec<Lint> {
    lints(json!({
        "route": { "receiver": "all" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }],
        "inhibit_rules": rules
    }))
}

#[test]
fn pain_07_labels_that_agree_by_being_missing_are_told() {
    let critical = "severity=\"critical\"";
    let rule = |more: Value| {
        let mut rule =
            json!({ "source_matchers": [critical], "target_matchers": ["severity=\"warning\""] });
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        inhibitions(json!([rule]))
    };
    for odd in [
        json!({ "equal": ["cluster"] }),
        json!({ "equal": ["cluster", "service"] }),
        json!({ "equal_pairs": { "uplink": "switch" } }),
        json!({ "equal": ["cluster"], "target_match_re": { "cluster": ".*" } }),
    ] {
        let found = rule(odd);
        let found = found.iter().find(|lint| lint.code == LintCode::EqualMayBeAbsent);
        assert_eq!(found.unwrap().place, "inhibit_rules[0].equal");
    }
    for fine in [
        json!({}),
        json!({ "equal": ["alertname", "cluster"] }), // Prometheus names every alert
        json!({ "equal": ["cluster"], "require_equal_present": true }),
        json!({ "equal": ["cluster"], "source_matchers": [critical, "cluster!=\"\""] }),
        json!({ "equal": ["cluster"], "target_match": { "cluster": "a" } }),
        json!({ "equal_pairs": { "uplink": "switch" }, "target_match": { "uplink": "a" } }),
    ] {
        tells(&rule(fine), &[]);
    }
}

#[test]
fn a_rule_without_a_source_is_told() {
    let found =
        inhibitions(json!([{ "target_matchers": ["a=\"1\""] }, { "source_match": { "a": "1" } }]));
    tells(&found, &["any-source inhibit_rules[0]"]);
}

#[test]
fn two_alerts_that_mute_each_other_are_told() {
    let rule = |source: &str, target: &str, equal: Value| json!({ "source_matchers": [source], "target_matchers": [target], "equal": equal });
    let (a, b) = ("x=\"a\"", "x=\"b\"");
    for rules in [
        json!([rule(a, b, json!([])), rule(b, a, json!([]))]),
        json!([rule(a, b, json!(["alertname"])), rule(b, a, json!(["alertname", "x-y"]))]),
        json!([rule(a, "x=~\"b|c\"", json!([])), rule("x!=\"a\"", a, json!([]))]),
    ] {
        let found = inhibitions(rules);
        tells(&found, &["inhibition-cycle inhibit_rules[0]"]);
        assert!(found[0].message.contains("inhibit_rules[1]"), "{}", found[0]);
    }
    for rules in [
        json!([rule(a, b, json!([])), rule("x=\"c\"", a, json!([]))]),
        // Both on both sides: Alertmanager's rule keeps them from muting each other.
        json!([rule("x=~\"a|b\"", "x=~\"a|b\"", json!([]))]),
        // They differ in what has to be equal.
        json!([rule(a, b, json!(["x"])), rule(b, a, json!([]))]),
        json!([
            rule("severity=\"critical\"", "severity=~\"warning|info\"", json!(["alertname"])),
            rule("severity=\"warning\"", "severity=\"info\"", json!(["alertname"]))
        ]),
    ] {
        tells(&inhibitions(rules), &[]);
    }
}

#[test]
fn a_time_interval_that_nothing_names_is_told() {
    let found = lints(json!({
        "route": { "receiver": "all", "routes": [
            { "matchers": ["a=\"1\""], "mute_time_intervals": ["nights"] },
            { "matchers": ["a=\"2\""], "active_time_intervals": ["days"] }
        ] },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }],
        "time_intervals": [{ "name": "nights" }, { "name": "days" }, { "name": "feasts" }],
        "mute_time_intervals": [{ "name": "older" }]
    }));
    tells(
        &found,
        &["unused-time-interval time_intervals[2]", "unused-time-interval mute_time_intervals[0]"],
    );
}

#[test]
fn a_lint_is_data() {
    let found = routes(json!([{ "matchers": ["team=~\"api\""] }]));
    assert_eq!(
        serde_json::to_value(&found[0]).unwrap(),
        json!({
            "code": "plain-regex",
            "place": "route.routes[0].matchers",
            "message": "`team=~\"api\"` has a pattern that is one plain text",
            "remedy": "write `team=\"api\"`"
        })
    );
    for code in LintCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
}

/// A flat tree of many is looked at in a moment.
#[test]
fn ten_thousand_routes_are_no_matter() {
    let mut root = RouteConfig::to("all");
    for i in 0..10_000 {
        let text = if i % 20 == 0 { format!("a=~\"x{i}.*\"") } else { format!("a=\"{i}\"") };
        root = root.route(RouteConfig::default().matcher(Matcher::parse(&text).unwrap()));
    }
    let last = RouteConfig::default().matcher(Matcher::parse("a=\"17\"").unwrap());
    let config = Config::new(root.route(last), [ReceiverConfig::new("all").stdout()]);
    tells(&lint::check(&config), &["unreachable-route route.routes[10000]"]);
}

const MATCHERS: [&str; 16] = [
    "a=\"1\"",
    "a=\"2\"",
    "a=\"\"",
    "a!=\"1\"",
    "a!=\"\"",
    "a=~\"1|2\"",
    "a=~\"1.*\"",
    "a=~\".*1|2\"",
    "a!~\"1|2\"",
    "a!~\"1.*\"",
    "a=~\"(|1)\"",
    "b=\"1\"",
    "b!=\"1\"",
    "b=~\"1|3\"",
    "b=~\".+\"",
    "b=~\".*\"",
];

fn any_route() -> impl Strategy<Value = RouteConfig> {
    let node = || {
        (
            prop::collection::vec(prop::sample::select(&MATCHERS[..]), 0..3),
            prop::bool::weighted(0.2),
        )
            .prop_map(|(matchers, continues)| {
                let mut route = RouteConfig::default();
                for text in matchers {
                    route = route.matcher(Matcher::parse(text).unwrap());
                }
                route.continue_matching = continues;
                route
            })
    };
    node().prop_recursive(2, 30, 6, move |inner| {
        (node(), prop::collection::vec(inner, 0..6)).prop_map(|(mut route, children)| {
            route.routes = children;
            route
        })
    })
}

/// The places that see an alert, matched or passed through.
fn seen(route: &RouteConfig, path: &str, labels: &Labels, places: &mut BTreeSet<String>) {
    places.insert(path.to_owned());
    for (i, child) in route.routes.iter().enumerate() {
        if child.matchers.iter().all(|matcher| matcher.matches(labels)) {
            seen(child, &format!("{path}.routes[{i}]"), labels, places);
            if !child.continue_matching {
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No false alarm: what is said to be unreachable is reached by none of many alerts.
    #[test]
    fn what_is_unreachable_is_never_reached(children in prop::collection::vec(any_route(), 1..7)) {
        let mut root = RouteConfig::to("all");
        root.routes = children;
        let config = Config::new(root.clone(), [ReceiverConfig::new("all").stdout()]);
        let found = lint::check(&config);
        let unreachable: BTreeSet<&str> = found
            .iter()
            .filter(|lint| lint.code == LintCode::UnreachableRoute)
            .map(|lint| lint.place.as_str())
            .collect();
        let values = ["", "1", "2", "3", "11", "21", "12", "x", "\n", "1\n"];
        let mut places = BTreeSet::new();
        for a in values {
            for b in values {
                seen(&root, "route", &Labels::from([("a", a), ("b", b)]), &mut places);
            }
        }
        for place in unreachable {
            prop_assert!(!places.contains(place), "{place} is reached");
        }
    }
}
