//! Whether a reader gets its turns: on a machine that has much else to do, a second of the clock is
//! not one in which it could do anything.

use std::ffi::OsString;
use std::fs;

use crate::clock::{now, sleep};
use crate::model::Ms;

/// By the clock, nobody waits for more than so many times what the reader is given.
const AT_MOST: Ms = 6;

/// How long a process could have run since then: as long as none of its threads waited for its turn.
#[derive(Debug)]
pub(crate) struct Turns {
    pid: u32,
    since: Ms,
    /// How long threads had waited before.
    before: Vec<(OsString, Ms)>,
}

impl Turns {
    pub(crate) fn of(pid: u32) -> Self {
        Self { pid, since: now(), before: waited(pid) }
    }

    /// Whether it has had so much time, or there was enough of it for anybody.
    pub(crate) fn has_had(&self, time: Ms) -> bool {
        let passed = now().saturating_sub(self.since);
        if passed < time {
            return false;
        }
        let before = |name: &OsString| self.before.iter().find(|(it, _)| it == name);
        let since = |(name, all): &(OsString, Ms)| all - before(name).map_or(0, |(_, then)| *then);
        let longest = waited(self.pid).iter().map(since).max().unwrap_or(0);
        passed.saturating_sub(longest) >= time || passed >= AT_MOST * time
    }

    /// Waits for something, so long at most. Says whether it came.
    pub(crate) fn wait(&self, at_most: Ms, mut check: impl FnMut() -> bool) -> bool {
        loop {
            if check() {
                return true;
            }
            if self.has_had(at_most) {
                return false;
            }
            sleep(20);
        }
    }
}

/// How long each thread was ready to run, and did not. Where that is not told, nobody waited.
fn waited(pid: u32) -> Vec<(OsString, Ms)> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanoseconds: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some((thread.file_name(), nanoseconds / 1_000_000))
    };
    threads.flatten().filter_map(of_thread).collect()
}
