//! How often a server that is away is dialled.

use std::time::Duration;

use tokio::time::Instant;

/// The pause after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause. Less than the period of a tick, so that no tick is skipped for its sake.
const LONGEST: Duration = Duration::from_secs(10);

/// Lets everybody through to a server that answers, and one at a time, after growing pauses, to one
/// that does not: a server that is coming back is not met by a storm, and one that is gone costs
/// nine dials a minute however many queries it has.
#[derive(Debug, Default)]
pub(super) struct Gate {
    failures: u32,
    /// Whether somebody is finding out.
    probing: bool,
    next: Option<Instant>,
}

/// Who was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The server answers, as far as is known.
    Open,
    /// It did not, and this one finds out whether it does now.
    Probe,
}

impl Gate {
    /// A pass, or how long it is until there is one.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Pass, Duration> {
        let Some(next) = self.next else { return Ok(Pass::Open) };
        let wait = next.saturating_duration_since(now);
        if self.probing || !wait.is_zero() {
            return Err(wait);
        }
        self.probing = true;
        Ok(Pass::Probe)
    }

    /// The server answered something.
    pub(super) fn reached(&mut self) {
        *self = Self::default();
    }

    /// It did not.
    pub(super) fn failed(&mut self, pass: Pass, now: Instant) {
        if pass == Pass::Probe {
            self.probing = false;
        } else if self.next.is_some() {
            return; // One of many that were under way when the first of them failed.
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.next = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_without_a_server_is_nine_dials_for_any_number_of_queries() {
        let (mut gate, begun) = (Gate::default(), Instant::now());
        let mut dials = vec![];
        for tenth in 0..600 {
            let now = begun + Duration::from_millis(100 * tenth);
            let passes: Vec<Pass> = (0..50).filter_map(|_| gate.enter(now).ok()).collect();
            if tenth > 0 {
                assert!(passes.len() <= 1, "at {tenth}");
            }
            for pass in &passes {
                gate.failed(*pass, now);
            }
            if !passes.is_empty() {
                dials.push(tenth / 10);
            }
        }
        assert_eq!(dials, [0, 1, 3, 7, 15, 25, 35, 45, 55]);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_probe_at_a_time_and_it_opens_the_gate_for_all() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        gate.failed(Pass::Open, now);
        let later = now + LONGEST;
        assert_eq!(gate.enter(later), Ok(Pass::Probe));
        assert!(gate.enter(later).is_err(), "one at a time");
        gate.failed(Pass::Probe, later);
        assert_eq!(gate.enter(later + LONGEST), Ok(Pass::Probe));
        gate.reached();
        assert_eq!(gate.enter(later + LONGEST), Ok(Pass::Open));
    }
}
