//! From bytes to batches of lines.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

#[cfg(any(feature = "file", test))]
use super::groups::Open;
use super::settings::Framing;
use super::splitter::Splitter;
#[cfg(any(feature = "file", test))]
use super::stage::Held;
use super::stage::{Raw, Stage};
use super::tally::Tally;
use crate::slab::{Blank, Pool, Table};

/// No more memory than this is kept for what is held between two reads.
const SPARE_BYTES: usize = 4 << 10;

/// Turns bytes, in whatever pieces they come, into lines of a slab.
///
/// The owner reads into [`Framer::room`], says how much with [`Framer::fed`], and takes the
/// finished lines with [`Framer::take`]. Pure: it knows no file, and its time is an argument.
///
/// Lines are handed on in the slab that they were read into, unless they must be decoded, or
/// joined from parts that are not next to each other: that is done in a [`Stage`], which has a
/// slab of its own.
#[derive(Debug)]
pub(crate) struct Framer {
    pool: Arc<Pool>,
    framing: Framing,
    splitter: Splitter,
    /// The memory for an unfinished line until more is read. It is not a slab: thousands of files
    /// may have one, and each is read a batch at a time.
    spare: BytesMut,
    stage: Option<Box<Stage>>,
    /// Lines of the splitter that the stage has taken.
    staged: usize,
    /// What the slab begins with that is not of this stream: it was carried here.
    prefix: usize,
    /// How far the stream was read before the slab.
    position: u64,
    /// The splitter's last line was ended without a line end.
    is_ended: bool,
    /// When bytes last came.
    touched: Option<Instant>,
}

/// Finished lines.
#[derive(Debug)]
pub(crate) struct Framed {
    pub(crate) table: Table,
    /// How many bytes of the stream are done with: up to the first that is still held, blank
    /// lines and cut ones included.
    pub(crate) consumed: u64,
    pub(crate) tally: Tally,
    /// What was resumed is in here, or was before.
    #[cfg_attr(not(feature = "file"), allow(dead_code, reason = "only files follow each other"))]
    pub(crate) carried: bool,
}

/// What one file leaves for the next file of the same log.
#[derive(Debug, Clone)]
#[cfg(any(feature = "file", test))]
pub(crate) struct Carry {
    /// An open group and an unfinished line,
    bytes: Vec<u8>,
    /// which begins here.
    start: usize,
    group: Option<Open>,
    held: Option<Held>,
    touched: Option<Instant>,
}

impl Framer {
    /// Begins at the first byte of a stream.
    pub(crate) fn new(pool: Arc<Pool>, framing: &Framing) -> Self {
        // Many files are opened, and few of them read at the same time: a slab is taken when it is
        // needed.
        let splitter = Splitter::new(Blank::default(), framing.settings());
        let framing = framing.clone();
        let (stage, staged, prefix, position) = (None, 0, 0, 0);
        let (is_ended, touched) = (false, None);
        let spare = BytesMut::new();
        let mut framer = Self {
            pool,
            framing,
            splitter,
            spare,
            stage,
            staged,
            prefix,
            position,
            is_ended,
            touched,
        };
        framer.set_stage();
        framer
    }

    /// The stage is there if what is known of the stream asks for one.
    fn set_stage(&mut self) {
        if !self.splitter.is_staged() {
            return;
        }
        let new = || Box::new(Stage::new(Arc::clone(&self.pool), self.framing.settings()));
        let stage = self.stage.get_or_insert_with(new);
        stage.read_as(self.splitter.charset);
    }

