//! One headline number beside its limit or rival of the same run.

use std::fmt;

use serde::Serialize;

/// How a figure is measured: a median of at least this many rounds.
pub const ROUNDS: usize = 5;

/// What is printed; the shape of one `--json` line.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// What is measured.
    pub name: &'static str,
    /// The median of the rounds.
    pub value: f64,
    /// What `value` and `reference_value` are told in.
    pub unit: &'static str,
    /// What it is measured against, in words.
    pub reference: &'static str,
    /// The median of the rounds.
    pub reference_value: f64,
    /// `value / reference_value`.
    pub ratio: f64,
    /// What decides whether it holds.
    pub target: Target,
    /// Whether it holds.
    pub ok: bool,
}

/// What decides: nearly always the ratio, since machines differ and are noisy.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// More is better.
    RatioAtLeast(f64),
    /// Less is better.
    RatioAtMost(f64),
    /// A promise in absolute terms: a share of a core, a delay, an amount of memory.
    ValueBelow(f64),
}

impl Figure {
    /// Takes the medians of what the rounds gave: pairs of value and reference.
    #[must_use]
    pub fn of_rounds(
        name: &'static str,
        unit: &'static str,
        reference: &'static str,
        target: Target,
        rounds: &[(f64, f64)],
    ) -> Self {
        let value = median(rounds.iter().map(|round| round.0));
        let reference_value = median(rounds.iter().map(|round| round.1));
        // Pair by pair, so that a machine whose speed drifts does not bend the ratio.
        let ratio = median(rounds.iter().map(|round| round.0 / round.1));
        let ok = match target {
            Target::RatioAtLeast(limit) => ratio >= limit,
            Target::RatioAtMost(limit) => ratio <= limit,
            Target::ValueBelow(limit) => value < limit,
        };
        Self { name, value, unit, reference, reference_value, ratio, target, ok }
    }

    /// A promise that nothing else can be measured against: the budget is its own reference.
    #[must_use]
    pub fn of_budget(name: &'static str, unit: &'static str, value: f64, budget: f64) -> Self {
        let rounds = [(value, budget)];
        Self::of_rounds(name, unit, "the budget", Target::ValueBelow(budget), &rounds)
    }

    /// Prints it: a row of a table, or a line of JSON.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    #[expect(clippy::print_stdout, reason = "printing is what the programs here are for")]
    pub fn print(&self, json: bool) -> serde_json::Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        let Self { name, value, unit, reference, reference_value, ratio, target, ok } = self;
        let mark = if *ok { "holds" } else { "FALLS SHORT" };
        let target = target.to_string();
        println!(
            "{name:<26} {value:>12.3} {unit:<6} {reference_value:>12.3}  {ratio:>8.3}  \
             {target:<14} {reference}: {mark}"
        );
        Ok(())
    }

    /// The heading of the table.
    #[must_use]
    pub fn heading() -> String {
        format!(
            "{:<26} {:>12} {:<6} {:>12}  {:>8}  {:<14} reference",
            "figure", "value", "", "reference", "ratio", "target"
        )
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(limit) => write!(f, "ratio ≥ {limit}"),
            Self::RatioAtMost(limit) => write!(f, "ratio ≤ {limit}"),
            Self::ValueBelow(limit) => write!(f, "value < {limit}"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The middle one; of an even number, the upper of the two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    percentile(values, 0.5)
}

/// The value below which the share `of` of all values lies, by nearest rank.
pub fn percentile(values: impl Iterator<Item = f64>, of: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * of) as usize;
    values.get(rank.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
