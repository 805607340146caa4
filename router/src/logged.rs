//! Alertmanager's notification log, for who asks for its rules.
//!
//! It knows of each receiver and group what the last message said, and nothing of what was told before: an alert that
//! was cut from a message by a mute is new when it comes back, and one that the message named as firing is not, whatever
//! has become of it since. Source: `DedupStage.needsUpdate` in Alertmanager's `notify/notify.go`.

use crate::Fingerprint;

/// What the last message said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logged {
    firing: Vec<Fingerprint>,
    over: Vec<Fingerprint>,
}

impl Logged {
    pub(crate) fn new(mut firing: Vec<Fingerprint>, mut over: Vec<Fingerprint>) -> Self {
        firing.sort_unstable();
        over.sort_unstable();
        Self { firing, over }
    }

    /// Did it name the alert as firing?
    pub(crate) fn fires(&self, alert: Fingerprint) -> bool {
        self.firing.binary_search(&alert).is_ok()
    }

    /// Is what would be said now worth a message, after this one?
    pub(crate) fn is_outdated_by(&self, now: &Self, wants_resolved: bool) -> bool {
        let in_over = |alert: &Fingerprint| self.over.binary_search(alert).is_ok();
        if !now.firing.iter().all(|alert| self.fires(*alert)) {
            return true;
        }
        if now.firing.is_empty() {
            return !self.firing.is_empty() && !now.over.is_empty();
        }
        wants_resolved && !now.over.iter().all(in_over)
    }

    /// Is it worth a first message?
    pub(crate) fn is_worth_telling(&self) -> bool {
        !self.firing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    fn logged(firing: &[&str], over: &[&str]) -> Logged {
        let all = |names: &[&str]| {
            names.iter().map(|name| Labels::from([("alertname", *name)]).fingerprint()).collect()
        };
        Logged::new(all(firing), all(over))
    }

    #[test]
    fn a_message_is_worth_it_when_it_says_more() {
        for (before, now, with_resolved, without) in [
            ((&["A"][..], &[][..]), (&["A"][..], &[][..]), false, false),
            ((&["A"], &[]), (&["A", "B"], &[]), true, true),
            ((&["A", "B"], &[]), (&["A"], &[]), false, false),
            ((&["A", "B"], &[]), (&["A"], &["B"]), true, false),
            ((&["A"], &["B"]), (&["A"], &["B"]), false, false),
            ((&["A"], &["B"]), (&[], &["A"]), true, true),
            ((&["A"], &[]), (&[], &["C"]), true, true),
            ((&["A"], &[]), (&[], &[]), false, false),
            ((&[], &["A"]), (&[], &["B"]), false, false),
            ((&[], &["A"]), (&["A"], &[]), true, true),
        ] {
            let (old, new) = (logged(before.0, before.1), logged(now.0, now.1));
            assert_eq!(old.is_outdated_by(&new, true), with_resolved, "{before:?} {now:?}");
            assert_eq!(old.is_outdated_by(&new, false), without, "{before:?} {now:?}");
        }
    }
}
