//! The tables, in Markdown.

use std::fmt::Write;

use birl_scaler::simulate::Score;

use crate::case::{Case, Who};
use crate::compare::{Change, intervals, sum};

/// What a profile should reach beside the HPA's defaults, in percent.
const GOALS: [f64; 4] = [-30.0, 5.0, -50.0, 0.0];

/// Where the baseline has no more than this percentage of late requests, a tenth of what the
/// objective allows, there is nothing to win, and a ratio says nothing.
const ON_TIME: f64 = 0.1;

/// Cases, and what each policy came to in each.
pub(crate) struct Results {
    pub(crate) cases: Vec<Case>,
    /// By policy, in the order of the cases; the first is the baseline, the last the oracle.
    pub(crate) scores: Vec<Vec<Score>>,
}

impl Results {
    /// The sum of those cases that `fit`.
    fn sum(&self, policy: usize, fit: impl Fn(&Case) -> bool) -> Score {
        let both = self.cases.iter().zip(&self.scores[policy]);
        sum(both.filter(|(case, _)| fit(case)).map(|(_, score)| score))
    }

    fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self.cases.iter().map(|case| case.group.as_str()).collect();
        groups.dedup();
        groups
    }

    /// Every policy on every group, and in sum.
    pub(crate) fn table(&self, names: &[String]) -> String {
        let mut table = String::from(
            "| load | policy | late % | pod-hours | of the oracle's | changes | θU % | θO % | τU % | τO % | υ % |\n\
             | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for group in self.groups() {
            self.rows(&mut table, group, names, |case| case.group == group);
        }
        self.rows(&mut table, "**all**", names, |_| true);
        table
    }

    /// The same by the time that a pod takes to start.
    pub(crate) fn by_start(&self, names: &[String], starts: &[u64]) -> String {
        let mut table = String::from(
            "| a pod starts in | policy | late % | pod-hours | of the oracle's | changes | θU % | θO % | τU % | τO % | υ % |\n\
             | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
        for start in starts {
            let fit = |case: &Case| case.world.start_delay.as_secs() == *start;
            self.rows(&mut table, &format!("{start} s"), names, fit);
        }
        table
    }

    fn rows(&self, table: &mut String, load: &str, names: &[String], fit: impl Fn(&Case) -> bool) {
        let oracle = self.sum(names.len() - 1, &fit);
        for (policy, name) in names.iter().enumerate() {
            let score = self.sum(policy, &fit);
            let _ = writeln!(
                table,
                "| {} | {name} | {:.2} | {:.1} | {:.2} | {:.0} | {:.2} | {:.1} | {:.2} | {:.1} | {:.1} |",
                if policy == 0 { load } else { "" },
                score.late_percent(),
                score.pod_hours(),
                score.pod_hours() / oracle.pod_hours(),
                score.adaptations(),
                score.theta_under(),
                score.theta_over(),
                score.tau_under(),
                score.tau_over(),
                score.instability(),
            );
        }
    }

    /// Each policy beside the baseline, with intervals where there are seeds.
    pub(crate) fn beside_baseline(&self, names: &[String]) -> String {
        let mut table = String::from(
            "| policy, beside the HPA's defaults | late requests | pod-hours | changes | υ |\n\
             | --- | ---: | ---: | ---: | ---: |\n",
        );
        for (policy, name) in names.iter().enumerate().skip(1) {
            let change = Change::of(&self.sum(policy, |_| true), &self.sum(0, |_| true));
            let cells: Vec<String> = match self.strata(policy) {
                Some(strata) => {
                    let between = intervals(&strata);
                    let both = change.list().into_iter().zip(between);
                    both.map(|(value, (low, high))| {
                        format!("{value:+.1} % ({low:+.1} … {high:+.1})")
                    })
                    .collect()
                }
                None => change.list().iter().map(|value| format!("{value:+.1} %")).collect(),
            };
            let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
        }
        table
    }

    /// One policy beside the baseline for each group, and whether the goals are met there.
    pub(crate) fn goals(&self, policy: usize) -> String {
        let mut table = String::from(
            "| load | late requests, goal −30 % | pod-hours, goal ≤ +5 % | changes, goal −50 % | υ, goal ≤ 0 % |\n\
             | --- | ---: | ---: | ---: | ---: |\n",
        );
        let mut row = |load: &str, ours: Score, baseline: Score| {
            let changes = Change::of(&ours, &baseline).list();
            let mut cells = changes.into_iter().zip(GOALS).map(|(value, goal)| match value {
                value if value <= goal => format!("{value:+.1} %"),
                value => format!("{value:+.1} %, missed by {:.1}", value - goal),
            });
            let (before, now) = (baseline.late_percent(), ours.late_percent());
            let judged = cells.next().filter(|_| before > ON_TIME);
            let late = judged.unwrap_or_else(|| "not judged".to_owned());
            let rest: Vec<String> = cells.collect();
            let rest = rest.join(" | ");
            let _ = writeln!(table, "| {load} | {before:.2} → {now:.2} %: {late} | {rest} |");
        };
        for group in self.groups() {
            let fit = |case: &Case| case.group == group;
            row(group, self.sum(policy, fit), self.sum(0, fit));
        }
        row("**all**", self.sum(policy, |_| true), self.sum(0, |_| true));
        table
    }

    /// Pairs of the policy and the baseline, by group and seed.
    fn strata(&self, policy: usize) -> Option<Vec<Vec<(Score, Score)>>> {
        let of_group = |group: &str| {
            let mut seeds: Vec<u64> = self
                .cases
                .iter()
                .filter(|case| case.group == group)
                .map(|case| case.seed)
                .collect();
            seeds.dedup();
            let pair = |seed: u64| {
                let fit = |case: &Case| case.group == group && case.seed == seed;
                (self.sum(policy, fit), self.sum(0, fit))
            };
            seeds.into_iter().map(pair).collect::<Vec<_>>()
        };
        let strata: Vec<_> = self.groups().into_iter().map(of_group).collect();
        strata.iter().all(|pairs| pairs.len() > 1).then_some(strata)
    }
}

/// The names of `who`.
pub(crate) fn names(who: &[Who]) -> Vec<String> {
    who.iter().map(|who| who.name().to_owned()).collect()
}
