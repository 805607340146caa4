//! Files as Alertmanager's users have them, in `alertmanager/`: the comments at the top of each say what has to come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use birl_router::{
    AlertmanagerFile, Config, Error, ErrorKind, Labels, Matchers, Position, RouteTree, Router,
};

use crate::at;

/// Each file with its text.
fn files() -> Vec<(String, String)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/alertmanager"));
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect();
    files.sort();
    assert!(files.len() >= 12);
    files
}

/// What the comments say under this word.
fn expected<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    let begin = format!("# {word}: ");
    text.lines().filter_map(|line| line.strip_prefix(&begin)).collect()
}

/// Labels as they are written for people: a list of equalities.
fn labels(text: &str) -> Labels {
    let matchers = Matchers::parse(text).unwrap();
    matchers.iter().map(|matcher| (matcher.name(), matcher.value())).collect()
}

fn told(config: &Config, labels: &Labels) -> String {
    let tree = RouteTree::new(config).unwrap();
    let mut scratch = Default::default();
    let mut names = Vec::new();
    for route in tree.find_into(labels, &mut scratch) {
        for receiver in tree.routes()[*route as usize].receivers() {
            let name = config.receivers[*receiver].name.as_str();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.join(", ")
}

#[test]
fn files_of_all_ages_are_read_as_they_are() {
    for (name, text) in files() {
        let file = AlertmanagerFile::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expectations = expected(&text, "told");
        assert!(!expectations.is_empty(), "{name} expects nothing");
        for expectation in expectations {
            let (alert, receivers) = expectation.split_once(" -> ").unwrap();
            assert_eq!(told(&file.config, &labels(alert)), receivers, "{name}: {alert}");
        }
        let places: Vec<&str> = file.notices.iter().map(|notice| notice.place.as_str()).collect();
        assert_eq!(places, expected(&text, "notice"), "{name}");
        for notice in &file.notices {
            assert_eq!(file.position(&notice.place), Some(notice.position), "{name}: {notice}");
        }
        Router::new(file.config).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// What is read can be written by serde, and read again, as any other configuration.
#[test]
fn what_was_read_is_a_configuration_as_any_other() {
    for (name, text) in files() {
        let (config, _) = Config::from_alertmanager_yaml(&text).unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config, "{name}");
    }
}

#[test]
fn no_secret_is_shown() {
    for (name, text) in files() {
        let file = AlertmanagerFile::parse(&text).unwrap();
        let shown = format!(
            "{file:?} {:?}",
            file.notices.iter().map(ToString::to_string).collect::<Vec<_>>()
        );
        assert!(!shown.contains("sEcReT"), "{name}: {shown}");
        // Not in an error either, whatever breaks.
        for (i, line) in text.lines().enumerate().filter(|(_, line)| line.contains("sEcReT")) {
            let broken: Vec<String> = text
                .lines()
                .enumerate()
                .map(|(j, other)| match i == j {
                    true => line.replacen(": ", "_wrong: ", 1),
                    false => other.to_owned(),
                })
                .collect();
            if let Err(error) = AlertmanagerFile::parse(&broken.join("\n")) {
                assert!(!format!("{error} {error:?}").contains("sEcReT"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn alertmanagers_defaults_hold() {
    let read = |global: &str| {
        let text = format!("{global}\nroute: {{receiver: a}}\nreceivers: [{{name: a}}]");
        AlertmanagerFile::parse(&text).unwrap().config.global.resolve_timeout
    };
    let five_minutes = Some(Duration::from_secs(300));
    assert_eq!(read(""), five_minutes);
    assert_eq!(read("global:"), five_minutes);
    assert_eq!(read("global: {http_config: {}}"), five_minutes);
    assert_eq!(read("global: {resolve_timeout: 1h}"), Some(Duration::from_secs(3600)));

    // What is delivered elsewhere is told of resolves as Alertmanager would, unless the file says otherwise.
    let text = "
route: {receiver: a}
receivers:
- name: a
  slack_configs: [{api_url: 'http://x'}, {api_url: 'http://x', send_resolved: true}]
  discord_configs: [{webhook_url: 'http://x'}, {webhook_url: 'http://x', send_resolved: no}]
  webhook_configs: [{url: 'http://x', timeout: 0s}, {url: 'http://y', timeout: 3s}]";
    let (config, _) = Config::from_alertmanager_yaml(text).unwrap();
    let hosts = &config.receivers[0].host_configs;
    let found: BTreeMap<&str, bool> =
        hosts.iter().map(|host| (host.name.as_str(), host.send_resolved)).collect();
    let expected = [
        ("discord_configs/0", true),
        ("discord_configs/1", false),
        ("slack_configs/0", false),
        ("slack_configs/1", true),
    ];
    assert_eq!(found, BTreeMap::from(expected));
    let timeouts =
        config.receivers[0].webhook_configs.iter().map(|webhook| webhook.timeout.as_secs());
    assert_eq!(timeouts.collect::<Vec<_>>(), [10, 3]);
}

/// A host can deliver what birl does not: the router tells it like any other endpoint.
#[test]
fn what_birl_does_not_deliver_is_an_endpoint_of_the_host() {
    let text = "
route: {receiver: a, group_wait: 0s, group_by: ['...']}
receivers: [{name: a, slack_configs: [{api_url: 'http://x'}]}]";
    let (config, _) = Config::from_alertmanager_yaml(text).unwrap();
    let mut router = Router::new(config).unwrap();
    let routed = router.route(crate::alert("A", 0), at(0));
    assert_eq!(routed.notifications[0].endpoint.to_string(), "a/slack_configs/0");
    // Slack is not told of a resolve unless the file says so.
    let over = router.route(crate::alert("A", 0).resolved(at(600)), at(600));
    assert!(over.notifications.is_empty());
}

#[track_caller]
fn refused(text: &str) -> Error {
    let error = AlertmanagerFile::parse(text).expect_err(text);
    assert!(
        matches!(error.kind(), ErrorKind::InvalidConfig | ErrorKind::InvalidMatcher),
        "{error:?}"
    );
    error
}

const TAIL: &str = "\nreceivers: [{name: a}]\n";

#[test]
fn a_misspelt_key_is_pointed_at() {
    for (text, expected) in [
        ("rout: {}", "the file: the key `route` is missing: add `route: {receiver: NAME}`"),
        (
            "route: {receiver: a}\nrecievers: []",
            "the file (line 2, column 1): unknown key `recievers`: did you mean `receivers`?",
        ),
        (
            "route:\n  receiver: a\n  routes:\n  - matchrs: []\nreceivers: [{name: a}]",
            "route.routes[0] (line 4, column 5): unknown key `matchrs`: did you mean `matchers`?",
        ),
        (
            "global: {smtp_smarthots: x}\nroute: {receiver: a}\nreceivers: [{name: a}]",
            "global (line 1, column 10): unknown key `smtp_smarthots`: did you mean `smtp_smarthost`?",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  slak_configs: []",
            "receivers[0] (line 4, column 3): unknown key `slak_configs`: did you mean `slack_configs`?",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  slack_configs:\n  - api_url: x\n    chanel: y",
            "receivers[0].slack_configs[0] (line 6, column 5): unknown key `chanel`: did you mean `channel`?",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://x\n    http_config: {proxy_ulr: z}",
            "receivers[0].webhook_configs[0].http_config (line 6, column 19): unknown key `proxy_ulr`: did you mean `proxy_url`?",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - ulr: http://x",
            "receivers[0].webhook_configs[0] (line 5, column 5): a webhook needs `url` or `url_file`",
        ),
        (
            "route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs:\n  - url: http://x\n    max_alert: 3",
            "receivers[0].webhook_configs[0] (line 6, column 5): unknown key `max_alert`: did you mean `max_alerts`?",
        ),
    ] {
        assert_eq!(refused(text).to_string(), expected, "{text}");
    }
}

#[test]
fn what_alertmanager_refuses_is_refused() {
    for (route, expected) in [
        ("{}", "route (line 1, column 1): name the default receiver: `receiver: NAME`"),
        ("{receiver: b}", "route (line 1, column 1): there is no receiver `b`: did you mean `a`?"),
        (
            "{receiver: a, matchers: [x=\"y\"]}",
            "route (line 1, column 1): the root route takes every alert: move its matchers to a child",
        ),
        (
            "{receiver: a, match: {x: y}}",
            "route (line 1, column 1): the root route takes every alert: move its matchers to a child",
        ),
        (
            "{receiver: a, continue: true}",
            "route (line 1, column 1): the root route has no siblings: remove `continue`",
        ),
        (
            "{receiver: a, mute_time_intervals: [x]}",
            "route.mute_time_intervals (line 1, column 43): the root route takes every alert at any time: move this to a child",
        ),
        (
            "{receiver: a, active_time_intervals: [x]}",
            "route.active_time_intervals (line 1, column 45): the root route takes every alert at any time: move this to a child",
        ),
        (
            "{receiver: a, group_by: ['...', x]}",
            "route.group_by (line 1, column 32): `...` is every label already: keep it alone, or remove it",
        ),
        (
            "{receiver: a, group_by: [x, y, x]}",
            "route.group_by (line 1, column 39): `x` is here twice: keep one",
        ),
        (
            "{receiver: a, group_interval: 0s}",
            "route.group_interval (line 1, column 38): `group_interval` must be longer than zero: leave it out, or write 1s",
        ),
        (
            "{receiver: a, repeat_interval: 0m}",
            "route.repeat_interval (line 1, column 39): `repeat_interval` must be longer than zero: leave it out, or write 1s",
        ),
        (
            "{receiver: a, group_wait: 5}",
            "route.group_wait (line 1, column 34): `5` is not a duration: write it like 30s, 5m, 1h30m or 250ms",
        ),
        (
            "{receiver: a, routes: [{match: {a.b: c}}]}",
            "route.routes[0].match (line 1, column 40): a label's name is letters, digits and underscores here: `matchers` take any other name in double quotes",
        ),
        (
            "{receiver: a, routes: [{match_re: {a: }}]}",
            "route.routes[0].match_re (line 1, column 43): the pattern is missing: write it, or remove this",
        ),
        ("[a]", "route (line 1, column 8): expected a map, and there is a list"),
        (
            "{receiver: [a]}",
            "route.receiver (line 1, column 19): expected a text, and there is a list",
        ),
        (
            "{receiver: a, routes: {}}",
            "route.routes (line 1, column 30): expected a list, and there is a map",
        ),
        (
            "{receiver: a, routes: [{continue: maybe}]}",
            "route.routes[0].continue (line 1, column 42): expected true or false",
        ),
    ] {
        assert_eq!(refused(&format!("route: {route}{TAIL}")).to_string(), expected, "{route}");
    }
    // The message of a pattern is that of the engine.
    for route in ["{matchers: ['a=~\"(\"']}", "{match_re: {a: '('}}", "{matchers: ['a']}"] {
        let error = refused(&format!("route: {{receiver: a, routes: [{route}]}}{TAIL}"));
        assert!(error.place().starts_with("route.routes[0]"), "{error}");
        assert_eq!(error.position().unwrap().line, 1, "{error}");
    }
}

#[test]
fn receivers_that_alertmanager_refuses_are_refused() {
    for (receiver, expected) in [
        ("{}", "receivers[0] (line 2, column 13): the receiver's name is missing: `name: NAME`"),
        ("{name: a}, {name: a}", "receivers[1] (line 2, column 24): there are two receivers `a`"),
        (
            "{name: a, labels: {name: b}}",
            "receivers[0].labels.name (line 2, column 13): the label `name` is the receiver's name: leave it out",
        ),
        (
            "{name: a, slack_configs: [{channel: x}]}",
            "receivers[0].slack_configs[0] (line 2, column 39): slack_configs needs `api_url` or `api_url_file` or \
             `app_token` or `app_token_file` or `global.slack_api_url` or `global.slack_api_url_file` or \
             `global.slack_app_token` or `global.slack_app_token_file`",
        ),
        (
            "{name: a, pagerduty_configs: [{routing_key: x, routing_key_file: y}]}",
            "receivers[0].pagerduty_configs[0].routing_key_file (line 2, column 78): `routing_key` and \
             `routing_key_file` exclude each other: keep one",
        ),
        (
            "{name: a, email_configs: {to: x}}",
            "receivers[0].email_configs (line 2, column 38): expected a list, and there is a map",
        ),
        (
            "{name: a, webhook_configs: [{url: 'http://x', send_resolved: 3}]}",
            "receivers[0].webhook_configs[0] (line 2, column 74): expected true or false",
        ),
    ] {
        let error = refused(&format!("route: {{receiver: a}}\nreceivers: [{receiver}]\n"));
        assert_eq!(error.to_string(), expected, "{receiver}");
    }
}

#[test]
fn text_that_is_no_configuration_is_refused() {
    for (text, expected) in [
        ("", "the file: the file is empty"),
        ("# nothing", "the file: the file is empty"),
        (
            "- a",
            "the file (line 1, column 1): expected `route:` and `receivers:`, and there is a list",
        ),
        (
            "route: {receiver: a}\nroute: {}",
            "the file (line 2, column 1): the key `route` is here twice: merge the two",
        ),
        (
            "route: {receiver: a}\n---\na: b",
            "the file (line 2, column 1): a second document begins here: one file, one document",
        ),
        (
            "route: {receiver: a, routes: [&r {matchers: [a=\"1\"]}, {<<: *r, matchers: [b=\"1\"]}]}",
            "the file (line 1, column 34): `matchers` is here and in what `<<` brings in, and Alertmanager would demand both",
        ),
        ("a: *b", "the file (line 1, column 4): this is no YAML: "),
        ("route: [", "the file (line 1, column 8): this is no YAML: unclosed bracket '['"),
        ("route: &a [*a]", "the file (line 1, column 12): an alias of what it stands in"),
    ] {
        let error = refused(text).to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    let deep = format!("route: {}1{}", "[".repeat(200), "]".repeat(200));
    let error = refused(&deep).to_string();
    assert!(error.contains("nests deeper than"), "{error}");
    let bomb: String =
        (1..9).map(|i| format!("a{i}: &a{i} [{}]\n", format!("*a{},", i - 1).repeat(9))).collect();
    assert!(
        refused(&format!("a0: &a0 [x,x,x,x,x,x,x,x,x]\n{bomb}"))
            .to_string()
            .contains("copy more than")
    );
}

#[test]
fn a_place_is_found_as_far_as_it_is_there() {
    let text = "route:\n  receiver: a\n  routes:\n  - matchers: [x=\"1\"]\n  - matchers:\n    - y=\"1\"\nreceivers: [{name: a}]\n";
    let file = AlertmanagerFile::parse(text).unwrap();
    for (place, line, column) in [
        ("route", 1, 1),
        ("route.receiver", 2, 3),
        ("route.routes[1]", 5, 5),
        ("route.routes[1].matchers", 5, 5),
        ("route.routes[1].matchers[0]", 6, 7),
        ("route.routes[1].group_by", 5, 5),
        ("route.routes[7]", 3, 3),
    ] {
        let mut expected = Position::default();
        (expected.line, expected.column) = (line, column);
        assert_eq!(file.position(place), Some(expected), "{place}");
    }
    assert_eq!(file.position("nowhere"), None);
}
