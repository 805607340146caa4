//! Flapping: an alert that fires and is over in turn, told less often, and its last state always.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;
use crate::time::Stamp;

/// When an alert flaps, and how often its changes are told then.
///
/// Each change from firing to resolved and back counts one, and fades by half every half of `within`. The idea, and the
/// order of the numbers, are Moira's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FlapConfig {
    /// So many changes are flapping; 0 never is. Default 6.
    pub changes: u32,
    /// Inside this time. Default 1h.
    #[serde(with = "duration")]
    pub within: Duration,
    /// A flapping alert's changes are told at most once in this time. Default 30m.
    #[serde(with = "duration")]
    pub delay: Duration,
}

/// How much an alert has flapped, and when that was last told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flaps {
    score: f32,
    changed_at: Stamp,
    told_at: Stamp,
}

impl Default for FlapConfig {
    fn default() -> Self {
        Self { changes: 6, within: Duration::from_secs(3600), delay: Duration::from_secs(1800) }
    }
}

impl Default for Flaps {
    fn default() -> Self {
        Self { score: 0.0, changed_at: Stamp::LONG_AGO, told_at: Stamp::LONG_AGO }
    }
}

impl Flaps {
    /// It has changed from firing to resolved, or back.
    pub(crate) fn change(&mut self, config: &FlapConfig, now: Stamp) {
        self.score = self.faded(config, now) + 1.0;
        self.changed_at = now;
    }

    /// A change of it is told now.
    pub(crate) fn tell(&mut self, now: Stamp) {
        self.told_at = now;
    }

    /// After the clock was set back.
    pub(crate) fn turn_back(&mut self, by: Duration) {
        (self.changed_at, self.told_at) = (self.changed_at.minus(by), self.told_at.minus(by));
    }

    /// Until when its changes wait, if it flaps.
    pub(crate) fn waits_until(&self, config: &FlapConfig, now: Stamp) -> Option<Stamp> {
        // A little less than the number: the first changes have faded when the last one comes.
        let flaps = config.changes > 0
            && f64::from(self.faded(config, now)) > f64::from(config.changes) * 5.0 / 6.0;
        let until = self.told_at.plus(config.delay);
        (flaps && self.told_at != Stamp::LONG_AGO && until > now).then_some(until)
    }

    fn faded(&self, config: &FlapConfig, now: Stamp) -> f32 {
        if self.score == 0.0 {
            return 0.0;
        }
        let half = (config.within / 2).as_secs_f32().max(0.001);
        let age = now.since(self.changed_at).as_secs_f32();
        self.score * (-age / half).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_ms(1_700_000_000_000 + seconds * 1000)
    }

    #[test]
    fn many_changes_in_an_hour_are_flapping_and_few_are_not() {
        let config = FlapConfig::default();
        let (mut often, mut seldom) = (Flaps::default(), Flaps::default());
        often.tell(at(0));
        seldom.tell(at(0));
        for change in 1..=6 {
            assert_eq!(often.waits_until(&config, at(change * 180 - 1)), None, "{change}");
            often.change(&config, at(change * 180));
            seldom.change(&config, at(change * 1800));
            seldom.tell(at(change * 1800));
        }
        assert_eq!(often.waits_until(&config, at(1080)), Some(at(1800)));
        assert_eq!(often.waits_until(&config, at(1800)), None, "its last state is told");
        assert_eq!(seldom.waits_until(&config, at(6 * 1800)), None);
        // Quiet for two hours, and it is an alert like any other.
        often.tell(at(1800));
        often.change(&config, at(9000));
        assert_eq!(often.waits_until(&config, at(9000)), None);
    }
}
