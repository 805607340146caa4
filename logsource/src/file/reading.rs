//! One open file, read from one offset on.

mod account;
mod carried;
mod closed;
mod cut;
mod likeness;
mod look;
mod memory;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

pub(super) use self::account::Account;
use self::carried::{Handed, Left};
pub(super) use self::closed::Closed;
use self::memory::Memory;
use super::content::{Content, State};
use super::disk::{Handle, Stat};
use super::identity::{self, Opened};
use super::lag::Growth;
use super::open_files::{OpenFile, OpenFiles};
use crate::budget::Intake;
use crate::cursor::{FileId, FileMark, Place, Tail};
use crate::framing::{Carry, Framer, Framing, kubernetes_labels};
use crate::metrics::{DropReason, SourceMetrics};
use crate::shell::{Store, now};
use crate::slab::Pool;
use crate::{Ack, Batch, Cursor, Origin};

/// What every file of a source shares.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) origin: Arc<Origin>,
    pub(super) metrics: Arc<SourceMetrics>,
    pub(super) pool: Arc<Pool>,
    pub(super) intake: Arc<Intake>,
    pub(super) framing: Framing,
    pub(super) open: Arc<OpenFiles>,
    pub(super) keeping: Keeping,
    /// Where acknowledged places go; none for a `read`, which moves nothing.
    pub(super) store: Option<Arc<Store>>,
}

/// How long files are kept, and which are not begun with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping {
    /// What was last written longer ago is not read before it grows.
    pub(super) ignore_older: Option<Duration>,
    /// What was read, acknowledged, and not written for so long is removed.
    pub(super) remove_after: Option<Duration>,
    /// What is read and was not written for so long is closed; it is opened again when it is.
    pub(super) close_after: Duration,
}

/// A file, how far it is read, and who is told how far it is acknowledged.
#[derive(Debug)]
pub(super) struct Reading<F> {
    shared: Shared,
    path: Arc<Path>,
    labels: Arc<BTreeMap<String, String>>,
    content: Content<F>,
    id: Arc<FileId>,
    framer: Framer,
    /// The offset of the slab's first byte.
    base: u64,
    /// The offset to read at.
    at: u64,
    /// What stands before `base`, or a little before that.
    tail: Tail,
    memory: Memory,
    account: Account,
    /// How it was at the last look.
    size: u64,
    /// The last read reached the end of what was there.
    at_end: bool,
    /// The last read did not reach it.
    is_amid: bool,
    /// There is a hole at `at`, and what stands before it was not taken yet.
    at_hole: bool,
    /// When it was last seen to grow, or lost its name.
    pub(super) touched: Instant,
    /// Everything was read at the last look, so that it may have been cut since.
    rested: bool,
    /// The file was not cut since the look began, or it was not asked yet.
    checked: bool,
    /// What is held was there after it was read: the file had not been cut meanwhile.
    pub(super) trusted: bool,
    /// What cannot be unpacked is counted.
    is_damage_told: bool,
    /// What was resumed here is of these files.
    left: Vec<Left>,
    /// What was held here goes on in the next file.
    handed: Option<Handed>,
    /// What was resumed here, as long as nothing was taken: it may have to go on elsewhere.
    resumed: Option<Carry>,
    growth: Growth,
    _open: OpenFile,
}

/// What one look into a file gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// Bytes; more may follow at once.
    More,
    /// Fewer bytes than there was room for: that is all there is now.
    Last,
    /// Nothing new.
    Nothing,
    /// It is not the file any more that was read up to here.
    Cut,
}

