//! How the files of a source are doing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::discovery::Patterns;
use super::disk::{Disk, Real};
use crate::{Error, Health, HealthState};

/// More files than these are not tried, to see whether they can be read.
const MAX_TRIED: usize = 64;

/// A consumer that takes nothing for longer is worth a word.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// What is wrong now.
#[derive(Debug, Default)]
pub(super) struct Status(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    troubles: BTreeMap<PathBuf, String>,
    polling: Option<String>,
    /// Since when nobody takes what is read.
    held_up: Option<Instant>,
}

impl Status {
    /// Notes a trouble with a path. Says whether it is news.
    pub(super) fn trouble(&self, path: &Path, what: String) -> bool {
        let troubles = &mut self.lock().troubles;
        let is_news = troubles.get(path) != Some(&what);
        troubles.insert(path.to_owned(), what);
        is_news
    }

    pub(super) fn resolve(&self, path: &Path) {
        let troubles = &mut self.lock().troubles;
        if !troubles.is_empty() {
            troubles.remove(path);
        }
    }

    /// Notes what is polled that ought not to be, and why.
    pub(super) fn polling(&self, why: Option<String>) {
        self.lock().polling = why;
    }

    /// Notes that nobody takes what is read, or that somebody does.
    pub(super) fn hold_up(&self, now: Option<Instant>) {
        let held_up = &mut self.lock().held_up;
        *held_up = now.map(|now| held_up.unwrap_or(now));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks whether the files can be read.
pub(super) fn look(patterns: &Patterns, status: &Status, now: Instant) -> Health {
    let walk = patterns.walk();
    let (mut readable, mut failed) = (0, None);
    let shown = |path: &Path| path.display().to_string();
    for (path, cause) in walk.troubles {
        let error = Error::io(format!("cannot read {}", shown(&path)), cause);
        failed.get_or_insert(error.to_string());
    }
    for found in walk.found.iter().take(MAX_TRIED) {
        match Real.open(&found.path) {
            Ok(_) => readable += 1,
            Err(cause) => {
                let error = Error::io(format!("cannot read {}", shown(&found.path)), cause);
                failed.get_or_insert(error.to_string());
            }
        }
    }
    let state = status.lock();
    if let Some(failed) = failed.as_ref().filter(|_| readable == 0) {
        return Health::because(HealthState::Failed, failed);
    }
    let trouble = state.troubles.values().next().cloned().or(failed);
    if let Some(trouble) = trouble.or_else(|| state.polling.clone()) {
        return Health::because(HealthState::Degraded, trouble);
    }
    let held_up = state.held_up.map(|since| now.saturating_duration_since(since));
    if let Some(held_up) = held_up.filter(|held_up| *held_up >= LONG_WAIT) {
        let seconds = held_up.as_secs();
        let what = format!("nobody has asked the tail for a batch for {seconds} s");
        return Health::because(HealthState::Degraded, what);
    }
    let is_there = |path: &Path| walk.found.binary_search_by(|at| (*at.path).cmp(path)).is_ok();
    if let Some(missing) = patterns.named().iter().find(|path| !is_there(path)) {
        let missing = shown(missing);
        return Health::because(HealthState::Waiting, format!("{missing} does not exist yet"));
    }
    if walk.found.is_empty() {
        let what = format!("no file matches {} yet", patterns.shown());
        return Health::because(HealthState::Waiting, what);
    }
    Health::ready()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_takes_nothing_is_told_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        std::fs::write(&path, "a line\n").unwrap();
        let patterns = Patterns::new(&[path], &[]).unwrap();
        let (status, start) = (Status::default(), crate::clock::ticks());
        let state = |seconds| look(&patterns, &status, start + Duration::from_secs(seconds)).state;
        status.hold_up(Some(start));
        assert_eq!(state(9), HealthState::Ready);
        // It goes on since then.
        status.hold_up(Some(start + Duration::from_secs(9)));
        assert_eq!(state(10), HealthState::Degraded);
        status.hold_up(None);
        assert_eq!(state(10), HealthState::Ready);
    }
}
