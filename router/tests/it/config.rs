use std::time::Duration;

use birl_router::{
    Config, EndpointConfig, ErrorKind, Matcher, ReceiverConfig, RouteConfig, Router, SlaTier,
};
use serde_json::{Value, json};

/// Everything that can be written, in one configuration.
fn whole() -> Value {
    json!({
        "global": { "resolve_timeout": "5m" },
        "route": {
            "receiver": "all",
            "group_by": ["..."],
            "repeat_interval": "1h30m",
            "sla": 3,
            "routes": [{
                "matchers": ["team=~\"api|web\"", "env!=\"dev\""],
                "receiver": "oncall",
                "continue": true,
                "repeat_interval": "250ms",
                "sla": 1
            }]
        },
        "receivers": [
            { "name": "all", "stdout_configs": [{ "send_resolved": false }] },
            { "name": "oncall", "endpoints": [
                { "name": "eu", "distance": 1, "webhook": { "url": "http://eu.example/hook", "timeout": "3s" } },
                { "stdout": {} },
                { "name": "pager", "host": {} }
            ], "webhook_configs": [{ "url": "http://log.example/", "send_resolved": false }] }
        ],
        "dedup_window": "2m",
        "external_url": "http://birl.example",
        "sla_tiers": { "tier1": "20ms" },
        "health": { "failures": 5, "rtt_budget": "2s" },
        "limits": { "max_alerts": 10 }
    })
}

#[test]
fn reads_and_writes_every_key() {
    let config: Config = serde_json::from_value(whole()).unwrap();
    assert_eq!(config.global.resolve_timeout, Some(Duration::from_secs(300)));
    assert_eq!(config.dedup_window, Duration::from_secs(120));
    assert_eq!(config.route.repeat_interval, Some(Duration::from_secs(5400)));
    assert_eq!(config.route.routes[0].sla, Some(SlaTier::One));
    assert_eq!(config.sla_tiers.budget(SlaTier::One), Duration::from_millis(20));
    assert_eq!(config.sla_tiers.budget(SlaTier::Two), Duration::from_millis(200));
    assert_eq!(config.receivers[1].webhook_configs[0].timeout, Duration::from_secs(10));
    assert_eq!(config.health.failures, 5);
    let again: Config = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
    assert_eq!(again, config);
    Router::new(config).unwrap();
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config: Config = serde_json::from_value(json!({
        "route": { "receiver": "all" },
        "receivers": [{ "name": "all", "webhook_configs": [{ "url": "http://a.example" }] }]
    }))
    .unwrap();
    let route = RouteConfig::to("all");
    let receiver = ReceiverConfig::new("all").webhook("http://a.example");
    assert_eq!(config, Config::new(route, [receiver]));
    assert_eq!(config.dedup_window, Duration::from_secs(300));
    assert_eq!(config.global.resolve_timeout, None);
    assert_eq!(config.limits.max_alerts, 100_000);
    assert!(config.receivers[0].webhook_configs[0].send_resolved);
}

/// Configurations end up in logs; tokens in URLs must not.
#[test]
fn debug_keeps_the_urls_secrets() {
    for url in ["https://me:secret@a.example:8080/secret?t=secret", "http://a.example:8080?secret"]
    {
        let receiver = birl_router::ReceiverConfig::new("r").webhook(url);
        let text = format!("{receiver:?}");
        assert!(!text.contains("secret") && text.contains("://a.example:8080/…"), "{text}");
    }
}

#[test]
fn a_misspelt_key_is_an_error_that_names_it() {
    for (path, key) in [("", "recievers"), ("/route", "reciever"), ("/limits", "max_alert")] {
        let mut value = whole();
        value.pointer_mut(path).unwrap()[key] = json!("x");
        let error = serde_json::from_value::<Config>(value).expect_err(key).to_string();
        assert!(error.contains(&format!("unknown field `{key}`")), "{error}");
    }
}

