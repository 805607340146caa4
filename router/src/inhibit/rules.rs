//! All rules of a configuration, and which of them an alert stands on a side of.

use super::config::{InhibitOptions, InhibitRuleConfig};
use super::rule::{Pairs, Rule, Side};
use crate::error::Error;
use crate::index::{IndexScratch, MatcherIndex};
use crate::{Labels, Matchers};

/// The rules. What many of them have in common, the matchers of their targets and the labels that they compare, is kept
/// and asked once.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Compiled>,
    pairs: Vec<Pairs>,
    targets: Vec<TargetSide>,
    /// Sources are numbered like their rules, and target sides behind all of these.
    index: MatcherIndex,
}

#[derive(Debug)]
struct Compiled {
    name: String,
    require_present: bool,
    pairs: u32,
    target: u32,
}

/// The target side of all rules that have the same target matchers.
#[derive(Debug)]
struct TargetSide {
    matchers: Matchers,
    rules: Vec<u32>,
    /// The pairs that these compare.
    pairs: Vec<u32>,
}

/// What an alert matches. Memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Sides {
    index: IndexScratch,
    /// Rules whose source matchers hold.
    pub(super) sources: Vec<u32>,
    /// Rules whose target matchers hold.
    pub(super) targets: Vec<u32>,
    target_sides: Vec<u32>,
    /// The pairs that the targets compare.
    pairs: Vec<u32>,
}

impl Rules {
    pub(super) fn compile(
        configs: &[InhibitRuleConfig],
        options: &InhibitOptions,
    ) -> Result<Self, Error> {
        let (mut rules, mut pairs) = (Vec::new(), Vec::new());
        let (mut targets, mut index) = (Vec::<TargetSide>::new(), MatcherIndex::new());
        for (config, number) in configs.iter().zip(0..) {
            let place = format!("inhibit_rules[{number}]");
            let rule = Rule::compile(config, &place, options)?;
            index.insert(Side::Source as u32, number, &rule.source);
            let its_pairs =
                position(&mut pairs, |known| *known == rule.pairs, || rule.pairs.clone());
            let new = || TargetSide {
                matchers: rule.target.clone(),
                rules: Vec::new(),
                pairs: Vec::new(),
            };
            let target = position(&mut targets, |known| known.matchers == rule.target, new);
            if let Some(side) = targets.get_mut(target as usize) {
                side.rules.push(number);
                if !side.pairs.contains(&its_pairs) {
                    side.pairs.push(its_pairs);
                }
            }
            rules.push(Compiled {
                name: rule.name,
                require_present: rule.require_present,
                pairs: its_pairs,
                target,
            });
        }
        for (side, number) in targets.iter().zip(rules.len() as u32..) {
            index.insert(Side::Target as u32, number, &side.matchers);
        }
        Ok(Self { rules, pairs, targets, index })
    }

    pub(super) fn name(&self, rule: u32) -> Option<&str> {
        Some(&self.rules.get(rule as usize)?.name)
    }

    /// The number of the pairs that a rule compares, and they themselves.
    pub(super) fn pairs(&self, rule: u32) -> Option<(u32, &Pairs)> {
        let number = self.rules.get(rule as usize)?.pairs;
        Some((number, self.pairs.get(number as usize)?))
    }

    /// Has the alert all labels that the rule needs to compare?
    pub(super) fn can_meet(&self, rule: u32, side: Side, labels: &Labels) -> bool {
        self.rules.get(rule as usize).zip(self.pairs(rule)).is_some_and(|(compiled, (_, pairs))| {
            !compiled.require_present || pairs.values(side, labels).all(|value| !value.is_empty())
        })
    }

    /// All rules that the alert stands on a side of, ascending.
    pub(super) fn look_up(&self, labels: &Labels, sides: &mut Sides) {
        self.look_up_targets(labels, sides);
        let Sides { index, sources, targets, target_sides, .. } = sides;
        sources.clear();
        targets.clear();
        self.index.query(Side::Source as u32, labels, index, sources);
        let its_sides = target_sides.iter().filter_map(|side| self.targets.get(*side as usize));
        targets.extend(its_sides.flat_map(|side| &side.rules));
        targets.sort_unstable();
    }

    /// The pairs, with their numbers, that are compared by any rule whose target matchers hold.
    pub(super) fn look_up_targets(&self, labels: &Labels, sides: &mut Sides) {
        let Sides { index, target_sides, pairs, .. } = sides;
        target_sides.clear();
        pairs.clear();
        self.index.query(Side::Target as u32, labels, index, target_sides);
        for side in target_sides {
            *side -= self.rules.len() as u32;
            pairs.extend(self.targets.get(*side as usize).into_iter().flat_map(|side| &side.pairs));
        }
        pairs.sort_unstable();
        pairs.dedup();
    }

    /// Of the labels that were looked up: the pairs, with their numbers, that some rule on whose target side they stand
    /// compares.
    pub(super) fn target_pairs<'s>(
        &'s self,
        sides: &'s Sides,
    ) -> impl Iterator<Item = (u32, &'s Pairs)> {
        sides.pairs.iter().filter_map(|number| Some((*number, self.pairs.get(*number as usize)?)))
    }

    /// Of the labels that were looked up: do they match the target side of this rule?
    pub(super) fn is_target(&self, rule: u32, sides: &Sides) -> bool {
        let target = self.rules.get(rule as usize).map(|rule| rule.target);
        target.is_some_and(|target| sides.target_sides.binary_search(&target).is_ok())
    }

    /// Of the labels that were looked up: do they match the source side of this rule?
    pub(super) fn is_source(&self, rule: u32, labels: &Labels, sides: &Sides) -> bool {
        self.index.holds(rule, labels, &sides.index)
    }
}

/// The position of the one that is meant; it is added if it is not there.
fn position<T>(all: &mut Vec<T>, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> u32 {
    let at = all.iter().position(is_it).unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    });
    at as u32
}