impl<F: Handle> Reading<F> {
    /// Reads a file from an offset on. With no account it opens one of its own.
    pub(super) fn new(
        shared: &Shared,
        path: &Arc<Path>,
        opened: Opened<F>,
        offset: u64,
        account: Result<Account, Arc<str>>,
        now: Instant,
    ) -> Self {
        let mut labels = BTreeMap::new();
        if shared.framing.is_of_containers() {
            labels.extend(kubernetes_labels(path).unwrap_or_default());
        }
        labels.extend(shared.origin.labels().as_ref().clone());
        labels.insert("path".to_owned(), path.to_string_lossy().into_owned());
        let Opened { mut content, stat, head } = opened;
        let born = identity::birth(&stat);
        let id = FileId { path: Arc::clone(path), dev: stat.dev, ino: stat.ino, born, head };
        // If it cannot be read now it says so when it is.
        let tail = identity::tail(&mut content, offset).unwrap_or_default();
        let mut reading = Self {
            shared: shared.clone(),
            path: Arc::clone(path),
            labels: Arc::new(labels),
            content,
            id: Arc::new(id),
            framer: Framer::new(Arc::clone(&shared.pool), &shared.framing),
            base: offset,
            at: offset,
            tail,
            memory: Memory::default(),
            account: Account { book: None, key: "".into() },
            size: stat.size,
            at_end: false,
            at_hole: false,
            is_amid: false,
            touched: now,
            rested: true,
            checked: false,
            trusted: true,
            is_damage_told: false,
            left: Vec::new(),
            handed: None,
            resumed: None,
            growth: Growth::default(),
            _open: shared.open.hold(),
        };
        reading.framer.begin(offset);
        let mut first = [0; identity::HEAD_BYTES];
        let known = usize::try_from(offset).unwrap_or(usize::MAX).min(first.len());
        if offset > 0 {
            let len = reading.content.read_at(&mut first, 0).unwrap_or(0);
            reading.framer.know(&first[..len]);
        }
        reading.memory.begin(offset, &first[..known]);
        let place = reading.place(offset);
        reading.account = account.unwrap_or_else(|key| Account::open(shared, key, &place));
        reading
    }

    pub(super) fn key(&self) -> &Arc<str> {
        &self.account.key
    }

