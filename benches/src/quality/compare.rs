//! One policy beside the baseline, in percent, with intervals.

use birl_scaler::simulate::{Random, Score};

/// How often the seeds are drawn anew for an interval.
const DRAWS: usize = 1000;

/// What fixes those draws.
const DRAW_SEED: u64 = 20_260_105;

/// How much more or less than the baseline, in percent of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Change {
    pub(crate) late: f64,
    pub(crate) pod_hours: f64,
    pub(crate) adaptations: f64,
    pub(crate) instability: f64,
}

impl Change {
    pub(crate) fn of(ours: &Score, baseline: &Score) -> Self {
        let percent = |of: fn(&Score) -> f64| 100.0 * (of(ours) / of(baseline) - 1.0);
        Self {
            late: percent(|score| score.late),
            pod_hours: percent(|score| score.pod_seconds),
            adaptations: percent(Score::adaptations),
            instability: percent(Score::instability),
        }
    }

    pub(crate) fn list(self) -> [f64; 4] {
        [self.late, self.pod_hours, self.adaptations, self.instability]
    }
}

/// The sum of scores.
pub(crate) fn sum<'a>(scores: impl IntoIterator<Item = &'a Score>) -> Score {
    let mut all = Score::default();
    for score in scores {
        all += *score;
    }
    all
}

/// Between what bounds 95 % of the changes lie when the seeds are drawn anew, with repetition:
/// Efron's percentile bootstrap. `strata` are kinds of load; each has a pair (ours, baseline) a seed,
/// and gives as many as it has.
pub(crate) fn intervals(strata: &[Vec<(Score, Score)>]) -> [(f64, f64); 4] {
    let mut random = Random::new(DRAW_SEED);
    let mut drawn: [Vec<f64>; 4] = Default::default();
    for _ in 0..DRAWS {
        let (mut ours, mut baseline) = (Score::default(), Score::default());
        for pairs in strata {
            for _ in pairs {
                let (one, other) = pairs[random.below(pairs.len())];
                ours += one;
                baseline += other;
            }
        }
        for (list, value) in drawn.iter_mut().zip(Change::of(&ours, &baseline).list()) {
            list.push(value);
        }
    }
    drawn.map(|mut list| {
        list.sort_by(f64::total_cmp);
        let at = |part: f64| list[((list.len() - 1) as f64 * part).round() as usize];
        (at(0.025), at(0.975))
    })
}
