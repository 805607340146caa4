//! The near end of a [`PushSource`](crate::PushSource).

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use super::feed::{Channel, Feed, Pushed};
use crate::admission::WouldBlock;
use crate::budget::{Room, Rouse};
use crate::clock::{now, ticks};
use crate::{Error, ErrorKind};

/// Hands lines to a [`PushSource`](crate::PushSource), from any thread. Clones push to the same
/// source.
///
/// A push is one line, or several with line ends between them; blank ones are dropped. All of it
/// is taken or nothing.
pub struct Pusher {
    channel: Arc<Channel>,
    key: Option<Arc<str>>,
}

impl Pusher {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        channel.with(Feed::add_pusher);
        Self { channel, key: None }
    }

    /// Another pusher, whose refusals are counted under this key, such as the name of whoever
    /// logs. The keys that are refused most are told apart
    /// ([`SourceMetrics::refused`](crate::SourceMetrics::refused)).
    #[must_use]
    pub fn keyed(&self, key: impl Into<Arc<str>>) -> Self {
        let mut keyed = self.clone();
        keyed.key = Some(key.into());
        keyed
    }

    /// Hands lines in now, or not at all.
    ///
    /// Below 85 % of the budgets everything is taken. Above, as much as the overload rate allows
    /// ([`overload_rate`](crate::PushSourceBuilder::overload_rate)), up to the whole of a budget.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if there is no room: nothing was taken, the refusal is counted,
    /// and [`Error::retry_after`] says when to try again if that is known.
    /// [`ErrorKind::Closed`] if the source and its stream were dropped.
    pub fn try_push(&self, lines: &[u8]) -> Result<(), Error> {
        let room = self.channel.intake().room();
        self.push_to(room, lines)
    }

    /// Hands lines in once there is room: below 85 % of the budgets at once, above after enough
    /// batches were dropped.
    ///
    /// Cancel safe: until it is ready nothing was taken.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] if the source and its stream were dropped.
    pub async fn push(&self, lines: &[u8]) -> Result<(), Error> {
        if self.channel.intake().room() != Room::Free {
            let parked = Arc::new(Parked::default());
            poll_fn(|cx| self.poll_room(&parked, cx)).await;
        }
        self.push_to(Room::Free, lines)
    }

    fn poll_room(&self, parked: &Arc<Parked>, cx: &Context<'_>) -> Poll<()> {
        parked.set(cx.waker());
        let rouser = || Arc::downgrade(parked) as Weak<dyn Rouse>;
        // Asked in this order, so that what happens between the two wakes it.
        let admitted = self.channel.intake().admits(rouser, ticks());
        if admitted || self.channel.with(|feed| feed.is_closed()) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn push_to(&self, room: Room, lines: &[u8]) -> Result<(), Error> {
        let clocks = (ticks(), now());
        let pushed = self.channel.push(room, lines, clocks);
        let intake = self.channel.intake();
        match pushed {
            Pushed::Taken => {
                if room == Room::Free {
                    intake.note(None);
                }
                Ok(())
            }
            Pushed::Refused { refusal, lines: refused } => {
                intake.note(Some(clocks.0));
                let counters = self.channel.counters();
                counters.refuse(self.key.as_deref(), refused as u64, lines.len() as u64);
                Err(self.refused(refusal))
            }
            Pushed::Closed => {
                let id = self.channel.id();
                let message = format!("the source `{id}` was dropped, so nobody takes its lines");
                Err(Error::new(ErrorKind::Closed, message))
            }
        }
    }

    fn refused(&self, refusal: WouldBlock) -> Error {
        let (id, intake) = (self.channel.id(), self.channel.intake());
        let would_block = |message| Error::new(ErrorKind::WouldBlock, message).retryable();
        let Some(after) = refusal.retry_after else {
            return would_block(format!("`{id}` takes nothing now, {intake}"));
        };
        let millis = after.as_nanos().div_ceil(1_000_000);
        would_block(format!("`{id}` takes no more now, {intake}; or try again in {millis} ms"))
            .with_retry_after(after)
    }
}

impl Clone for Pusher {
    fn clone(&self) -> Self {
        let mut clone = Self::new(Arc::clone(&self.channel));
        clone.key.clone_from(&self.key);
        clone
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.channel.with(Feed::remove_pusher);
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher")
            .field("id", &self.channel.id())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A task that waits for room.
#[derive(Debug, Default)]
struct Parked(Mutex<Option<Waker>>);

impl Parked {
    fn set(&self, waker: &Waker) {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *parked {
            Some(known) => known.clone_from(waker),
            None => *parked = Some(waker.clone()),
        }
    }
}

impl Rouse for Parked {
    fn rouse(&self) {
        let parked = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = parked {
            waker.wake();
        }
    }
}
