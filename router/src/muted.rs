//! Silences and inhibitions of the alerts that are remembered.
//!
//! Whether an alert is silenced or inhibited is kept in its word, and judged again when something changes: when it
//! begins to fire, when a silence begins or ends, when what inhibits it begins or ends. So it is seen at once, and a
//! group that is told asks the words alone.

use std::time::SystemTime;

use smallvec::SmallVec;

use crate::inhibit::{InhibitOptions, InhibitScratch, Inhibition};
use crate::silence::{SilenceChange, SilenceSlot};
use crate::state::Quiet;
use crate::table::Slot;
use crate::time::Stamp;
use crate::{Alert, Compat, Config, Error, Router, Silence, SilenceSet, SilenceState, Silences};

impl Router {
    /// Adds a silence, or changes the one whose id it has; see [`Silences::set`]. What it hits is silenced when this
    /// returns.
    ///
    /// # Errors
    /// As [`Silences::set`]; nothing has changed then.
    pub fn set_silence(&mut self, silence: Silence, now: SystemTime) -> Result<SilenceSet, Error> {
        let now = self.observe(now);
        let set = self.silences.set(silence, now.to_system_time())?;
        self.advance_silences(now);
        Ok(set)
    }

    /// Ends a silence. `false` if it was over already.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an id that there is not.
    pub fn expire_silence(&mut self, id: &str, now: SystemTime) -> Result<bool, Error> {
        let now = self.observe(now);
        let ended = self.silences.expire(id, now.to_system_time())?;
        self.advance_silences(now);
        Ok(ended)
    }

    /// The silences that there are.
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// The firing alerts that a silence would hit, before it is made.
    pub fn preview_silence<'a>(&'a self, silence: &'a Silence) -> impl Iterator<Item = &'a Alert> {
        let firing = self.alerts.iter().filter(|(_, tracked)| !tracked.is_over());
        silence.preview(firing.map(|(_, tracked)| (&tracked.alert, &tracked.alert.labels)))
    }