#[test]
fn a_bad_value_is_an_error_that_says_how_to_write_it() {
    for (path, key, value, expected) in [
        ("", "dedup_window", json!("5"), "`5` is not a duration: write it like 30s, 5m, 1h30m"),
        ("/route", "sla", json!(4), "there is no SLA tier 4: write 1, 2 or 3"),
        ("/route/routes/0", "matchers", json!(["team"]), "expected =, !=, =~ or !~"),
    ] {
        let mut config = whole();
        config.pointer_mut(path).unwrap()[key] = value;
        let error = serde_json::from_value::<Config>(config).expect_err(key).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The message that a change of the whole configuration leads to.
fn complaint(change: impl FnOnce(&mut Config)) -> String {
    let mut config: Config = serde_json::from_value(whole()).unwrap();
    change(&mut config);
    let error = Router::new(config).expect_err("the change makes it inconsistent");
    let kinds = [ErrorKind::InvalidConfig, ErrorKind::InvalidMatcher];
    assert!(kinds.contains(&error.kind()), "{error}");
    error.to_string()
}

#[test]
fn an_inconsistent_configuration_is_refused_with_place_and_remedy() {
    let child = |c: &mut Config, change: fn(&mut RouteConfig)| change(&mut c.route.routes[0]);
    assert_eq!(
        complaint(|c| child(c, |r| r.receiver = Some("onncall".into()))),
        "route.routes[0]: there is no receiver `onncall`: did you mean `oncall`?"
    );
    assert_eq!(
        complaint(|c| c.route.receiver = Some("somebody".into())),
        "route: there is no receiver `somebody`: the receivers are: all, oncall"
    );
    assert_eq!(
        complaint(|c| c.route.receiver = None),
        "route: name the default receiver: `receiver: NAME`"
    );
    assert_eq!(
        complaint(|c| c.route.matchers = Matcher::parse("a=b").unwrap().into()),
        "route: the root route takes every alert: move its matchers to a child"
    );
    assert_eq!(
        complaint(|c| c.route.continue_matching = true),
        "route: the root route has no siblings: remove `continue`"
    );
    assert_eq!(
        complaint(|c| child(c, |r| r.repeat_interval = Some(Duration::ZERO))),
        "route.routes[0]: `repeat_interval` must be longer than zero"
    );
    let complained = complaint(|c| {
        child(c, |r| {
            r.match_re.insert("a".into(), "(".into());
        });
    });
    assert!(complained.starts_with("route.routes[0].matcher `a=~\"(\"`: "), "{complained}");
    assert_eq!(
        complaint(|c| c.receivers.push(ReceiverConfig::new("all"))),
        "receivers[2]: there are two receivers `all`"
    );
    assert_eq!(
        complaint(|c| c.receivers.push(ReceiverConfig::default())),
        "receivers[2]: the receiver's name is missing: `name: NAME`"
    );
    assert_eq!(
        complaint(|c| c.receivers[1].endpoints.push(EndpointConfig::default())),
        "receivers[1]: endpoints[3] needs exactly one of `webhook`, `stdout` and `host`"
    );
    assert_eq!(
        complaint(|c| c.receivers[1].endpoints.push(EndpointConfig::host("eu", 1))),
        "receivers[1]: there are two endpoints `oncall/eu`: give each a name of its own"
    );
    assert_eq!(complaint(|c| c.limits.max_alerts = 0), "limits.max_alerts: must be at least 1");
    let deep =
        (0..100).fold(RouteConfig::default(), |inner, _| RouteConfig::default().route(inner));
    let deep = complaint(|c| c.route.routes.push(deep));
    assert!(deep.ends_with("routes nest deeper than 64"), "{deep}");
}

#[test]
fn a_bad_replacement_keeps_the_old_configuration() {
    let mut router = crate::simple_router();
    let version = router.version();
    let bad = Config::new(RouteConfig::to("nobody"), []);
    assert!(router.replace(bad, crate::at(1)).is_err());
    assert_eq!(router.version(), version);
    let told = crate::told_by(&router.route(crate::alert("A", 0), crate::at(0)));
    assert_eq!(told, ["all:firing"]);
}
