//! One headline number beside its limit or rival of the same run.

use serde::Serialize;

/// What is printed; the shape of one `--json` line.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What it is measured against, in words.
    pub(crate) reference: &'static str,
    pub(crate) reference_value: f64,
    /// `value / reference_value`.
    pub(crate) ratio: f64,
    pub(crate) target: Target,
    pub(crate) ok: bool,
}

/// What decides: nearly always the ratio, since machines differ and are noisy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    /// A promise in absolute terms, far from what a slow machine does.
    ValueBelow(f64),
}

impl Figure {
    /// Takes the medians of what the rounds gave: pairs of value and reference.
    pub(crate) fn of_rounds(
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
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    percentile(values, 0.5)
}

/// The value below which the share `of` of all values lies, by nearest rank.
pub(crate) fn percentile(values: impl Iterator<Item = f64>, of: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * of) as usize;
    values.get(rank.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
