//! What to run when nothing has been known for a while.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::timestamp::later;

/// The size to go to when every metric has been Unknown for `after` (Kubernetes' KEP-5679).
///
/// It never goes below what there is unless `belowCurrent` says so: not to know is no reason to let
/// go. Without a fallback an Unknown target just holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Fallback {
    /// How long every metric must have been Unknown; 180 s by default.
    #[serde(with = "crate::duration::serde", default = "three_minutes")]
    pub after: Duration,
    /// The size to go to.
    pub replicas: u32,
    /// Whether it may be fewer than there are.
    #[serde(default)]
    pub below_current: bool,
}

impl Fallback {
    /// So many replicas after 3 minutes, and never fewer than there are.
    pub fn new(replicas: u32) -> Self {
        Self { after: three_minutes(), replicas, below_current: false }
    }

    /// Where it goes from `from`, if it is time.
    pub(crate) fn wanted(
        &self,
        from: u32,
        unknown_since: Option<SystemTime>,
        now: SystemTime,
    ) -> Option<u32> {
        let due = later(unknown_since?, self.after) <= now;
        let to = if self.below_current { self.replicas } else { self.replicas.max(from) };
        due.then_some(to)
    }

    pub(crate) fn check(&self, max: u32, faults: &mut Vec<String>) {
        if self.replicas > max {
            faults.push(format!(
                "fallback.replicas ({}) is above maxReplicas ({max}): lower one or raise the other",
                self.replicas
            ));
        }
        if self.after.is_zero() {
            faults.push(
                "fallback.after is 0, so that one lost sample would do: use a time such as 180s"
                    .to_owned(),
            );
        }
    }
}

fn three_minutes() -> Duration {
    Duration::from_secs(180)
}
