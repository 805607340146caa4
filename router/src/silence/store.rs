//! All silences: found by an alert's labels, begun and ended by the time that is handed in.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::shelf::{Entry, Shelf};
use super::wire::SilenceStatus;
use super::{Silence, SilenceLimits, SilenceState, SilenceView, id, invalid};
use crate::error::{Error, ErrorKind};
use crate::index::IndexScratch;
use crate::{Labels, time};

/// The silences, as a synchronous state machine.
///
/// What they hit *now* follows from the times alone ([`matching`](Self::matching)); what has to be judged again because
/// a silence began or ended is told by [`advance`](Self::advance), which is due at
/// [`next_boundary`](Self::next_boundary). A silence only ever moves from pending to active to expired: a clock that is
/// set back takes none of it back.
///
/// A silence "until resolved" ends by itself when [`unhit`](Self::unhit) takes the last firing alert from it.
#[derive(Debug)]
pub struct Silences {
    limits: SilenceLimits,
    seed: u64,
    /// The last revision that was given.
    revision: u64,
    shelf: Shelf,
    /// When each that is not expired is to be looked at.
    boundaries: BTreeSet<(SystemTime, u32)>,
    /// Those that ended by a call, until `advance` has told of them.
    untold: Vec<(SystemTime, u32)>,
    /// Those that are over and told of, the oldest first.
    expired: BTreeSet<(SystemTime, u32)>,
    /// Expired ones that made room before their retention was over.
    forgotten_early: u64,
}

/// Names a silence of one [`Silences`] until it is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SilenceSlot(u32);

/// What [`Silences::set`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilenceSet {
    /// The silence as it is now.
    pub slot: SilenceSlot,
    /// How it came about.
    pub edit: SilenceEdit,
}

/// How a silence came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceEdit {
    /// It is new.
    Created,
    /// It is the one that was there.
    Updated,
    /// It has a new id: what it hits, or since when, cannot be changed in one that has begun. The old one is over, and
    /// shows what was muted until now.
    Replaced(SilenceSlot),
}

/// A silence has entered a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilenceChange {
    /// Which one.
    pub slot: SilenceSlot,
    /// [`Active`](SilenceState::Active): judge the alerts that it hits again. [`Expired`](SilenceState::Expired): those
    /// that it hit.
    pub state: SilenceState,
}

/// Memory for [`Silences::matching`], used again by each call.
#[derive(Debug, Default)]
pub struct SilenceScratch {
    index: IndexScratch,
    sets: Vec<u32>,
    slots: Vec<SilenceSlot>,
}

impl Silences {
    /// None yet. The ids that it makes follow from `seed` and the order of calls: a host hands in a random number, a
    /// test or a replay always the same.
    pub fn new(limits: SilenceLimits, seed: u64) -> Self {
        Self {
            limits,
            seed,
            revision: 0,
            shelf: Shelf::default(),
            boundaries: BTreeSet::new(),
            untold: Vec::new(),
            expired: BTreeSet::new(),
            forgotten_early: 0,
        }
    }

    /// Adds a silence (its `id` is empty), or changes the one whose `id` it has.
    ///
    /// The end, the author, the comment and the annotations can be changed at any time before the end; the start as
    /// well while the silence is pending. Any other change makes a new silence and ends the old one, as does changing
    /// an expired one (which stays as it was). A start that has passed becomes `now`. Starts are compared by the second:
    /// the forms that people edit them in show no less.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSilence`] when it would hit an alert without any label, or its end is not ahead;
    /// [`ErrorKind::NotFound`] for an unknown id; [`ErrorKind::Conflict`] when `revision` is not the current one;
    /// [`ErrorKind::LimitReached`]. Nothing has changed then.
    pub fn set(&mut self, mut silence: Silence, now: SystemTime) -> Result<SilenceSet, Error> {
        silence.check(&self.limits)?;
        let previous = self.previous(&silence)?;
        let edits = previous.filter(|slot| self.can_edit(*slot, &silence, now));
        let given = silence.starts_at;
        silence.starts_at = silence.starts_at.max(now);
        if let Some(entry) = edits.and_then(|slot| self.shelf.get(slot))
            && entry.state(now) == SilenceState::Active
        {
            silence.starts_at = entry.silence.starts_at;
        }
        Self::check_end(&silence, given, now)?;
        if edits.is_none() {
            self.make_room()?;
        }
        self.revision += 1;
        (silence.revision, silence.updated_at) = (self.revision, now);
        if let Some(slot) = edits {
            self.update(slot, silence, now);
            return Ok(SilenceSet { slot: SilenceSlot(slot), edit: SilenceEdit::Updated });
        }
        // One that is expired may just have made room.
        let previous = previous.filter(|slot| {
            self.shelf.get(*slot).is_some_and(|entry| entry.silence.id == silence.id)
        });
        silence.id = self.new_id(&silence);
        if let Some(slot) = previous {
            self.end(slot, now);
        }
        let slot = SilenceSlot(self.insert(silence, now));
        let edit =
            previous.map_or(SilenceEdit::Created, |old| SilenceEdit::Replaced(SilenceSlot(old)));
        Ok(SilenceSet { slot, edit })
    }

