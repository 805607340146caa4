//! Inhibition rules that mute more than they seem to, or each other.

use std::collections::{BTreeMap, BTreeSet};

use super::implies::Premises;
use super::{Lint, LintCode, all, pattern, patterns};
use crate::{Config, Labels, MatchOp, Matcher};

/// So many pairs of rules are looked at for cycles.
const MAX_PAIRS: usize = 100_000;

/// One rule, its older forms included.
struct Rule {
    place: String,
    source: Vec<Matcher>,
    target: Vec<Matcher>,
    /// Labels of the target, and of the source, that must agree.
    equal: Vec<(String, String)>,
    /// They have to be there.
    present: bool,
}

pub(super) fn check(config: &Config, lints: &mut Vec<Lint>) {
    let rules = rules(config);
    for rule in &rules {
        for (side, matchers) in [("source", &rule.source), ("target", &rule.target)] {
            let place = format!("{}.{side}_matchers", rule.place);
            matchers.iter().for_each(|matcher| patterns::check(matcher, &place, lints));
        }
        if rule.source.is_empty() {
            let message = "the rule has no source matchers, so any firing alert is a source";
            let remedy = "name what has to fire: `source_matchers: [alertname=\"…\"]`";
            lints.push(Lint::new(LintCode::AnySource, &rule.place, message, remedy));
        }
        equal(rule, lints);
    }
    cycles(&rules, lints);
}

/// A missing label is an empty one, and two empty ones agree.
fn equal(rule: &Rule, lints: &mut Vec<Lint>) {
    let (source, target): (Premises<'_>, Premises<'_>) =
        (rule.source.iter().collect(), rule.target.iter().collect());
    // Every alert of Prometheus has a name.
    let present = |(of_target, of_source): &(String, String)| {
        of_target == "alertname"
            || of_source == "alertname"
            || source.demand(of_source)
            || target.demand(of_target)
    };
    if rule.present || rule.equal.is_empty() || rule.equal.iter().any(present) {
        return;
    }
    let names: BTreeSet<String> = rule.equal.iter().map(|(_, name)| format!("`{name}`")).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let first = rule.equal.first().map(|(_, name)| name.as_str()).unwrap_or_default();
    let message = format!(
        "two alerts that both lack {names} agree in that, so that a source without mutes every target without"
    );
    let remedy =
        format!("add `{first}!=\"\"` to the source matchers, or set `require_equal_present: true`");
    lints.push(Lint::new(
        LintCode::EqualMayBeAbsent,
        format!("{}.equal", rule.place),
        message,
        remedy,
    ));
}

/// Pairs of alerts that mute each other: each is built and tried, so what is said is true of at least these two.
fn cycles(rules: &[Rule], lints: &mut Vec<Lint>) {
    let pairs = rules.iter().enumerate().flat_map(|(i, first)| {
        rules.get(i..).unwrap_or_default().iter().map(move |second| (first, second))
    });
    for (first, second) in pairs.take(MAX_PAIRS) {
        let Some((one, other)) = cycle(first, second) else { continue };
        let message = format!(
            "by this rule {other} mutes {one}, and by {} {one} mutes {other}: with both firing, one is told by birl, and none by Alertmanager",
            if first.place == second.place { "the same" } else { &second.place }
        );
        let remedy = "narrow one of the two, so that no alert is a source of both";
        lints.push(Lint::new(LintCode::InhibitionCycle, &first.place, message, remedy));
    }
}

/// An alert that `first` mutes by the other, and which by `second` mutes the other.
fn cycle(first: &Rule, second: &Rule) -> Option<(Labels, Labels)> {
    if first.source.is_empty() || second.source.is_empty() {
        return None; // said already
    }
    let mut one = example(first.target.iter().chain(&second.source))?;
    let mut other = example(second.target.iter().chain(&first.source))?;
    // What one of them has and has to be equal, the other one gets. Twice, since the rules may hand it on.
    for _ in 0..2 {
        for (of_one, of_other) in &first.equal {
            agree(&mut one, of_one, &mut other, of_other);
        }
        for (of_other, of_one) in &second.equal {
            agree(&mut one, of_one, &mut other, of_other);
        }
    }
    let (one, other) = (Labels::from(one), Labels::from(other));
    let mutes = |rule: &Rule, source: &Labels, target: &Labels| {
        let on = |matchers: &[Matcher], labels| matchers.iter().all(|m| m.matches(labels));
        // An alert on both sides is not muted by one that is on both sides, too.
        let both = |labels| on(&rule.source, labels) && on(&rule.target, labels);
        on(&rule.source, source)
            && on(&rule.target, target)
            && !(both(source) && both(target))
            && rule.equal.iter().all(|(of_target, of_source)| {
                let (value, other) = (target.get(of_target), source.get(of_source));
                value == other && !(rule.present && value.is_empty())
            })
    };
    (one != other && mutes(first, &other, &one) && mutes(second, &one, &other))
        .then_some((one, other))
}

/// Labels that may fulfill all conditions; whether they do is seen by trying.
fn example<'a>(conditions: impl Iterator<Item = &'a Matcher>) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for condition in conditions {
        let value = match condition.op() {
            MatchOp::Equal => condition.value().to_owned(),
            MatchOp::Regex => match pattern::texts(condition.value()) {
                Some(texts) => texts.into_iter().next()?,
                // Any text will do for most patterns that are none.
                None => "x".to_owned(),
            },
            MatchOp::NotEqual if condition.value().is_empty() => "x".to_owned(),
            _ => continue,
        };
        labels.entry(condition.name().to_owned()).or_insert(value);
    }
    Some(labels)
}

fn agree(
    one: &mut BTreeMap<String, String>,
    of_one: &str,
    other: &mut BTreeMap<String, String>,
    of_other: &str,
) {
    match (one.get(of_one).cloned(), other.get(of_other).cloned()) {
        (Some(value), None) => {
            other.insert(of_other.to_owned(), value);
        }
        (None, Some(value)) => {
            one.insert(of_one.to_owned(), value);
        }
        (None, None) => {
            one.insert(of_one.to_owned(), "x".to_owned());
            other.insert(of_other.to_owned(), "x".to_owned());
        }
        (Some(_), Some(_)) => {}
    }
}

fn rules(config: &Config) -> Vec<Rule> {
    let rules = config.inhibit_rules.iter().enumerate();
    let rules = rules.map(|(i, rule)| {
        let same = rule.equal.iter().map(|name| (name.clone(), name.clone()));
        let pairs =
            rule.equal_pairs.iter().map(|(target, source)| (target.clone(), source.clone()));
        Rule {
            place: format!("inhibit_rules[{i}]"),
            source: all(&rule.source_matchers, &rule.source_match, &rule.source_match_re),
            target: all(&rule.target_matchers, &rule.target_match, &rule.target_match_re),
            equal: same.chain(pairs).collect(),
            present: rule.require_equal_present,
        }
    });
    rules.collect()
}
