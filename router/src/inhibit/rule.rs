//! A rule, checked and compiled.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{InhibitOptions, InhibitRuleConfig};
use crate::error::{Error, ErrorKind};
use crate::{Labels, MatchOp, Matcher, Matchers};

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) source: Matchers,
    pub(super) target: Matchers,
    pub(super) pairs: Pairs,
    pub(super) require_present: bool,
}

/// The labels that must have the same values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pairs(Vec<Pair>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    source: Box<str>,
    target: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Target,
}

impl Rule {
    pub(super) fn compile(
        config: &InhibitRuleConfig,
        place: &str,
        options: &InhibitOptions,
    ) -> Result<Self, Error> {
        let c = config;
        let within = |side: &'static str| move |e: Error| e.within(side).within(place);
        let source = conjunction(&c.source_matchers, &c.source_match, &c.source_match_re)
            .map_err(within("source_matchers"))?;
        let target = conjunction(&c.target_matchers, &c.target_match, &c.target_match_re)
            .map_err(within("target_matchers"))?;
        let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidConfig, place, message));
        if source.is_empty() && !options.allow_empty_source {
            return invalid(
                "source_matchers is missing, so whatever else happens to fire would mute the targets: name what must be \
                 firing; to never hear of the targets, give them a route to a receiver without entries",
            );
        }
        let equal = c.equal.iter().map(|name| (name, name)).chain(&c.equal_pairs);
        let pairs: BTreeSet<Pair> = equal
            .map(|(target, source)| Pair {
                source: source.as_str().into(),
                target: target.as_str().into(),
            })
            .collect();
        if pairs.iter().any(|pair| pair.source.is_empty() || pair.target.is_empty()) {
            return invalid("equal: the name of a label is empty: remove it");
        }
        if c.require_equal_present && pairs.is_empty() {
            return invalid("require_equal_present needs labels in `equal` or `equal_pairs`");
        }
        Ok(Self {
            name: c.name.clone().unwrap_or_else(|| place.to_owned()),
            source,
            target,
            pairs: Pairs(pairs.into_iter().collect()),
            require_present: c.require_equal_present,
        })
    }
}

impl Pairs {
    /// The values that must agree, as seen from one side.
    pub(super) fn values<'a>(
        &'a self,
        side: Side,
        labels: &'a Labels,
    ) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(move |pair| match side {
            Side::Source => labels.get(&pair.source),
            Side::Target => labels.get(&pair.target),
        })
    }
}

/// All matchers of a side, the older forms included.
fn conjunction(
    matchers: &Matchers,
    equal: &BTreeMap<String, String>,
    regex: &BTreeMap<String, String>,
) -> Result<Matchers, Error> {
    let mut all = matchers.clone();
    for (op, map) in [(MatchOp::Equal, equal), (MatchOp::Regex, regex)] {
        for (name, value) in map {
            all.push(Matcher::new(name, op, value)?);
        }
    }
    Ok(all)
}