    pub(super) fn inode(&self) -> (u64, u64) {
        (self.id.dev, self.id.ino)
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn into_account(self) -> Account {
        self.account
    }

    pub(super) fn content(&mut self) -> &mut Content<F> {
        &mut self.content
    }

    /// The file, as long as this is there.
    pub(super) fn share(&self) -> Weak<dyn Handle> {
        self.content.share()
    }

    /// Whether this is the file that a name stands for.
    pub(super) fn is(&self, stat: &Stat) -> bool {
        self.inode() == stat.inode() && identity::is_same_birth(stat.born, self.id.born)
    }

    /// The place after everything that was taken as batches, here or in the next file.
    pub(super) fn mark(&self) -> FileMark {
        let held = self.handed.as_ref().and_then(Handed::held);
        held.unwrap_or_else(|| self.own_mark())
    }

    /// The place after everything that was taken of this file.
    pub(super) fn own_mark(&self) -> FileMark {
        self.mark_at(self.base)
    }

    fn mark_at(&self, offset: u64) -> FileMark {
        let file = Arc::clone(&self.id);
        FileMark { file, offset, tail: self.tail, finished: false }
    }

    /// Reads once, unless the slab is full.
    pub(super) fn fill(&mut self, now: Instant) -> io::Result<Filled> {
        let room = self.framer.room();
        let space = room.len();
        self.at_end = false;
        if space == 0 {
            return Ok(Filled::More);
        }
        let read = self.content.read_at(room, self.at)?;
        if read > 0 && room.first() == Some(&0) {
            // Of a file that was cut since the look began, this may be a hole from its start on.
            if self.is_cut()? {
                return Ok(Filled::Cut);
            }
            if self.skip_hole()? {
                return Ok(Filled::More);
            }
        }
        // The room is the same as long as nothing was fed.
        self.memory.read(self.framer.room().get(..read).unwrap_or_default());
        self.framer.fed(read, now);
        if read == 0 {
            self.framer.expire(now);
            self.tell_damage();
        }
        self.at += read as u64;
        self.trusted &= read == 0;
        self.at_end = read < space;
        self.is_amid = !self.at_end;
        Ok(match read {
            0 => Filled::Nothing,
            _ if read < space => Filled::Last,
            _ => Filled::More,
        })
    }

    /// Ends the last line: nobody will write to this file any more.
    pub(super) fn finish(&mut self) {
        self.framer.finish();
    }

    /// Nothing came for a while: of a packed file, lets go of the memory that it takes, and of what
    /// is held back for want of more. Says whether there may be something to read for that.
    pub(super) fn rest(&mut self) -> bool {
        self.content.park();
        let waits = self.content.state() == State::Growing;
        if waits {
            self.content.finish();
        }
        waits
    }

    /// Lets go of the memory that unpacking takes.
    pub(super) fn park(&mut self) {
        self.content.park();
    }

    /// Whether it was compressed.
    pub(super) fn is_packed(&self) -> bool {
        self.content.is_packed()
    }

    /// Whether it is compressed, and its end is yet to be written.
    pub(super) fn is_growing(&self) -> bool {
        self.content.state() == State::Growing
    }

    /// Counts what cannot be unpacked.
    fn tell_damage(&mut self) {
        let lost = self.content.unreadable().unwrap_or(0);
        if lost == 0 || std::mem::replace(&mut self.is_damage_told, true) {
            return;
        }
        let (path, state) = (self.path.display(), self.content.state());
        tracing::warn!(%path, ?state, "part of a packed file cannot be read");
        self.shared.metrics.drop_lines(DropReason::Damaged, 1);
        self.shared.metrics.drop_bytes(DropReason::Damaged, lost);
    }

    /// Whether nobody can write to it any more.
    pub(super) fn is_over(&self) -> bool {
        self.content.is_complete()
    }

    /// Whether the slab must be taken before more can be read.
    pub(super) fn is_full(&mut self) -> bool {
        self.at_hole || self.framer.room().is_empty()
    }

    /// Whether there is anything to take.
    pub(super) fn has_lines(&self) -> bool {
        self.framer.has_lines()
    }

    /// If nothing was ever written from here on up to some place, goes on there.
    fn skip_hole(&mut self) -> io::Result<bool> {
        if self.content.is_packed() {
            return Ok(false);
        }
        let data = match self.content.file().next_data(self.at)? {
            Some(data) => data,
            None => self.content.file().size()?,
        };
        if data <= self.at {
            return Ok(false);
        }
        // What stands before it is a line. It must be taken first: offsets would not be the
        // slab's any more.
        self.framer.finish();
        self.at_hole = !self.framer.is_empty();
        if !self.at_hole {
            self.shared.metrics.drop_bytes(DropReason::Hole, data - self.at);
            self.shared.metrics.drop_lines(DropReason::Hole, 1);
            (self.base, self.at) = (data, data);
            self.memory.begin(data, &[]);
            self.framer.begin(data);
        }
        Ok(true)
    }

    /// Reads again what was not taken.
    fn seek_back(&mut self) {
        self.framer.begin(self.base);
        self.at = self.base;
        // What was read first was read before.
        self.memory.seek(self.base);
    }

    /// Whether no whole line is left, after a `take`.
    pub(super) fn is_at_end(&mut self, now: Instant) -> io::Result<bool> {
        // What a `take` left over is read again from where it stopped.
        self.seek_back();
        loop {
            let filled = self.fill(now)?;
            if self.framer.has_lines() {
                return Ok(false);
            }
            if filled != Filled::More {
                return Ok(true);
            }
            self.framer.take();
        }
    }

    /// Takes the finished lines as a batch, at most `max` of them.
    pub(super) fn take(&mut self, max: usize) -> Option<Batch> {
        self.at_hole = false;
        let mut framed = self.framer.take()?;
        let (started, base) = (self.own_mark(), self.place(self.base));
        let metrics = Arc::clone(&self.shared.metrics);
        framed.tally.count(&metrics);
        self.base += framed.consumed;
        self.resumed = None;
        if framed.table.lines.len() > max {
            // Only a `read` asks for fewer lines than there are, and it goes no further.
            framed.table.truncate(max);
            self.base = started.offset + framed.table.end;
        }
        self.tail = self.tail_at(self.base);
        let left = if framed.carried { std::mem::take(&mut self.left) } else { Vec::new() };
        if framed.table.lines.is_empty() {
            left.into_iter().for_each(|left| left.ack.done());
            return None;
        }
        self.grow_head();
        let place = self.place(self.base);
        let ack = match &self.account.book {
            Some(book) => {
                if started.file.head.len == 0 {
                    // Of an empty file nothing was known by which a later run could tell it from
                    // what is written over it, or find it under another name.
                    let file = Arc::clone(&self.id);
                    let began = FileMark { file, ..started };
                    book.begin(&Cursor(Place::File(began)));
                }
                book.issue(place.clone())
            }
            None => Ack::nothing(),
        };
        let (cursor, ack) = Left::join(left, place, ack);
        let batch = Batch::new(Arc::clone(&self.shared.origin), framed.table, now(), cursor)
            .of_file(Arc::clone(&self.path), Arc::clone(&self.labels))
            .based_at(base)
            .with_ack(ack);
        // A `read` is no progress, so it counts nothing.
        Some(match &self.account.book {
            Some(_) => batch.counted_by(&metrics).charged_to(&self.shared.intake),
            None => batch,
        })
    }

    /// Everything that is held, an unfinished last line too: it is all there ever was. What may be
    /// of another content is left out.
    pub(super) fn take_rest(&mut self) -> impl Iterator<Item = Batch> {
        if !self.trusted {
            let carry = self.resumed.take();
            self.seek_back();
            carry.into_iter().for_each(|carry| self.framer.resume(carry));
        }
        std::iter::from_fn(|| {
            self.framer.finish();
            self.take(usize::MAX)
        })
    }

    /// How it is on disk now.
    pub(super) fn stat(&self) -> io::Result<Stat> {
        self.content.file().stat()
    }

    /// How much is written and not yet taken, and for how long that has been so.
    pub(super) fn lag(&mut self, now: Instant) -> (u64, Option<Duration>) {
        let (size, lag) = if self.content.is_packed() {
            let lag = self.content.lag().unwrap_or(0);
            (self.base + lag, lag)
        } else {
            let size = self.content.file().size().unwrap_or(self.base);
            (size, size.saturating_sub(self.base))
        };
        self.growth.saw(now, size, self.base);
        (lag, self.growth.age(now))
    }

    /// Whether more was written since it was read to its end. Nobody appends to an archive.
    pub(super) fn has_grown(&self) -> bool {
        !self.content.is_packed() && self.content.file().size().is_ok_and(|size| size > self.at)
    }

    /// Whether all that is there was taken, and nothing is held.
    pub(super) fn is_used_up(&mut self, now: Instant) -> bool {
        !self.has_partial() && self.lag(now).0 == 0
    }

    /// The space on disk that it takes only because it is open, and how much of it is not read;
    /// none if it has a name.
    pub(super) fn held(&self) -> Option<(u64, u64)> {
        let stat = self.stat().ok().filter(|stat| stat.links == 0)?;
        Some((stat.space, stat.size.saturating_sub(self.base)))
    }

    /// When what is held is handed on though its rest did not come.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.framer.next_deadline()
    }

    /// Whether part of a line is held.
    pub(super) fn has_partial(&self) -> bool {
        self.framer.pending() > 0 || self.is_resumed()
    }

    fn grow_head(&mut self) {
        if self.memory.head_bytes() > self.id.head.len as usize {
            let head = self.memory.head();
            self.id = Arc::new(FileId { head, ..self.id.as_ref().clone() });
        }
    }

    /// What stands before a place that was read. Of a packed file nobody asks.
    fn tail_at(&mut self, place: u64) -> Tail {
        if self.content.is_packed() {
            return Tail::default();
        }
        if let Some(tail) = self.memory.tail(place) {
            return tail;
        }
        // It was read long ago, or never. An earlier one tells the file, too, and what was written
        // since a cut would tell another one.
        let tail = identity::tail(&mut self.content, place).unwrap_or(self.tail);
        let is_same = identity::stands(&mut self.content, self.tail)
            && identity::begins_with(&mut self.content, self.id.head);
        if is_same { tail } else { self.tail }
    }

    fn place(&self, offset: u64) -> Cursor {
        Cursor(Place::File(self.mark_at(offset)))
    }
}
