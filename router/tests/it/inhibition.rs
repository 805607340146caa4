use std::collections::BTreeMap;
use std::time::SystemTime;

use birl_router::{
    ErrorKind, InhibitOptions, InhibitRuleConfig, InhibitScratch, InhibitedBy, Inhibition, Labels,
    Matchers,
};
use proptest::prelude::*;
use serde_json::json;

use crate::at;

/// No slot at all.
const NONE: [u32; 0] = [];

fn rules(json: serde_json::Value) -> Vec<InhibitRuleConfig> {
    serde_json::from_value(json).expect("valid rules")
}

fn inhibition(json: serde_json::Value) -> Inhibition {
    Inhibition::new(&rules(json), InhibitOptions::default()).expect("consistent rules")
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

/// Fires, and says which others are to be judged again.
fn fires(inhibition: &mut Inhibition, slot: u32, pairs: &[(&str, &str)], since: u64) -> Vec<u32> {
    let mut changed = Vec::new();
    assert!(inhibition.fires(slot, &labels(pairs), at(since), &mut changed));
    changed
}

fn over(inhibition: &mut Inhibition, slot: u32) -> Vec<u32> {
    let mut changed = Vec::new();
    inhibition.over(slot, &mut changed);
    changed
}

/// The slots below `n` that are inhibited.
fn muted(inhibition: &Inhibition, n: u32) -> Vec<u32> {
    (0..n).filter(|slot| inhibition.inhibited(*slot).is_some()).collect()
}

fn severity() -> serde_json::Value {
    json!([{
        "source_matchers": ["severity=\"critical\""],
        "target_match": { "severity": "warning" },
        "equal": ["service"]
    }])
}

#[test]
fn a_source_mutes_its_targets_until_the_last_one_is_over() {
    let mut inhibition = inhibition(severity());
    let warning = [("severity", "warning"), ("service", "db")];
    let critical = [("severity", "critical"), ("service", "db")];
    assert_eq!(fires(&mut inhibition, 0, &warning, 0), NONE);
    assert_eq!(fires(&mut inhibition, 1, &critical, 1), [0]);
    assert_eq!(inhibition.inhibited(0), Some(InhibitedBy { rule: 0, source: 1 }));
    assert_eq!(inhibition.inhibited(1), None);
    assert_eq!(inhibition.rule_name(0), Some("inhibit_rules[0]"));

    // A second source of the same values is not forgotten when the first is over.
    let second = [("severity", "critical"), ("service", "db"), ("host", "h2")];
    assert_eq!(fires(&mut inhibition, 2, &second, 2), NONE, "nothing changes for the target");
    assert_eq!(over(&mut inhibition, 1), NONE);
    assert_eq!(inhibition.inhibited(0), Some(InhibitedBy { rule: 0, source: 2 }));
    assert_eq!(over(&mut inhibition, 2), [0]);
    assert_eq!(inhibition.inhibited(0), None);
    assert_eq!(over(&mut inhibition, 2), NONE, "twice is once");

    // A report that comes again changes nothing; other labels of the same slot do.
    fires(&mut inhibition, 1, &critical, 3);
    assert_eq!(fires(&mut inhibition, 1, &critical, 3), NONE);
    let elsewhere = [("severity", "critical"), ("service", "web")];
    assert_eq!(fires(&mut inhibition, 1, &elsewhere, 3), [0]);
    assert_eq!(inhibition.inhibited(0), None);
}

#[test]
fn pain_07_labels_that_both_lack_agree_unless_they_have_to_be_there() {
    for (require, muted) in [(false, true), (true, false)] {
        let mut rules = severity();
        rules[0]["require_equal_present"] = json!(require);
        let mut inhibition = inhibition(rules);
        fires(&mut inhibition, 0, &[("severity", "warning")], 0);
        fires(&mut inhibition, 1, &[("severity", "critical")], 0);
        assert_eq!(inhibition.inhibited(0).is_some(), muted);
    }
}

#[test]
fn labels_of_different_names_can_be_the_pair_that_agrees() {
    let mut inhibition = inhibition(json!([{
        "name": "uplink",
        "source_matchers": ["alertname=SwitchDown"],
        "target_matchers": ["alertname=HostUnreachable"],
        "equal": ["site"],
        "equal_pairs": { "uplink": "switch" }
    }]));
    let host = |uplink| [("alertname", "HostUnreachable"), ("site", "b"), ("uplink", uplink)];
    fires(&mut inhibition, 0, &host("s1"), 0);
    fires(&mut inhibition, 1, &host("s2"), 0);
    let switch = [("alertname", "SwitchDown"), ("site", "b"), ("switch", "s1")];
    assert_eq!(fires(&mut inhibition, 2, &switch, 0), [0]);
    assert_eq!(muted(&inhibition, 3), [0]);
    assert_eq!(inhibition.rule_name(0), Some("uplink"));
}

#[test]
fn who_matches_both_sides_is_inhibited_by_one_sided_sources_alone() {
    // Alertmanager's example: a cluster that is down mutes all else in it, whatever that is.
    let mut inhibition = inhibition(json!([{
        "source_matchers": ["alertname=\"ClusterDown\""], "equal": ["cluster"]
    }]));
    let down = |by| [("alertname", "ClusterDown"), ("cluster", "a"), ("by", by)];
    fires(&mut inhibition, 0, &down("x"), 0);
    fires(&mut inhibition, 1, &down("y"), 0);
    fires(&mut inhibition, 2, &[("alertname", "Disk"), ("cluster", "a")], 0);
    assert_eq!(muted(&inhibition, 3), [2]);

    let mut inhibition = self::inhibition(json!([{
        "source_matchers": ["a=1"], "target_matchers": ["b=1"]
    }]));
    fires(&mut inhibition, 0, &[("a", "1"), ("b", "1")], 0);
    fires(&mut inhibition, 1, &[("a", "1"), ("b", "1"), ("c", "1")], 0);
    assert_eq!(muted(&inhibition, 2), NONE);
    assert_eq!(fires(&mut inhibition, 2, &[("a", "1")], 0), [0, 1]);
    assert_eq!(muted(&inhibition, 3), [0, 1]);
    assert_eq!(over(&mut inhibition, 2), [0, 1]);
}

#[test]
fn what_is_inhibited_inhibits_all_the_same() {
    let mut inhibition = inhibition(json!([
        { "source_matchers": ["n=a"], "target_matchers": ["n=b"] },
        { "source_matchers": ["n=b"], "target_matchers": ["n=c"] }
    ]));
    for (slot, n) in [(0, "a"), (1, "b"), (2, "c")] {
        fires(&mut inhibition, slot, &[("n", n)], 0);
    }
    assert_eq!(muted(&inhibition, 3), [1, 2]);
    assert_eq!(over(&mut inhibition, 0), [1]);
    assert_eq!(muted(&inhibition, 3), [2]);
}

/// `a → b → c → a`.
fn circle() -> serde_json::Value {
    json!([
        { "source_matchers": ["n=a"], "target_matchers": ["n=b"] },
        { "source_matchers": ["n=b"], "target_matchers": ["n=c"] },
        { "source_matchers": ["n=c"], "target_matchers": ["n=a"] },
        { "source_matchers": ["n=out"], "target_matchers": ["n=b"] }
    ])
}

#[test]
fn of_a_circle_the_alert_that_began_first_is_told() {
    let mut inhibition = inhibition(circle());
    fires(&mut inhibition, 0, &[("n", "a")], 3);
    fires(&mut inhibition, 1, &[("n", "b")], 1);
    assert_eq!(muted(&inhibition, 3), [1]);
    assert_eq!(fires(&mut inhibition, 2, &[("n", "c")], 2), [0, 1], "it closes the circle");
    assert_eq!(muted(&inhibition, 3), [0, 2]);

    // From outside of its circle it is inhibited like any other.
    assert_eq!(fires(&mut inhibition, 3, &[("n", "out")], 9), [1]);
    assert_eq!(muted(&inhibition, 4), [0, 1, 2]);
    assert_eq!(over(&mut inhibition, 3), [1]);
    assert_eq!(muted(&inhibition, 4), [0, 2]);

    // It opens: what is left is a chain.
    assert_eq!(over(&mut inhibition, 1), [0, 2]);
    assert_eq!(muted(&inhibition, 4), [0]);

    // Of those that began together, the first by labels.
    let mut inhibition = self::inhibition(circle());
    for (slot, n) in [(7, "c"), (8, "b"), (9, "a")] {
        fires(&mut inhibition, slot, &[("n", n)], 0);
    }
    assert_eq!(muted(&inhibition, 10), [7, 8]);

    let alertmanager = InhibitOptions::alertmanager();
    let mut inhibition = Inhibition::new(&rules(circle()), alertmanager).unwrap();
    for (slot, n) in [(0, "c"), (1, "b"), (2, "a")] {
        fires(&mut inhibition, slot, &[("n", n)], 0);
    }
    assert_eq!(muted(&inhibition, 3), [0, 1, 2], "Alertmanager mutes them all");
}

#[test]
fn a_web_that_is_too_large_mutes_all_until_it_is_small_again() {
    let mut inhibition = inhibition(json!([
        { "source_matchers": ["n=a"], "target_matchers": ["n=b"] },
        { "source_matchers": ["n=b"], "target_matchers": ["n=a"] }
    ]));
    let mut fire = |slot: u32| {
        let n = if slot.is_multiple_of(2) { "a" } else { "b" };
        let labels = Labels::from([("n", n.to_owned()), ("i", slot.to_string())]);
        inhibition.fires(slot, &labels, at(u64::from(slot)), &mut Vec::new());
        (muted(&inhibition, 400).len(), inhibition.unsearched_cycles())
    };
    let told = (0..256).map(&mut fire).collect::<Vec<_>>();
    assert_eq!(told[255], (255, 0), "one of 256 is told");
    assert_eq!(fire(256), (256, 1), "the next one is not searched; it is no source of the first");
    assert_eq!(fire(257), (258, 2), "this one is");
    (258..300).for_each(|slot| {
        fire(slot);
    });
    let mut changed = Vec::new();
    for slot in 0..298 {
        inhibition.over(slot, &mut changed);
    }
    assert_eq!(muted(&inhibition, 400), [299], "298 began first");
    assert!(changed.contains(&298));
}

#[test]
fn bounds_make_it_tell_too_much_and_are_counted() {
    for (max_alerts, max_places) in [(2, 100), (100, 2)] {
        let mut options = InhibitOptions::default();
        (options.max_alerts, options.max_places) = (max_alerts, max_places);
        let mut inhibition = Inhibition::new(&rules(severity()), options).unwrap();
        let warning = labels(&[("severity", "warning")]);
        for (slot, tracked) in [(0, true), (1, true), (2, false)] {
            assert_eq!(inhibition.fires(slot, &warning, at(0), &mut Vec::new()), tracked);
        }
        assert_eq!((inhibition.untracked(), inhibition.len()), (1, 2));
        inhibition.over(0, &mut Vec::new());
        assert!(inhibition.fires(2, &warning, at(0), &mut Vec::new()), "there is room again");
    }
}

#[test]
fn pain_08_a_rule_without_a_source_is_refused_with_the_remedy() {
    for (rule, kind, message) in [
        (
            json!({ "target_matchers": ["severity=\"notify\""] }),
            ErrorKind::InvalidConfig,
            "inhibit_rules[0]: source_matchers is missing, so whatever else happens to fire would mute the targets: \
             name what must be firing; to never hear of the targets, give them a route to a receiver without entries",
        ),
        (
            json!({ "source_matchers": ["a=1"], "equal": [""] }),
            ErrorKind::InvalidConfig,
            "inhibit_rules[0]: equal: the name of a label is empty",
        ),
        (
            json!({ "source_matchers": ["a=1"], "require_equal_present": true }),
            ErrorKind::InvalidConfig,
            "inhibit_rules[0]: require_equal_present needs labels",
        ),
        (
            json!({ "source_match_re": { "a": "(" } }),
            ErrorKind::InvalidMatcher,
            "inhibit_rules[0].source_matchers.matcher `a=~\"(\"`: ",
        ),
    ] {
        let error = Inhibition::new(&rules(json!([rule])), InhibitOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().starts_with(message), "{error}");
    }
    let target_only = rules(json!([{ "target_matchers": ["a=1"] }]));
    assert!(Inhibition::new(&target_only, InhibitOptions::alertmanager()).is_ok());
    let error =
        serde_json::from_value::<InhibitRuleConfig>(json!({ "equals": ["a"] })).unwrap_err();
    assert!(error.to_string().contains("unknown field `equals`"), "{error}");
}

/// A rule by its definition.
#[derive(Debug, Clone)]
struct PlainRule {
    source: Matchers,
    target: Matchers,
    pairs: Vec<(&'static str, &'static str)>,
    present: bool,
}

impl PlainRule {
    fn inhibits(&self, source: &Labels, target: &Labels) -> bool {
        let both = |labels| self.source.matches(labels) && self.target.matches(labels);
        self.source.matches(source)
            && self.target.matches(target)
            && !(both(source) && both(target))
            && self.pairs.iter().all(|(of_target, of_source)| {
                let value = source.get(of_source);
                value == target.get(of_target) && !(self.present && value.is_empty())
            })
    }
}

type Firing = BTreeMap<u32, (Labels, SystemTime)>;

/// For each firing alert: its first rule that has a source to inhibit it, and all sources of that rule that do.
fn plain_answers(
    rules: &[PlainRule],
    firing: &Firing,
    break_cycles: bool,
) -> BTreeMap<u32, Option<(u32, Vec<u32>)>> {
    let edge = |s: &u32, t: &u32| {
        s != t && rules.iter().any(|rule| rule.inhibits(&firing[s].0, &firing[t].0))
    };
    // Reachability, by Warshall.
    let slots: Vec<u32> = firing.keys().copied().collect();
    let mut reach: BTreeMap<(u32, u32), bool> = BTreeMap::new();
    for s in &slots {
        for t in &slots {
            reach.insert((*s, *t), edge(s, t));
        }
    }
    for via in &slots {
        for s in &slots {
            for t in &slots {
                if reach[&(*s, *via)] && reach[&(*via, *t)] {
                    reach.insert((*s, *t), true);
                }
            }
        }
    }
    let together = |a: u32, b: u32| a == b || reach[&(a, b)] && reach[&(b, a)];
    let rank = |slot: u32| (firing[&slot].1, &firing[&slot].0, slot);
    let answer = |slot: u32| {
        let circle: Vec<u32> =
            slots.iter().copied().filter(|other| together(slot, *other)).collect();
        let is_first = break_cycles && circle.iter().all(|other| rank(slot) <= rank(*other));
        rules.iter().zip(0..).find_map(|(rule, index)| {
            let sources: Vec<u32> = slots
                .iter()
                .copied()
                .filter(|s| *s != slot && rule.inhibits(&firing[s].0, &firing[&slot].0))
                .filter(|s| !(is_first && circle.contains(s)))
                .collect();
            (!sources.is_empty()).then_some((index, sources))
        })
    };
    slots.iter().map(|slot| (*slot, answer(*slot))).collect()
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn a_rule() -> impl Strategy<Value = (InhibitRuleConfig, PlainRule)> {
    let matcher = prop_oneof![
        5 => (0..3_usize, "[123]").prop_map(|(n, v)| format!("{}=\"{v}\"", NAMES[n])),
        1 => (0..3_usize, "[123]").prop_map(|(n, v)| format!("{}!=\"{v}\"", NAMES[n])),
        1 => (0..3_usize, "[123]").prop_map(|(n, v)| format!("{}=~\"{v}|2\"", NAMES[n])),
        1 => (0..3_usize).prop_map(|n| format!("{}=~\".*\"", NAMES[n])),
    ];
    let side = |least| prop::collection::vec(matcher.clone(), least..3);
    let pairs = prop::collection::vec((0..3_usize, 0..3_usize, prop::bool::weighted(0.8)), 0..3);
    (side(1), side(0), pairs, any::<bool>()).prop_map(|(source, target, pairs, present)| {
        let pairs: BTreeMap<&str, &str> = pairs
            .into_iter()
            .map(|(t, s, same)| (NAMES[t], if same { NAMES[t] } else { NAMES[s] }))
            .collect();
        let present = present && !pairs.is_empty();
        let (equal, others): (Vec<_>, Vec<_>) = pairs.iter().partition(|(t, s)| t == s);
        let config = json!({
            "source_matchers": source, "target_matchers": target,
            "equal": equal.iter().map(|(t, _)| t).collect::<Vec<_>>(),
            "equal_pairs": others.into_iter().collect::<BTreeMap<_, _>>(),
            "require_equal_present": present,
        });
        let config: InhibitRuleConfig = serde_json::from_value(config).unwrap();
        let plain = PlainRule {
            source: config.source_matchers.clone(),
            target: config.target_matchers.clone(),
            pairs: pairs.into_iter().collect(),
            present,
        };
        (config, plain)
    })
}

#[derive(Debug, Clone)]
enum Step {
    Fires { slot: u32, values: [usize; 3], since: u64 },
    Over { slot: u32 },
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u32..12, prop::array::uniform3(0_usize..4), 0_u64..4)
            .prop_map(|(slot, values, since)| Step::Fires { slot, values, since }),
        1 => (0_u32..12).prop_map(|slot| Step::Over { slot }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64 * ProptestConfig::default().cases / 256, ..ProptestConfig::default() })]
    /// After every step of any story the answer for every alert is the one by definition, and whoever's answer has
    /// changed was told of.
    #[test]
    fn pain_06_no_source_is_forgotten_and_all_agrees_with_a_plain_scan(
        rules in prop::collection::vec(a_rule(), 1..6),
        steps in prop::collection::vec(a_step(), 1..40),
        break_cycles in prop::bool::weighted(0.8),
    ) {
        let (configs, rules): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
        let mut options = InhibitOptions::default();
        options.break_cycles = break_cycles;
        let mut ours = Inhibition::new(&configs, options).unwrap();
        let (mut firing, mut scratch) = (Firing::new(), InhibitScratch::default());
        let mut before = BTreeMap::new();
        for step in steps {
            let mut changed = Vec::new();
            let moved = match step {
                Step::Fires { slot, values, since } => {
                    let values = NAMES.into_iter().zip(values.map(|v| ["", "1", "2", "3"][v]));
                    let labels: Labels = values.collect();
                    prop_assert!(ours.fires(slot, &labels, at(since), &mut changed));
                    firing.insert(slot, (labels, at(since)));
                    slot
                }
                Step::Over { slot } => {
                    ours.over(slot, &mut changed);
                    firing.remove(&slot);
                    slot
                }
            };
            let expected = plain_answers(&rules, &firing, break_cycles);
            for slot in 0..12 {
                let plain = expected.get(&slot).and_then(Option::as_ref);
                let by = ours.inhibited(slot);
                prop_assert_eq!(by.map(|by| by.rule), plain.map(|(rule, _)| *rule), "slot {}", slot);
                if let (Some(by), Some((_, sources))) = (by, plain) {
                    prop_assert!(sources.contains(&by.source), "{by:?} of {sources:?}");
                }
                let was: Option<bool> = before.get(&slot).copied();
                if slot != moved && was.is_some_and(|was| was != plain.is_some()) {
                    prop_assert!(changed.contains(&slot), "slot {slot} changed untold: {changed:?}");
                }
            }
            prop_assert!(!changed.contains(&moved) && changed.is_sorted());
            before = expected.iter().map(|(slot, answer)| (*slot, answer.is_some())).collect();

            // Labels that are not tracked: as if they began to fire last.
            let labels: Labels = [("a", "1"), ("b", "2")].into_iter().collect();
            firing.insert(99, (labels.clone(), at(1_000)));
            let plain = plain_answers(&rules, &firing, break_cycles).remove(&99).flatten();
            firing.remove(&99);
            let by = ours.inhibited_labels(&labels, &mut scratch);
            prop_assert_eq!(by.map(|by| by.rule), plain.map(|(rule, _)| rule));
        }
        for slot in 0..12 {
            ours.over(slot, &mut Vec::new());
        }
        prop_assert!(ours.is_empty());
    }
}