    /// Puts a silence back as it was kept elsewhere: by a log, a peer, a file. Its id, times and revision stay.
    ///
    /// `Ok(false)` when that revision or a later one is there already, or its retention is over. One that has expired
    /// here stays so.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSilence`] when the id is missing or it would hit an alert without any label,
    /// [`ErrorKind::LimitReached`].
    pub fn restore(&mut self, silence: Silence, now: SystemTime) -> Result<bool, Error> {
        if silence.id.is_empty() {
            return Err(invalid(
                "silence.id",
                "is missing: only one that was kept can be restored",
            ));
        }
        silence.check(&self.limits)?;
        if silence.ends_at.is_some_and(|end| after(end, self.limits.retention) <= now) {
            return Ok(false);
        }
        self.revision = self.revision.max(silence.revision);
        if let Some(slot) = self.shelf.find(&silence.id) {
            let Some(entry) = self.shelf.get(slot) else { return Ok(false) };
            if silence.revision <= entry.silence.revision || entry.reached == SilenceState::Expired
            {
                return Ok(false);
            }
            self.shelf.unfile(slot);
            self.update(slot, silence, now);
            self.shelf.file(slot);
            return Ok(true);
        }
        self.make_room()?;
        self.insert(silence, now);
        Ok(true)
    }