    /// The alert begins to fire: what mutes it, and whom it mutes. `anew`: it fired already, in another episode.
    pub(crate) fn begins(&mut self, slot: Slot, anew: bool, now: Stamp) {
        let Some(tracked) = self.alerts.get(slot) else { return };
        let (labels, since) = (tracked.alert.labels.clone(), tracked.began.to_system_time());
        let hitting = self.hitting(slot, now);
        if !anew {
            hitting.iter().for_each(|silence| self.silences.hit(*silence));
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.clear();
        if !self.inhibition.fires(slot, &labels, since, &mut changed) {
            self.teller.metrics.count_dropped("inhibition_full", 1);
        }
        self.mute(slot, Quiet::Silenced, !hitting.is_empty(), now);
        self.judge_inhibition(slot, now);
        changed.iter().for_each(|other| self.judge_inhibition(*other, now));
        self.changed = changed;
    }

    /// It is over: it mutes nobody any more, and a silence until resolved may end.
    pub(crate) fn ends(&mut self, slot: Slot, now: Stamp) {
        let mut ended = false;
        for silence in self.hitting(slot, now) {
            ended |= self.silences.unhit(silence, now.to_system_time());
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.clear();
        self.inhibition.over(slot, &mut changed);
        changed.iter().for_each(|other| self.judge_inhibition(*other, now));
        self.changed = changed;
        if ended {
            self.advance_silences(now);
        }
    }

    /// What mutes it now, if it is over: nothing else asks that of such an alert.
    pub(crate) fn judge_again(&mut self, slot: Slot, now: Stamp) {
        let silenced = !self.hitting(slot, now).is_empty();
        let mut scratch = InhibitScratch::default();
        let Some(tracked) = self.alerts.get(slot) else { return };
        let inhibited = self.inhibition.inhibited_labels(&tracked.alert.labels, &mut scratch);
        let inhibited = inhibited.is_some();
        self.mute(slot, Quiet::Silenced, silenced, now);
        self.mute(slot, Quiet::Inhibited, inhibited, now);
    }

    /// Silences that have begun or ended: the alerts that they hit are judged again.
    pub(crate) fn advance_silences(&mut self, now: Stamp) {
        if self.silences.next_boundary().is_none_or(|at| Stamp::of(at) > now) {
            return;
        }
        let mut changes: Vec<SilenceChange> = Vec::new();
        self.silences.advance(now.to_system_time(), &mut changes);
        for SilenceChange { slot: silence, state } in changes {
            let Some(matchers) = self.silences.get(silence).cloned() else { continue };
            let hit = self.alerts.iter().filter(|(_, tracked)| {
                !tracked.is_over() && matchers.matches(&tracked.alert.labels)
            });
            let hit: Vec<Slot> = hit.map(|(slot, _)| slot).collect();
            for slot in hit {
                if state == SilenceState::Active {
                    self.silences.hit(silence);
                }
                let silenced = !self.hitting(slot, now).is_empty();
                self.mute(slot, Quiet::Silenced, silenced, now);
            }
        }
    }

    /// Another configuration's rules, for the alerts that fire.
    pub(crate) fn inhibit_by(&mut self, inhibition: Inhibition, now: Stamp) {
        self.inhibition = inhibition;
        let firing: Vec<Slot> =
            self.alerts.iter().filter(|(_, t)| !t.is_over()).map(|(slot, _)| slot).collect();
        let mut changed = Vec::new();
        for slot in &firing {
            let Some(tracked) = self.alerts.get(*slot) else { continue };
            let since = tracked.began.to_system_time();
            if !self.inhibition.fires(*slot, &tracked.alert.labels, since, &mut changed) {
                self.teller.metrics.count_dropped("inhibition_full", 1);
            }
        }
        firing.iter().for_each(|slot| self.judge_inhibition(*slot, now));
    }

    /// Which silences hold, for a sentence.
    pub(crate) fn silenced_by(&mut self, slot: Slot, now: Stamp) -> String {
        let hitting = self.hitting(slot, now);
        let named = hitting.iter().filter_map(|silence| {
            let Silence { id, comment, .. } = self.silences.get(*silence)?;
            Some(if comment.is_empty() { id.clone() } else { format!("{id} ({comment})") })
        });
        format!("silenced by {}", named.collect::<Vec<_>>().join(", "))
    }

    /// What inhibits it, for a sentence.
    pub(crate) fn inhibited_by(&self, slot: Slot) -> String {
        let Some(by) = self.inhibition.inhibited(slot) else { return "inhibited".to_owned() };
        let rule = match self.inhibition.rule_name(by.rule) {
            Some(name) => name.to_owned(),
            None => format!("inhibit_rules[{}]", by.rule),
        };
        let source = self.alerts.get(by.source).map(|tracked| tracked.alert.labels.to_string());
        format!("inhibited by {} ({rule})", source.unwrap_or_default())
    }

    fn hitting(&mut self, slot: Slot, now: Stamp) -> SmallVec<[SilenceSlot; 2]> {
        let Some(tracked) = self.alerts.get(slot) else { return SmallVec::new() };
        if self.silences.is_empty() {
            return SmallVec::new();
        }
        let (labels, at) = (&tracked.alert.labels, now.to_system_time());
        SmallVec::from_slice(self.silences.matching(labels, at, &mut self.silence_scratch))
    }

    fn judge_inhibition(&mut self, slot: Slot, now: Stamp) {
        let inhibited = self.inhibition.inhibited(slot).is_some();
        self.mute(slot, Quiet::Inhibited, inhibited, now);
    }

    /// A reason begins to hold, or does not hold any more. When the last one goes, its groups tell who does not know.
    fn mute(&mut self, slot: Slot, quiet: Quiet, holds: bool, now: Stamp) {
        let Some(tracked) = self.alerts.get_mut(slot) else { return };
        let word = tracked.word.with(quiet, holds);
        if word == tracked.word {
            return;
        }
        tracked.set_word(word);
        let mutes = |quiet: Quiet| matches!(quiet, Quiet::Silenced | Quiet::Inhibited);
        if holds || word.quiets().any(mutes) || tracked.is_over() {
            return;
        }
        for group in tracked.groups.clone() {
            if self.teller.plan.notify_on_unmute
                && let Some(member) = self.groups.get_mut(group).and_then(|g| g.member_mut(slot))
            {
                member.again |= member.told;
            }
            self.touch(group, now);
        }
    }
}

/// The rules of a configuration.
pub(crate) fn inhibition(config: &Config) -> Result<Inhibition, Error> {
    let mut options = match config.compat {
        Compat::Birl => InhibitOptions::default(),
        Compat::Alertmanager => InhibitOptions::alertmanager(),
    };
    options.max_alerts = config.limits.max_alerts;
    Inhibition::new(&config.inhibit_rules, options)
}
