//! Whether a line belongs to the group before it.

use super::is_blank;
use super::join::Multiline;
use super::presets::Trace;

/// What a group has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its patterns say how it goes on.
    Open,
    /// It is a trace, and this is where in it.
    Trace(Trace),
}

/// What a line means for the group that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// It belongs to it; else it begins another.
    pub(super) joins: bool,
    /// What the group that it is in has come to; none if that ends with it.
    pub(super) state: Option<State>,
}

impl Multiline {
    /// Judges a line. A blank one only ends a group, or means nothing.
    pub(super) fn judge(&self, group: Option<State>, line: &[u8]) -> Option<Verdict> {
        let ends = self.end.as_ref().is_some_and(|end| end.matches(line));
        if is_blank(line) {
            return ends.then_some(Verdict { joins: true, state: None });
        }
        if !self.presets.is_none() {
            return Some(self.presets.judge(group, line));
        }
        let continues = self.continuation.as_ref().map(|pattern| pattern.matches(line));
        let starts = self.start.as_ref().map(|pattern| pattern.matches(line));
        let joins = group.is_some()
            && match (starts, continues) {
                (_, Some(true)) => true,
                (_, Some(false)) | (Some(true), None) => false,
                (Some(false) | None, None) => true,
            };
        let is_open = !ends && (joins || starts != Some(false));
        Some(Verdict { joins, state: is_open.then_some(State::Open) })
    }
}
