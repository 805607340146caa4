//! Waking a thread that waits for files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A counter that a thread can wait for beside its other files.
#[derive(Debug)]
pub(crate) struct Wake(Option<OwnedFd>);

impl Wake {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(Some(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)))
    }

    /// For when nobody waits.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Wakes whoever waits, now or later. Cannot fail: a counter that is full is awake.
    pub(crate) fn signal(&self) {
        if let Some(fd) = &self.0 {
            rustix::io::write(fd, &1_u64.to_ne_bytes()).ok();
        }
    }

    pub(crate) fn reset(&self) {
        if let Some(fd) = &self.0 {
            rustix::io::read(fd, &mut [0_u8; 8]).ok();
        }
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}

/// Waits until the wake is signaled (and resets it), one of the files can be read or has ended, or
/// the time is over. Says whether one of the files is ready.
pub(crate) fn wait(wake: &Wake, files: &[BorrowedFd<'_>], timeout: Duration) -> bool {
    let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(3);
    fds.extend(files.iter().map(|file| PollFd::from_borrowed_fd(*file, PollFlags::IN)));
    fds.extend(wake.fd().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // An interruption by a signal is a wake like any other.
    if !poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0) {
        return false;
    }
    wake.reset();
    fds.iter().take(files.len()).any(|fd| !fd.revents().is_empty())
}