    /// Ends a silence now. `Ok(false)` when it is over already.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub fn expire(&mut self, id: &str, now: SystemTime) -> Result<bool, Error> {
        let slot = self.shelf.find(id).ok_or_else(|| not_found(id))?;
        Ok(self.end(slot, now))
    }

    /// The silences that are active and hit an alert with these labels, in ascending order of slots.
    pub fn matching<'s>(
        &self,
        labels: &Labels,
        now: SystemTime,
        scratch: &'s mut SilenceScratch,
    ) -> &'s [SilenceSlot] {
        let SilenceScratch { index, sets, slots } = scratch;
        let hitting = self.shelf.hitting(labels, index, sets);
        let active = hitting.filter(|(_, entry)| entry.state(now) == SilenceState::Active);
        slots.clear();
        slots.extend(active.map(|(slot, _)| SilenceSlot(slot)));
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Notes that a silence hits one more firing alert.
    pub fn hit(&mut self, slot: SilenceSlot) {
        let Some(entry) = self.shelf.get_mut(slot.0) else { return };
        entry.hits += 1;
        if entry.hits == 1 {
            self.set_boundary(slot.0);
        }
    }

    /// Notes that a silence hits one firing alert less: it is over, or gone. The last one ends a silence "until
    /// resolved", and the answer is `true`: [`advance`](Self::advance) tells of it.
    pub fn unhit(&mut self, slot: SilenceSlot, now: SystemTime) -> bool {
        let Some(entry) = self.shelf.get_mut(slot.0) else { return false };
        let before = entry.hits;
        entry.hits = before.saturating_sub(1);
        let ends = before == 1
            && entry.silence.ends_at.is_none()
            && entry.state(now) == SilenceState::Active;
        ends && self.end(slot.0, now)
    }

    /// How many firing alerts a silence hits, as far as was noted.
    pub fn hits(&self, slot: SilenceSlot) -> u64 {
        self.shelf.get(slot.0).map_or(0, |entry| entry.hits)
    }

    /// When [`advance`](Self::advance) is due.
    pub fn next_boundary(&self) -> Option<SystemTime> {
        let untold = self.untold.iter().map(|(at, _)| *at).min();
        let boundary = self.boundaries.first().map(|(at, _)| *at);
        let forget = self.expired.first().map(|(at, _)| after(*at, self.limits.retention));
        [untold, boundary, forget].into_iter().flatten().min()
    }

    /// Appends what has begun and ended up to `now` to `changes`, in the order in which it did, and forgets what expired
    /// too long ago.
    pub fn advance(&mut self, now: SystemTime, changes: &mut Vec<SilenceChange>) {
        for (at, slot) in std::mem::take(&mut self.untold) {
            self.expired.insert((at, slot));
            changes.push(SilenceChange { slot: SilenceSlot(slot), state: SilenceState::Expired });
        }
        while let Some(&(at, slot)) = self.boundaries.first().filter(|(at, _)| *at <= now) {
            self.boundaries.pop_first();
            let Some(entry) = self.shelf.get_mut(slot) else { continue };
            entry.boundary = None;
            if entry.reached == SilenceState::Pending {
                entry.reached = SilenceState::Active;
                changes
                    .push(SilenceChange { slot: SilenceSlot(slot), state: SilenceState::Active });
                self.set_boundary(slot);
            } else {
                // By its end; or it is one until resolved that has waited long enough.
                self.close(slot, at);
                self.expired.insert((at, slot));
                changes
                    .push(SilenceChange { slot: SilenceSlot(slot), state: SilenceState::Expired });
            }
        }
        while let Some(&(at, slot)) = self.expired.first() {
            if after(at, self.limits.retention) > now {
                break;
            }
            self.forget(at, slot);
        }
    }

    /// The silence in `slot`.
    pub fn get(&self, slot: SilenceSlot) -> Option<&Silence> {
        Some(&self.shelf.get(slot.0)?.silence)
    }

    /// The slot of the silence with this id.
    pub fn find(&self, id: &str) -> Option<SilenceSlot> {
        self.shelf.find(id).map(SilenceSlot)
    }

    /// The state of the silence in `slot`.
    pub fn state(&self, slot: SilenceSlot, now: SystemTime) -> Option<SilenceState> {
        Some(self.shelf.get(slot.0)?.state(now))
    }

    /// The silence in `slot` with its state, as the API shows it.
    pub fn view(&self, slot: SilenceSlot, now: SystemTime) -> Option<SilenceView<'_>> {
        let entry = self.shelf.get(slot.0)?;
        let status = SilenceStatus { state: entry.state(now) };
        Some(SilenceView { silence: &entry.silence, status })
    }

    /// All of them, expired ones that are still kept among them.
    pub fn iter(&self) -> impl Iterator<Item = (SilenceSlot, &Silence)> {
        self.shelf.iter().map(|(slot, entry)| (SilenceSlot(slot), &entry.silence))
    }

    /// How many there are, expired ones that are still kept among them.
    pub fn len(&self) -> usize {
        self.shelf.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last revision that was given to a change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many expired ones had to make room before their retention was over.
    pub fn forgotten_early(&self) -> u64 {
        self.forgotten_early
    }

    /// The silence that is to be changed.
    fn previous(&self, silence: &Silence) -> Result<Option<u32>, Error> {
        if silence.id.is_empty() {
            return Ok(None);
        }
        let slot = self.shelf.find(&silence.id).ok_or_else(|| not_found(&silence.id))?;
        let current = self.shelf.get(slot).map_or(0, |entry| entry.silence.revision);
        if silence.revision != 0 && silence.revision != current {
            return Err(Error::new(
                ErrorKind::Conflict,
                format_args!("silence {}", silence.id),
                format_args!(
                    "was changed by somebody else: it has revision {current}, not {}; read it again and repeat the change",
                    silence.revision
                ),
            ));
        }
        Ok(Some(slot))
    }

    fn can_edit(&self, slot: u32, silence: &Silence, now: SystemTime) -> bool {
        let Some(entry) = self.shelf.get(slot) else { return false };
        let start = silence.starts_at;
        entry.silence.matchers == silence.matchers
            && match entry.state(now) {
                SilenceState::Pending => true,
                SilenceState::Active => {
                    start <= SystemTime::UNIX_EPOCH
                        || whole_seconds(start) == whole_seconds(entry.silence.starts_at)
                }
                SilenceState::Expired => false,
            }
    }

    fn check_end(silence: &Silence, given: SystemTime, now: SystemTime) -> Result<(), Error> {
        let Some(end) = silence.ends_at else { return Ok(()) };
        let text = time::to_rfc3339(end);
        if end <= given {
            let start = time::to_rfc3339(given);
            let message = format_args!("({text}) must be after startsAt ({start})");
            return Err(invalid("silence.endsAt", message));
        }
        if end <= now {
            let message = format_args!(
                "({text}) has passed: give a later end; to end a silence now, expire it"
            );
            return Err(invalid("silence.endsAt", message));
        }
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), Error> {
        if self.len() < self.limits.max_silences {
            return Ok(());
        }
        let Some(&(at, slot)) = self.expired.first() else {
            let limit = self.limits.max_silences;
            return Err(Error::new(
                ErrorKind::LimitReached,
                "silences",
                format_args!(
                    "there are {limit}, which are the most, and none is expired: expire some, or raise the limit \
                     max_silences"
                ),
            ));
        };
        self.forget(at, slot);
        self.forgotten_early += 1;
        Ok(())
    }

    fn new_id(&self, silence: &Silence) -> String {
        let mut count = self.revision;
        loop {
            let id = id::make(self.seed, count, silence);
            if self.shelf.find(&id).is_none() {
                return id;
            }
            count = count.wrapping_add(1 << 32);
        }
    }

    fn insert(&mut self, silence: Silence, now: SystemTime) -> u32 {
        let ended = silence.ends_at.filter(|end| *end <= now);
        let reached = if ended.is_some() { SilenceState::Expired } else { SilenceState::Pending };
        let slot = self.shelf.insert(Entry::new(silence, reached, now));
        match ended {
            Some(end) => {
                self.expired.insert((end, slot));
            }
            None => {
                self.shelf.file(slot);
                self.set_boundary(slot);
            }
        }
        slot
    }

    /// What it hits stays as it is.
    fn update(&mut self, slot: u32, silence: Silence, now: SystemTime) {
        let Some(entry) = self.shelf.get_mut(slot) else { return };
        entry.waits_since = silence.starts_at.max(now);
        entry.silence = silence;
        self.set_boundary(slot);
    }

    /// Ends it by a call, of which `advance` will tell; `false` if it is over already.
    fn end(&mut self, slot: u32, now: SystemTime) -> bool {
        let ends =
            self.shelf.get(slot).is_some_and(|entry| entry.state(now) != SilenceState::Expired);
        if ends {
            self.close(slot, now);
            self.untold.push((now, slot));
        }
        ends
    }

    /// From here on it is expired, whatever the clock says.
    fn close(&mut self, slot: u32, at: SystemTime) {
        self.shelf.unfile(slot);
        let Some(entry) = self.shelf.get_mut(slot) else { return };
        entry.reached = SilenceState::Expired;
        if let Some(boundary) = entry.boundary.take() {
            self.boundaries.remove(&(boundary, slot));
        }
        let silence = &mut entry.silence;
        if silence.ends_at.is_none_or(|end| end > at) {
            self.revision += 1;
            silence.ends_at = Some(at);
            silence.starts_at = silence.starts_at.min(at);
            (silence.revision, silence.updated_at) = (self.revision, at);
        }
    }

    fn forget(&mut self, at: SystemTime, slot: u32) {
        self.expired.remove(&(at, slot));
        self.shelf.remove(slot);
    }

    /// Notes when the silence has to be looked at, after whatever changed.
    fn set_boundary(&mut self, slot: u32) {
        let wait = self.limits.until_resolved_wait;
        let Some(entry) = self.shelf.get_mut(slot) else { return };
        let next = match entry.reached {
            SilenceState::Pending => Some(entry.silence.starts_at),
            SilenceState::Active => entry
                .silence
                .ends_at
                .or_else(|| (entry.hits == 0).then(|| after(entry.waits_since, wait))),
            SilenceState::Expired => None,
        };
        if let Some(old) = entry.boundary.take() {
            self.boundaries.remove(&(old, slot));
        }
        entry.boundary = next;
        self.boundaries.extend(next.map(|at| (at, slot)));
    }
}

fn not_found(id: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format_args!("silence {id}"),
        "is not known, or was forgotten: to make a new silence, leave the id out",
    )
}

/// An endless duration, which means never, is cut to ten thousand years: were it lost, it would be over at once.
fn after(at: SystemTime, by: Duration) -> SystemTime {
    const EVER: Duration = Duration::from_secs(10_000 * 365 * 86_400);
    at.checked_add(by.min(EVER)).unwrap_or(at)
}

/// Since the epoch. No silence begins before it.
fn whole_seconds(at: SystemTime) -> Option<u64> {
    at.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs()).ok()
}
