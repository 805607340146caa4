//! Windows, episodes, groups, time, and replacement of the rules.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use birl_rules_dsl::{
    Change, Engine, EngineConfig, Event, FieldPath, Intent, Record, Scratch, Status, Value,
    Withheld,
};
use serde_json::json;

use crate::common::{Bench, at, compile, hits, short};

const SLOW: &str = "
rules:
  - name: slow_requests
    when: latency_ms > 300 && count(10s) by service >= 3
    then: [notify('web'), \"scale('api', '+2')\"]
    labels: {severity: page}
    annotations: {summary: \"{{service}}: {{$count}} slow, last {{latency_ms}} ms, {{route}}\"}
";

const ERROR: &str = "{name: error, when: level == 'error', by: [host], then: notify()}";

#[test]
fn the_example_of_the_language_fires_as_written() {
    let mut bench = Bench::new(
        r#"
when: "cpu_usage > 90"
where: "cluster == 'prod' && node_type == 'backend'"
then: "send_pagerduty('HIGH_CPU')"
"#,
    );
    let record = |cpu: i64, cluster: &str| json!({"cpu_usage": cpu, "cluster": cluster, "node_type": "backend"});
    assert!(bench.feed(0.0, record(90, "prod")).is_empty());
    assert!(bench.feed(1.0, record(95, "test")).is_empty());
    let fired = bench.feed(2.0, record(95, "prod"));
    assert_eq!(short(&fired), ["+test.yaml#1{}"]);
    assert_eq!(fired[0].intents.len(), 1);
    assert_eq!(fired[0].intents[0].to_string(), "send_pagerduty('HIGH_CPU')");
    assert_eq!(fired[0].labels["alertname"], "test.yaml#1");
    assert_eq!(fired[0].explain.to_string(), "rule test.yaml#1 fired: cpu_usage (95) > 90");
}

/// What is scaled can be traced back to the record that asked for it.
#[test]
fn a_firing_that_scales_carries_the_trace_of_its_record() {
    let trace = |then: &str, value: serde_json::Value| {
        let rule = format!("{{name: e, when: level == 'error', by: [id], then: \"{then}\"}}");
        let mut bench = Bench::new(&rule);
        let fired = bench.feed(0.0, json!({"level": "error", "id": 1, "trace_id": value}));
        assert_eq!(fired.len(), 1);
        fired[0].trace_id.as_deref().map(str::to_owned)
    };
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(trace("scale('api', '+1')", json!(id)).as_deref(), Some(id));
    assert_eq!(trace("notify()", json!(id)), None, "nothing that needs it");
    for none in [json!(""), json!(7), json!("x".repeat(129))] {
        assert_eq!(trace("scale('api', '+1')", none), None);
    }
}

#[test]
fn a_window_rule_fires_when_the_count_is_reached_and_ends_when_it_falls() {
    let mut bench = Bench::new(SLOW);
    let slow = || json!({"latency_ms": 412, "service": "shop"});
    assert!(bench.feed(0.0, slow()).is_empty());
    assert!(bench.feed(1.0, json!({"latency_ms": 20, "service": "shop"})).is_empty());
    assert!(bench.feed(2.0, slow()).is_empty());
    let fired = bench.feed(3.0, slow());
    assert_eq!(short(&fired), ["+slow_requests{shop}"]);
    let firing = &fired[0];
    assert_eq!(
        firing.explain.to_string(),
        "rule slow_requests fired for service=shop: latency_ms (412) > 300, \
         3 records in 10s (needs >= 3)"
    );
    assert_eq!(firing.annotations["summary"], "shop: 3 slow, last 412 ms, <missing:route>");
    let labels: Vec<_> = firing.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["alertname=slow_requests", "service=shop", "severity=page"]);
    assert!(matches!(
        &firing.intents[1],
        Intent::Scale { target, change: Change::By(2), .. } if target == "api"
    ));
    // The record of second 0 leaves at second 10; lines have stopped, only the clock moves.
    assert_eq!(bench.engine.next_deadline(), Some(at(10.0)));
    assert!(bench.tick(9.999).is_empty());
    let ended = bench.tick(10.0);
    assert_eq!(short(&ended), ["-slow_requests{shop}"]);
    assert_eq!(ended[0].episode, firing.episode);
    assert_eq!(ended[0].event_time, at(10.0));
    assert_eq!(ended[0].annotations, firing.annotations);
    assert_eq!(
        ended[0].explain.to_string(),
        "rule slow_requests resolved for service=shop: fewer than 3 records in 10s"
    );
    assert_eq!(bench.engine.next_deadline(), None);
}

#[test]
fn an_episode_begins_once_goes_on_and_a_new_one_has_a_new_identity() {
    let mut bench = Bench::new("{name: r, when: x > 1, then: notify(), keep_firing_for: 10s}");
    let first = bench.feed(0.0, json!({"x": 2}));
    let again = bench.feed(9.0, json!({"x": 3}));
    assert_eq!((short(&first), short(&again)), (vec!["+r{}".into()], vec!["=r{}".into()]));
    assert_eq!(first[0].episode, again[0].episode);
    assert!(bench.tick(18.9).is_empty(), "the repeat prolonged it");
    assert_eq!(short(&bench.tick(19.0)), ["-r{}"]);
    let second = bench.feed(30.0, json!({"x": 2}));
    assert_ne!(second[0].episode.id, first[0].episode.id);
    // A replay gives the same identities.
    let mut replay = Bench::new("{name: r, when: x > 1, then: notify(), keep_firing_for: 10s}");
    assert_eq!(replay.feed(0.0, json!({"x": 2}))[0].episode, first[0].episode);
}

#[test]
fn an_episode_ends_in_event_time_inside_one_large_batch() {
    let rules = compile("{name: r, when: x > 1, then: notify(), keep_firing_for: 10s}");
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let records = [0.0, 5.0, 40.0].map(|time| (time, json!({"x": 2})));
    let firings = engine.advance(hits(&rules, &records), at(40.0));
    assert_eq!(short(&firings), ["+r{}", "=r{}", "-r{}", "+r{}"]);
    assert_eq!(firings[2].event_time, at(15.0));
}

#[test]
fn a_burst_in_one_batch_is_told_once() {
    let rules = compile("{name: r, when: x > 1, then: notify()}");
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let records: Vec<_> = (0..1000).map(|i| (0.0, json!({"x": 2 + i}))).collect();
    let firings = engine.advance(hits(&rules, &records), at(0.0));
    assert_eq!(short(&firings), ["+r{}", "=r{}"]);
    assert_eq!((firings[0].matched, firings[1].matched), (1, 999));
    assert!(firings[1].explain.to_string().contains("x (1001) > 1"), "{}", firings[1].explain);
    assert_eq!(engine.stats().rules["r"].repeat, 999);
}

#[test]
fn groups_do_not_mix_and_a_missing_field_is_a_group_of_its_own() {
    let mut bench = Bench::new(ERROR);
    assert_eq!(short(&bench.feed(0.0, json!({"level": "error", "host": "a"}))), ["+error{a}"]);
    assert_eq!(short(&bench.feed(0.0, json!({"level": "error", "host": "b"}))), ["+error{b}"]);
    let lost = bench.feed(0.0, json!({"level": "error"}));
    assert_eq!(short(&lost), ["+error{<missing>}"]);
    assert_eq!(short(&bench.feed(1.0, json!({"level": "error", "host": 7}))), ["+error{7}"]);
    assert_eq!(short(&bench.feed(1.0, json!({"level": "error", "host": "a"}))), ["=error{a}"]);
}

#[test]
fn a_dotted_group_field_makes_a_label_that_prometheus_accepts() {
    let mut bench = Bench::new("{name: r, when: x > 1, by: [http.host], then: notify()}");
    let fired = bench.feed(0.0, json!({"x": 2, "http": {"host": "a"}}));
    assert_eq!(fired[0].labels["http_host"], "a");
    assert_eq!(fired[0].group["http.host"], "a");
}

#[test]
fn old_records_open_nothing_and_say_so_once_a_minute() {
    let mut bench = Bench::new(ERROR);
    let error = || json!({"level": "error", "host": "a"});
    let old = bench.feed_at(0.0, 86_400.0, error());
    assert_eq!(short(&old), ["?error{a}"]);
    assert!(matches!(old[0].withheld, Some(Withheld::TooOld { age, limit, .. })
        if age == Duration::from_secs(86_400) && limit == Duration::from_secs(300)));
    assert!(
        old[0].explain.to_string().contains("withheld: the record is 1d old, the limit is 5m"),
        "{}",
        old[0].explain
    );
    assert!(bench.feed_at(1.0, 86_401.0, error()).is_empty(), "told already in this minute");
    assert_eq!(bench.feed_at(2.0, 86_470.0, error()).len(), 1);
    assert_eq!(bench.engine.stats().rules["error"].too_old, 3);
    // Nothing was opened, so a fresh record begins an episode.
    assert_eq!(short(&bench.feed(86_471.0, error())), ["+error{a}"]);
}

#[test]
fn old_records_feed_windows() {
    let mut bench = Bench::with(SLOW, |config| {
        config.max_event_age = Some(Duration::from_secs(3));
    });
    let slow = || json!({"latency_ms": 412, "service": "shop"});
    assert!(bench.feed_at(0.0, 4.0, slow()).is_empty());
    assert!(bench.feed_at(0.5, 4.0, slow()).is_empty());
    assert_eq!(short(&bench.feed_at(0.9, 4.0, slow())), ["?slow_requests{shop}"]);
    assert_eq!(short(&bench.feed_at(4.5, 4.5, slow())), ["+slow_requests{shop}"]);
}

#[test]
fn without_a_limit_every_record_acts() {
    let mut bench = Bench::with(ERROR, |config| config.max_event_age = None);
    let fired = bench.feed_at(0.0, 86_400.0, json!({"level": "error", "host": "a"}));
    assert!(short(&fired).contains(&"+error{a}".to_owned()), "{:?}", short(&fired));
}

#[test]
fn one_bad_clock_moves_nobody_elses_window() {
    let mut bench = Bench::new(SLOW);
    let slow = || json!({"latency_ms": 412, "service": "shop"});
    // Says it comes from a year ahead; counts as now.
    assert!(bench.feed_at(31_536_000.0, 0.0, slow()).is_empty());
    assert!(bench.feed(0.5, slow()).is_empty());
    assert_eq!(short(&bench.feed(1.0, slow())), ["+slow_requests{shop}"]);
    assert_eq!(bench.engine.stats().rules["slow_requests"].future, 1);
    assert_eq!(short(&bench.tick(10.1)), ["-slow_requests{shop}"]);
}

#[test]
fn a_record_out_of_order_counts_if_the_window_still_holds_it() {
    let mut bench = Bench::new(SLOW);
    let slow = || json!({"latency_ms": 412, "service": "shop"});
    assert!(bench.feed_at(9.0, 9.0, slow()).is_empty());
    assert!(bench.feed_at(0.5, 9.1, slow()).is_empty());
    assert_eq!(short(&bench.feed_at(8.0, 9.2, slow())), ["+slow_requests{shop}"]);
    assert!(bench.feed_at(-1.0, 9.3, slow()).is_empty(), "a window length behind the newest");
    assert_eq!(bench.engine.stats().rules["slow_requests"].late, 1);
}

#[test]
fn a_source_that_lags_is_judged_by_its_own_time() {
    let mut bench = Bench::new(SLOW);
    let slow = |service: &str| json!({"latency_ms": 412, "service": service});
    for step in 0..3 {
        let now = f64::from(step);
        bench.feed_at(now, now, slow("prompt"));
        let lagging = bench.feed_at(now - 120.0, now, slow("lagging"));
        assert_eq!(lagging.len(), usize::from(step == 2), "the third record makes three");
    }
}

#[test]
fn the_stalest_group_goes_first_and_its_episode_is_ended() {
    let mut bench = Bench::with(ERROR, |config| config.max_groups = 2);
    let error = |host: &str| json!({"level": "error", "host": host});
    bench.feed(0.0, error("a"));
    bench.feed(1.0, error("b"));
    bench.feed(2.0, error("a"));
    let third = bench.feed(3.0, error("c"));
    assert_eq!(short(&third), ["-error{b}", "+error{c}"]);
    assert!(third[0].explain.to_string().contains("limit"), "{}", third[0].explain);
    let stats = bench.engine.stats().rules["error"].clone();
    assert_eq!((stats.evicted, stats.groups), (1, 2));
}

#[test]
fn windows_together_are_bounded_too() {
    let text = "{name: r, when: count(1h) by k >= 500, then: notify()}";
    let mut bench = Bench::with(text, |config| config.max_window_records = 1000);
    // Thirty groups, one after the other, a hundred records each: ten of them fit.
    for i in 0..3000 {
        bench.feed(f64::from(i) / 100.0, json!({"k": i / 100}));
    }
    let stats = bench.engine.stats().rules["r"].clone();
    assert!((9..=11).contains(&stats.groups), "{stats:?}");
    assert_eq!(stats.evicted + stats.groups, 30);
}

#[test]
fn idle_groups_are_forgotten() {
    let mut bench = Bench::new(SLOW);
    for i in 0..100 {
        bench.feed(0.0, json!({"latency_ms": 400, "service": i}));
    }
    assert_eq!(bench.engine.stats().rules["slow_requests"].groups, 100);
    bench.tick(3600.0);
    assert_eq!(bench.engine.stats().rules["slow_requests"].groups, 0);
}

#[test]
fn a_count_beyond_what_is_kept_is_a_lower_bound_and_says_so() {
    let mut bench = Bench::new("{name: r, when: count(1h) >= 2, then: notify()}");
    let rules = Arc::clone(&bench.rules);
    let records: Vec<_> = (0..1500).map(|i| (f64::from(i) / 10.0, json!({}))).collect();
    let fired = bench.engine.advance(hits(&rules, &records), at(150.0));
    let last = fired.last().unwrap().explain.to_string();
    assert!(last.contains("at least 1000 records in 1h (needs >= 2)"), "{last}");
}

#[test]
fn unchanged_rules_keep_windows_and_episodes_over_a_replacement() {
    let slow = || json!({"latency_ms": 412, "service": "shop"});
    let mut bench = Bench::new(SLOW);
    bench.feed(0.0, slow());
    bench.feed(1.0, slow());
    // Another spelling, another annotation, another rule beside it: the same rule.
    let text = SLOW.replace("latency_ms > 300", "(latency_ms) >  300").replace("slow, last", "!")
        + "  - {name: other, when: x > 1, then: notify()}\n";
    bench.replace(&text);
    let fired = bench.feed(2.0, slow());
    assert_eq!(short(&fired), ["+slow_requests{shop}"], "two before and one after make three");
    bench.replace(SLOW);
    assert_eq!(short(&bench.feed(3.0, slow())), ["=slow_requests{shop}"], "the episode goes on");
    assert_eq!(short(&bench.tick(11.1)), ["-slow_requests{shop}"]);
}

#[test]
fn a_changed_or_removed_rule_ends_its_episodes() {
    let mut bench = Bench::new(ERROR);
    let error = || json!({"level": "error", "host": "a"});
    bench.feed(0.0, error());
    bench.replace(&ERROR.replace("'error'", "'fatal'"));
    assert_eq!(bench.engine.next_deadline(), Some(std::time::UNIX_EPOCH), "wants a tick at once");
    // The first hits of the new set say that no old ones are on their way.
    let ended = bench.feed(1.0, json!({}));
    assert_eq!(short(&ended), ["-error{a}"]);
    assert!(ended[0].explain.to_string().ends_with("the rule was removed or changed"));
    bench.feed(2.0, json!({"level": "fatal", "host": "a"}));
    bench.replace("rules: []");
    assert!(bench.tick(3.0).is_empty(), "hits of the old set may still come");
    assert_eq!(short(&bench.tick(4.0)), ["-error{a}"]);
    assert_eq!(bench.engine.next_deadline(), None);
    assert!(bench.engine.stats().rules.is_empty(), "no dead series");
}

#[test]
fn hits_are_judged_whole_by_the_set_that_made_them() {
    let mut bench = Bench::new(SLOW);
    let slow = || json!({"latency_ms": 412, "service": "shop"});
    bench.feed(0.0, slow());
    bench.feed(1.0, slow());
    let on_its_way = hits(&bench.rules, &[(2.0, slow())]);
    bench.replace(&SLOW.replace(">= 3", ">= 300"));
    let fired = bench.engine.advance(on_its_way, at(2.0));
    assert_eq!(short(&fired), ["+slow_requests{shop}"], "by the old threshold and the old window");
    let ended = bench.feed(3.0, slow());
    assert_eq!(short(&ended), ["-slow_requests{shop}"], "and then the old rule is gone");
}

#[test]
fn hits_of_a_rule_long_gone_still_count_for_what_they_are() {
    let mut bench = Bench::new(ERROR);
    let late = hits(&bench.rules, &[(0.0, json!({"level": "error", "host": "a"}))]);
    bench.replace("rules: []");
    bench.feed(1.0, json!({}));
    assert_eq!(short(&bench.engine.advance(late, at(1.0))), ["+error{a}"]);
    assert_eq!(short(&bench.tick(2.0)), Vec::<String>::new());
    assert_eq!(short(&bench.tick(3.0)), ["-error{a}"]);
}

#[test]
fn a_firing_is_data() {
    let mut bench = Bench::new(SLOW);
    let mut fired = Vec::new();
    for i in 0..3 {
        fired = bench.feed(f64::from(i), json!({"latency_ms": 412.5, "service": "shop"}));
    }
    let data = serde_json::to_value(&fired[0]).unwrap();
    assert_eq!(data["status"], "firing");
    assert_eq!(data["event_time"], "2023-11-14T22:13:22Z");
    assert_eq!(data["intents"][1]["change"]["by"], 2);
    assert_eq!(data["explain"]["window"]["count"], 3);
    assert_eq!(data["explain"]["values"][0]["field"], "latency_ms");
    assert_eq!(data["explain"]["values"][0]["value"], 412.5);
    assert_eq!(fired[0].status, Status::Firing);
}

#[test]
fn a_window_episode_ends_though_single_records_trickle_on() {
    let mut bench =
        Bench::new("{name: r, when: count(10s) >= 3, keep_firing_for: 60s, then: notify()}");
    for second in 0..3 {
        bench.feed(f64::from(second), json!({}));
    }
    // The count fell below three at second 10, and no single record brings it back.
    assert!(bench.feed(40.0, json!({})).is_empty());
    assert!(bench.feed(69.0, json!({})).is_empty());
    assert_eq!(bench.engine.next_deadline(), Some(at(70.0)));
    let ended = bench.tick(70.0);
    assert_eq!(short(&ended), ["-r{}"]);
    assert_eq!(ended[0].event_time, at(70.0));
}

#[test]
fn hits_on_their_way_fill_the_templates_of_their_own_set() {
    let text = |summary: &str| {
        format!("{{name: r, when: x > 1, then: notify(), annotations: {{s: '{summary}'}}}}")
    };
    let mut bench = Bench::new(&text("{{b}}"));
    let on_its_way = hits(&bench.rules, &[(0.0, json!({"x": 2, "a": "A", "b": "B"}))]);
    bench.replace(&text("{{a}} and {{b}}"));
    let fired = bench.engine.advance(on_its_way, at(0.0));
    assert_eq!(fired[0].annotations["s"], "B");
    let again = bench.feed(1.0, json!({"x": 2, "a": "A", "b": "B"}));
    assert_eq!(short(&again), ["=r{}"], "the same rule and episode");
    assert_eq!(again[0].annotations["s"], "A and B");
}

#[test]
fn a_clock_set_back_blinds_no_window_and_keeps_no_episode_open() {
    let hour = 3600.0;
    let mut bench = Bench::new(&format!("{SLOW}  - {ERROR}\n"));
    let slow = || json!({"latency_ms": 412, "service": "shop"});
    bench.feed(hour, slow());
    bench.feed(hour, json!({"level": "error", "host": "a"}));
    // The clock was an hour ahead. Records and clock go on from where they should have been.
    bench.feed(1.0, slow());
    let fired = bench.feed(2.0, slow());
    assert_eq!(short(&fired), ["+slow_requests{shop}"]);
    assert_eq!(bench.engine.stats().rules["slow_requests"].late, 0);
    assert_eq!(short(&bench.tick(11.0)), ["-slow_requests{shop}"]);
    assert_eq!(bench.engine.next_deadline(), Some(at(301.0)));
    assert_eq!(short(&bench.tick(301.0)), ["-error{a}"]);
    assert_eq!(bench.engine.next_deadline(), None);
}

#[test]
fn whoever_makes_up_groups_gets_few_words_about_old_records() {
    let mut bench = Bench::new(ERROR);
    let records: Vec<_> = (0..5_000).map(|i| (0.0, json!({"level": "error", "host": i}))).collect();
    let told = bench.engine.advance(hits(&bench.rules, &records), at(86_400.0));
    assert_eq!(told.len(), 100);
    assert_eq!(bench.engine.stats().rules["error"].too_old, 5_000);
    let next_minute = bench.engine.advance(hits(&bench.rules, &records[..10]), at(86_460.0));
    assert_eq!(next_minute.len(), 10);
}

#[test]
fn a_hit_keeps_a_bounded_part_of_a_list_too() {
    let mut bench = Bench::new("{name: r, when: tags contains 'x', then: notify()}");
    let long = vec![json!("x"), json!("y".repeat(500)), json!("z".repeat(100_000))];
    let many = vec![json!("x"); 100_000];
    for tags in [long, many] {
        let fired = bench.feed(0.0, json!({ "tags": tags }));
        let kept = serde_json::to_string(&fired[0].explain.values).unwrap();
        assert!(kept.contains("\"x\"") && kept.len() < 2_000, "{} bytes", kept.len());
    }
}

#[test]
fn the_sentence_comes_without_the_line_and_without_the_rule() {
    struct Line(serde_json::Value);
    impl Record for Line {
        fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
            Record::get(&self.0, path)
        }
        fn line(&self) -> Option<Cow<'_, str>> {
            Some("GET /cart; line: 7".into())
        }
    }
    let rules =
        compile(&format!("{SLOW}  - {{name: plain, when: latency_ms > 400, then: notify()}}\n"));
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let record = Line(json!({"latency_ms": 412, "service": "shop"}));
    let events = [Event::new(&record, at(0.0)); 3];
    let fired = engine.advance(rules.matches(events, &mut Scratch::new()), at(0.0));
    assert_eq!(short(&fired), ["+plain{}", "=plain{}", "+slow_requests{shop}"]);
    let explain = &fired[2].explain;
    let cause = "for service=shop: latency_ms (412) > 300, 3 records in 10s (needs >= 3)";
    assert_eq!(explain.cause(), cause);
    assert_eq!(explain.sentence(), format!("rule slow_requests fired {cause}"));
    assert_eq!(
        explain.to_string(),
        format!("rule slow_requests fired {cause}; line: GET /cart; line: 7")
    );
    assert_eq!(fired[0].explain.cause(), "latency_ms (412) > 400");
    let ended = engine.tick(at(10.0));
    assert_eq!(ended[0].explain.cause(), "for service=shop: fewer than 3 records in 10s");
    assert_eq!(ended[0].explain.sentence(), ended[0].explain.to_string());
}

#[test]
fn no_record_breaks_the_sentence_or_reaches_the_terminal() {
    let mut bench =
        Bench::new("{name: r, when: user != 'x' && line != '', by: [host], then: notify()}");
    let fired =
        bench.feed(0.0, json!({"user": "a\nrule r resolved", "host": "\u{1b}[2J", "line": "l"}));
    assert_eq!(
        fired[0].explain.to_string(),
        "rule r fired for host=\u{fffd}[2J: user (a\u{fffd}rule r resolved) != 'x' && line (l) != ''"
    );
    assert_eq!(fired[0].group["host"], "\u{1b}[2J", "as data it is what it is");
}

/// However long they are: what is kept of a list to explain a firing is not what tells groups apart.
#[test]
fn groups_of_long_lists_do_not_mix() {
    let mut bench = Bench::new("{name: r, when: x, then: notify(), by: [ids]}");
    let list = |last: i64| (0..64).chain([last]).collect::<Vec<i64>>();
    let fired: Vec<_> = [65, 66, 65]
        .map(|last| short(&bench.feed(0.0, json!({"x": true, "ids": list(last)}))))
        .concat();
    assert_eq!(fired.iter().filter(|one| one.starts_with('+')).count(), 2, "{fired:?}");
}
