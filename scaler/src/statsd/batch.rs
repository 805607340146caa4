//! Many datagrams by one call to the kernel.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, MultiResults, recvmmsg};

/// As many datagrams are asked for at once. More of them save little.
const AT_ONCE: usize = 64;

/// Room for as many datagrams as are asked for at once.
pub(super) struct Batch {
    room: Vec<u8>,
    longest: usize,
}

/// One datagram.
#[derive(Debug)]
pub(super) struct Datagram<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether it was longer than its room.
    pub(super) is_cut: bool,
    /// How many the socket had dropped when this one came in, since it was made; told from the first
    /// one on.
    pub(super) dropped: Option<u32>,
}

/// The datagrams of one batch.
pub(super) struct Datagrams<'a> {
    all: MultiResults<'a, ()>,
    seen: usize,
}

impl Batch {
    pub(super) fn new(longest: usize) -> Self {
        Self { room: vec![0; longest * AT_ONCE], longest }
    }

    /// Hands on what is there, without waiting, and tells whether that was all.
    ///
    /// # Errors
    ///
    /// What the kernel says, but for "nothing there" and "interrupted".
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        hand_on: impl FnOnce(&mut Datagrams<'_>),
    ) -> io::Result<bool> {
        // Made anew each time: the kernel writes into them how much room it used, and would take
        // that for the room there is.
        let mut headers = MultiHeaders::<()>::preallocate(AT_ONCE, Some(cmsg_space!(u32)));
        let mut rooms = self.room.chunks_exact_mut(self.longest);
        let mut rooms: [[IoSliceMut<'_>; 1]; AT_ONCE] =
            std::array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        let flags = MsgFlags::MSG_DONTWAIT;
        match recvmmsg(socket.as_raw_fd(), &mut headers, &mut rooms, flags, None) {
            Ok(datagrams) => {
                let mut datagrams = Datagrams { all: datagrams, seen: 0 };
                hand_on(&mut datagrams);
                Ok(datagrams.seen < AT_ONCE)
            }
            Err(Errno::EAGAIN) => Ok(true),
            // What was amiss with one datagram, or for a moment.
            Err(Errno::ECONNREFUSED | Errno::ENOBUFS | Errno::ENOMEM) => Ok(true),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        let message = self.all.next()?;
        self.seen += 1;
        let dropped = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::RxqOvfl(dropped) => Some(dropped),
                _ => None,
            })
        });
        Some(Datagram {
            bytes: message.iovs().next().unwrap_or_default(),
            is_cut: message.flags.contains(MsgFlags::MSG_TRUNC),
            dropped,
        })
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("longest", &self.longest).finish_non_exhaustive()
    }
}
