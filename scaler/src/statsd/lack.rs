//! Series that found no room, and for how long the rest is not the whole.

use super::refused::Refused;
use super::ring::{Nanos, PARTS};
use super::series::Rule;
use super::watch::{Statistic, Watch};

/// When a series of a watch last found no room, and of what. What is left tells too little: a sum
/// without one of its parts looks like load that went away.
#[derive(Debug, Default)]
pub(super) struct Lack(Option<(Nanos, Refused)>);

impl Lack {
    /// Notes that a line was refused, if that was for want of room.
    pub(super) fn note(&mut self, why: Refused, now: Nanos) {
        if matches!(why, Refused::TooManySeries | Refused::TooMuchMemory) {
            self.0 = Some((now, why));
        }
    }

    /// What there is to say about it, for as long as that line would have counted.
    pub(super) fn sentence(&self, rule: &Rule, now: Nanos) -> Option<String> {
        let (at, why) = self.0?;
        let Watch { metric, statistic, .. } = &rule.watch;
        let windowed = *statistic != Statistic::Value
            && rule.cut.part(at).abs_diff(rule.cut.part(now)) <= PARTS;
        if !windowed && rule.is_silent(at, now) {
            return None;
        }
        let limit = if why == Refused::TooManySeries { "series" } else { "bytes" };
        Some(format!(
            "there was no room for one of the series of `{metric}`, and the {statistic} of the rest \
             is not that of all: raise the limit of {limit}, or tell fewer of them apart"
        ))
    }
}
