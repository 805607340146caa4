//! What is unfinished when a file ends, and goes on in the next file of the same log.

use std::sync::{Arc, Weak};

use super::Reading;
use crate::cursor::FileMark;
use crate::file::disk::Handle;
use crate::framing::Carry;
use crate::{Ack, Cursor};

/// What a file leaves to the next one.
#[derive(Debug)]
pub(in crate::file) struct Carried {
    carry: Carry,
    left: Vec<Left>,
}

/// The end of a file, which is reached once what was carried from it is acknowledged.
#[derive(Debug)]
pub(super) struct Left {
    end: FileMark,
    pub(super) ack: Ack,
    /// Here as long as it was not taken as a batch.
    _held: Arc<()>,
}

/// Where a file is as long as what was carried from it was not taken.
#[derive(Debug)]
pub(super) struct Handed {
    held: Weak<()>,
    before: FileMark,
}

impl Handed {
    pub(super) fn held(&self) -> Option<FileMark> {
        (self.held.strong_count() > 0).then(|| self.before.clone())
    }
}

impl Left {
    /// The place and the acknowledgement of a batch that has in it what these files left. Their
    /// places move last: were it the other way round, what is behind them would come alone after
    /// a crash between the two.
    pub(super) fn join(left: Vec<Self>, place: Cursor, ack: Ack) -> (Cursor, Ack) {
        if left.is_empty() {
            return (place, ack);
        }
        let own = place.files().to_vec();
        let marks = left.iter().map(|left| left.end.clone()).chain(own).collect();
        let ack = left.into_iter().fold(ack, |ack, left| ack.also(left.ack));
        (Cursor::of_files(marks), ack)
    }
}

impl<F: Handle> Reading<F> {
    /// Whether nothing was read yet, from its beginning.
    pub(in crate::file) fn is_fresh(&self) -> bool {
        self.at == 0 && self.base == 0 && !self.is_resumed()
    }

    /// Whether something of an earlier file is held.
    pub(in crate::file) fn is_resumed(&self) -> bool {
        !self.left.is_empty()
    }

    /// Ends this file, as far as it was read, for the next one goes on where it stops. None if
    /// nothing is held that can go on there.
    pub(in crate::file) fn carry(&mut self) -> Option<Carried> {
        let carry = self.framer.carry(self.shared.framing.carries_partial())?;
        let mut left = std::mem::take(&mut self.left);
        if self.at > self.base {
            let before = self.mark();
            self.base = self.at;
            self.tail = self.tail_at(self.at);
            let end = self.own_mark();
            let ack = match &self.account.book {
                Some(book) => book.issue(self.place(self.base)),
                None => Ack::nothing(),
            };
            let held = Arc::new(());
            self.handed = Some(Handed { held: Arc::downgrade(&held), before });
            left.push(Left { end, ack, _held: held });
        }
        self.framer.begin(self.at);
        Some(Carried { carry, left })
    }

    /// Goes on with what an earlier file left.
    pub(in crate::file) fn resume(&mut self, carried: Carried) {
        self.resumed = Some(carried.carry.clone());
        self.framer.resume(carried.carry);
        self.left = carried.left;
    }

    /// Gives back what an earlier file left, if nothing of it was taken yet.
    pub(in crate::file) fn give_back(&mut self) -> Option<Carried> {
        let carry = self.resumed.take().filter(|_| self.is_resumed())?;
        let left = std::mem::take(&mut self.left);
        self.seek_back();
        Some(Carried { carry, left })
    }
}