    /// Where to read to; empty if the finished lines must be taken first.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.stage.as_ref().is_some_and(|stage| stage.is_blocked()) {
            return &mut [];
        }
        if self.splitter.blank.slab.len() < self.pool.slab_bytes() {
            let small = self.splitter.swap(self.pool.get());
            self.keep(small);
        }
        if self.stage.is_some() && self.splitter.room().is_empty() {
            // A hole was passed over, say.
            self.advance();
        }
        self.splitter.room()
    }

    /// Gives memory back of which next to nothing is used, until there is more to read.
    #[cfg(any(feature = "file", test))]
    pub(crate) fn rest(&mut self) {
        self.shrink();
        if let Some(stage) = &mut self.stage {
            stage.rest();
        }
    }

    /// Goes on in little memory, if little is held.
    fn shrink(&mut self) {
        let splitter = &self.splitter;
        let is_slab = splitter.blank.slab.len() >= self.pool.slab_bytes();
        if is_slab && splitter.blank.lines.is_empty() && self.is_little(splitter.filled) {
            let small = self.small(splitter.filled);
            let slab = self.splitter.swap(small);
            self.pool.put(slab);
        }
    }

    /// Whether so much is better held in memory of its own than in a slab.
    fn is_little(&self, bytes: usize) -> bool {
        bytes <= self.pool.slab_bytes() / 4
    }

    /// Memory for so much; none is asked for if there was as much before.
    fn small(&mut self, bytes: usize) -> Blank {
        let mut slab = std::mem::take(&mut self.spare);
        slab.resize(bytes, 0);
        Blank { slab, ..Blank::default() }
    }

    /// Keeps memory for the next time.
    fn keep(&mut self, small: Blank) {
        if (1..=SPARE_BYTES).contains(&small.slab.capacity()) {
            self.spare = small.slab;
        }
    }

    /// Says how many bytes were read into the room, and when.
    pub(crate) fn fed(&mut self, bytes: usize, now: Instant) {
        if bytes > 0 || self.touched.is_none() {
            self.touched = Some(now);
        }
        self.splitter.fed(bytes);
        self.advance();
    }

    /// Has the stage take the lines that were found.
    fn advance(&mut self) {
        self.set_stage();
        let (Some(stage), Some(now)) = (&mut self.stage, self.touched) else { return };
        loop {
            let splitter = &mut self.splitter;
            let prefix = self.prefix as u64;
            let place = |at: u64| (self.position + at).saturating_sub(prefix);
            while let Some(line) = splitter.blank.lines.get(self.staged) {
                if stage.is_blocked() {
                    return;
                }
                let next = splitter.blank.lines.get(self.staged + 1);
                let after = next.map_or(splitter.framed as u64, |next| next.start.into());
                let end = next.map_or(splitter.consumed(), |next| next.start.into());
                let raw = Raw {
                    bytes: line.of(&splitter.blank.slab),
                    at: place(line.start.into()),
                    end: place(end),
                    continues: u64::from(line.end) == after && !(next.is_none() && self.is_ended),
                };
                stage.line(raw, now);
                self.staged += 1;
            }
            if splitter.framed == 0 {
                return;
            }
            let consumed = splitter.consumed();
            stage.passed(place(consumed));
            let carried = self.prefix.min(splitter.framed);
            self.position += consumed - carried as u64;
            self.prefix -= carried;
            (self.staged, self.is_ended) = (0, false);
            splitter.compact();
        }
    }

    /// How many bytes of unfinished lines are held.
    #[cfg(any(feature = "file", test))]
    pub(crate) fn pending(&self) -> u64 {
        let staged = self.stage.as_ref().map_or(0, |stage| self.position - stage.done());
        staged + self.splitter.pending()
    }

    /// Whether nothing is held, and nothing is to be taken.
    #[cfg(feature = "file")]
    pub(crate) fn is_empty(&self) -> bool {
        let is_taken = match &self.stage {
            Some(stage) => !stage.has_lines() && !stage.has_passed(),
            None => self.splitter.framed == 0,
        };
        is_taken && self.pending() == 0
    }

    /// Whether a line that is not blank is finished.
    #[cfg(feature = "file")]
    pub(crate) fn has_lines(&self) -> bool {
        match &self.stage {
            Some(stage) => stage.has_lines(),
            None => !self.splitter.blank.lines.is_empty(),
        }
    }

    /// The finished lines, if any were read (blank ones count as read).
    pub(crate) fn take(&mut self) -> Option<Framed> {
        if let Some(stage) = &mut self.stage {
            let (table, carried) = stage.take(&self.pool)?;
            let mut tally = std::mem::take(&mut stage.tally);
            tally.add(std::mem::take(&mut self.splitter.tally));
            self.advance();
            self.shrink();
            return Some(Framed { consumed: table.end, table, tally, carried });
        }
        let filled = self.splitter.framed;
        if filled == 0 {
            return None;
        }
        let prefix = self.prefix.min(filled);
        let consumed = self.splitter.consumed() - prefix as u64;
        let rest = self.splitter.filled - filled;
        let next = if self.is_little(rest) { self.small(rest) } else { self.pool.get() };
        let mut full = self.splitter.turn(next);
        if prefix > 0 {
            // The slab is not the stream any more.
            let before = u32::try_from(prefix).unwrap_or(u32::MAX);
            let starts = full.lines.iter().skip(1).map(|line| line.start);
            full.ends.extend(starts.map(|end| end.saturating_sub(before)).chain([u32::MAX]));
        }
        let carried = self.prefix > 0 && prefix == self.prefix;
        self.prefix -= prefix;
        self.position += consumed;
        let table = Table::of_blank(full, filled, consumed, Some(Arc::clone(&self.pool)));
        Some(Framed { table, consumed, tally: std::mem::take(&mut self.splitter.tally), carried })
    }

    /// Ends everything that is held: nothing more will come.
    pub(crate) fn finish(&mut self) {
        self.finish_line();
        self.splitter.close();
        if let Some(stage) = self.stage.as_mut().filter(|stage| !stage.is_blocked()) {
            stage.finish();
        }
    }

    /// Ends the last line, though it has no line end.
    fn finish_line(&mut self) {
        self.is_ended |= self.splitter.finish_line();
        self.advance();
    }

    /// Ends what has waited past its time.
    pub(crate) fn expire(&mut self, now: Instant) {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if is_over(self.line_deadline()) {
            self.finish_line();
        }
        if is_over(self.group_deadline()) {
            self.splitter.close();
        }
        if let Some(stage) = &mut self.stage {
            stage.expire(now);
        }
    }

    /// When there is something to [`Framer::expire`].
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let stage = self.stage.as_ref().and_then(|stage| stage.next_deadline());
        [self.line_deadline(), self.group_deadline(), stage].into_iter().flatten().min()
    }

    fn line_deadline(&self) -> Option<Instant> {
        let wait = self.framing.settings().flush_partial.filter(|_| self.splitter.is_mid_line())?;
        self.touched?.checked_add(wait)
    }

    fn group_deadline(&self) -> Option<Instant> {
        let groups = self.splitter.groups.as_ref().filter(|groups| groups.open.is_some())?;
        self.touched?.checked_add(groups.time_out())
    }

    /// Forgets everything, and begins at an offset of a stream. What is known of the stream stays
    /// known, unless it is begun at its beginning.
    pub(crate) fn begin(&mut self, offset: u64) {
        self.splitter.begin(self.framing.settings(), offset);
        (self.staged, self.prefix, self.position) = (0, 0, 0);
        self.is_ended = false;
        if let Some(stage) = self.stage.as_mut().filter(|_| self.splitter.is_staged()) {
            stage.begin();
        } else {
            self.stage = None;
        }
        self.set_stage();
    }

    /// Says what a stream begins with that is read from further on: it may have a byte order mark.
    /// Four bytes are enough.
    #[cfg(any(feature = "file", test))]
    pub(crate) fn know(&mut self, head: &[u8]) {
        self.splitter.know(head);
        self.set_stage();
    }

    /// Ends this file, for another goes on where it stops: what is held is given to the next file's
    /// framer, and this one is to begin again. None if nothing is held; and if what is held cannot
    /// go there: finished lines, which must be taken first, an unfinished line unless `line` says
    /// that the next file begins with its rest, and what is in an encoding that only this file's
    /// byte order mark tells.
    #[cfg(any(feature = "file", test))]
    pub(crate) fn carry(&mut self, line: bool) -> Option<Carry> {
        let settings = self.framing.settings();
        let is_mid_piece = self.stage.as_ref().is_some_and(|stage| stage.is_mid_piece());
        let stays = self.splitter.is_mid_line() && !(line && self.splitter.is_portable());
        let lines = match &self.stage {
            Some(stage) => stage.has_lines(),
            None => self.splitter.framed > 0,
        };
        if stays || lines || is_mid_piece || self.splitter.charset != settings.charset {
            return None;
        }
        let (bytes, start) = self.splitter.drain();
        let group = self.splitter.groups.as_mut().and_then(|groups| groups.open.take());
        let held = self.stage.as_mut().and_then(|stage| stage.drain());
        let touched = self.touched;
        let is_something = !bytes.is_empty() || held.is_some();
        is_something.then_some(Carry { bytes, start, group, held, touched })
    }

    /// Goes on with what an earlier file left. Nothing was read yet.
    #[cfg(any(feature = "file", test))]
    pub(crate) fn resume(&mut self, carry: Carry) {
        self.touched = carry.touched;
        if let (Some(stage), Some(held)) = (&mut self.stage, carry.held) {
            stage.resume(held);
        }
        self.prefix = carry.bytes.len();
        if self.splitter.blank.slab.is_empty() {
            self.splitter.blank = self.pool.get();
        }
        self.splitter.preset(&carry.bytes, carry.start);
        if let Some(groups) = &mut self.splitter.groups {
            groups.open = carry.group;
        }
    }
}

#[cfg(test)]
mod tests;
