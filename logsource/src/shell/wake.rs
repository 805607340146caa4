//! Waking a thread that waits for files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::budget::Rouse;

/// A counter that a thread can wait for beside its other files.
#[derive(Debug)]
pub(crate) struct Wake(Option<Arc<Counter>>);

#[derive(Debug)]
struct Counter(OwnedFd);

impl Rouse for Counter {
    fn rouse(&self) {
        // Cannot fail: a counter that is full is awake.
        rustix::io::write(&self.0, &1_u64.to_ne_bytes()).ok();
    }
}

impl Wake {
    pub(crate) fn new() -> std::io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(Some(Arc::new(Counter(fd)))))
    }

    /// For when nobody waits.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Wakes whoever waits, now or later.
    pub(crate) fn signal(&self) {
        if let Some(counter) = &self.0 {
            counter.rouse();
        }
    }

    /// What wakes the same one, and keeps nothing alive.
    pub(crate) fn rouser(&self) -> Weak<dyn Rouse> {
        let counter = self.0.as_ref().map_or_else(Weak::new, Arc::downgrade);
        counter as Weak<dyn Rouse>
    }

    pub(crate) fn reset(&self) {
        if let Some(counter) = &self.0 {
            rustix::io::read(&counter.0, &mut [0_u8; 8]).ok();
        }
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|counter| counter.0.as_fd())
    }
}

/// Waits until the wake is signaled (and resets it), one of the files can be read or has ended, or
/// the time is over. Says whether one of the files is ready.
///
/// There is room for two files: nothing is allocated, however often it is waited.
pub(crate) fn wait(wake: &Wake, files: &[BorrowedFd<'_>], timeout: Duration) -> bool {
    debug_assert!(files.len() <= 2);
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let of = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let mut fds = files.iter().copied().chain(wake.fd()).map(of);
    let ready = |fds: &mut [PollFd<'_>]| {
        // An interruption by a signal is a wake like any other.
        if !poll(fds, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            return false;
        }
        let (files, wakes) = fds.split_at_mut(files.len());
        let is_ready = |fds: &[PollFd<'_>]| fds.iter().any(|fd| !fd.revents().is_empty());
        if is_ready(wakes) {
            wake.reset();
        }
        is_ready(files)
    };
    match (fds.next(), fds.next(), fds.next()) {
        (Some(first), Some(second), Some(third)) => ready(&mut [first, second, third]),
        (Some(first), Some(second), None) => ready(&mut [first, second]),
        (Some(first), ..) => ready(&mut [first]),
        (None, ..) => ready(&mut []),
    }
}
