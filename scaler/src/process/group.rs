//! A process group and the signals it gets.
//!
//! A worker leads a group of its own, so that what it starts ends with it. The group's id is that
//! of the leader, and the kernel does not give the number to another process while the leader is
//! not reaped or the group has members.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// How often a group whose leader has ended is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The id of a running group, shared between the task that looks after it and whoever must be able
/// to kill it without waiting for that task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    pid: Option<Pid>,
    /// Whatever comes in from now on is killed on the spot.
    closed: bool,
}

impl Slot {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.lock().pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }

    /// Kills what is held, and whatever is taken in later.
    pub(crate) fn close(&self) {
        let mut held = self.lock();
        held.closed = true;
        if let Some(pid) = held.pid {
            send(pid, Signal::KILL);
        }
    }

    fn hold(&self, pid: Option<Pid>) {
        let mut held = self.lock();
        held.pid = pid;
        if let (true, Some(pid)) = (held.closed, pid) {
            send(pid, Signal::KILL);
        }
    }

    /// Whether the group still has a process.
    fn is_populated(&self) -> bool {
        self.lock().pid.is_some_and(|pid| test_kill_process_group(pid).is_ok())
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.lock().pid {
            send(pid, signal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running worker. Dropping it kills the whole group.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    slot: Slot,
}

impl Group {
    pub(crate) fn adopt(child: Child, slot: Slot) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        slot.hold(pid);
        Self { child, slot }
    }

    /// Waits for the leader to end; what it left behind of its group ends with it.
    pub(crate) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.slot.signal(Signal::KILL);
        self.slot.hold(None);
        status
    }

    /// Asks the group to end, and after `patience` makes it. Tells whether it had to.
    ///
    /// A leader may end before those it started, as a shell does; they have the same patience.
    pub(crate) async fn drain(&mut self, patience: Duration) -> bool {
        self.slot.signal(Signal::TERM);
        let ended = timeout(patience, async {
            // The one way to fail is a leader that somebody else has reaped: gone all the same.
            let _ = self.child.wait().await;
            while self.slot.is_populated() {
                sleep(LOOK).await;
            }
        });
        if ended.await.is_ok() {
            self.slot.hold(None); // empty: from here on its number may be another's
            return false;
        }
        // What is left of the group is killed, the leader first of all.
        self.slot.signal(Signal::KILL);
        let _ = self.ended().await;
        true
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.slot.signal(Signal::KILL);
        self.slot.hold(None);
    }
}

/// A group that is gone already has nothing more to be told.
pub(crate) fn send(pid: Pid, signal: Signal) {
    let _ = kill_process_group(pid, signal);
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[tokio::test]
    async fn a_closed_slot_kills_what_comes_in_later() {
        let slot = Slot::default();
        slot.close(); // the target was dropped while its task was starting a worker again
        let mut command = tokio::process::Command::new("sleep");
        let child = command.arg("60").process_group(0).spawn().unwrap();
        let mut group = Group::adopt(child, slot.clone());
        let ended = timeout(Duration::from_secs(20), group.ended()).await;
        assert_eq!(ended.unwrap().unwrap().signal(), Some(9));
        assert_eq!(slot.pid(), None);
    }
}
