//! A packed file as a sequence of members, each unpacked as its bytes come.
//!
//! A gzip file is members one after the other, a zstd file is frames: here all are members. Only
//! the decoder of one member has a state, so at a member's end there is nothing to hold on to, and
//! a file that grew by a member goes on from there.

use std::fmt;
use std::io;

use flate2::{Decompress, FlushDecompress, Status};

use super::zstd::Frame;
use super::{Format, State};
use crate::file::disk::Handle;

/// How much is read from disk at once: little at first, since of many archives only the beginning
/// is looked at, then twice as much each time. A block of zstd, which is whole or cannot be unpacked,
/// has at most 128 KiB and 7 bytes.
const INPUT_BYTES: (usize, usize) = (8 << 10, 256 << 10);

/// How much is unpacked at once that nobody wants.
const SKIP_BYTES: usize = 64 << 10;

/// As much is unpacked again without much ado. Archives are rarely unfinished and large, and there
/// are never many of them.
const PARKED_BYTES: u64 = 16 << 20;

/// The largest window of gzip, and its header and trailer (zlib's way to say so).
const GZIP_WINDOW_BITS: u8 = 15;

/// A packed file. Which one it is, every call says anew.
#[derive(Debug)]
pub(super) struct Packed {
    format: Format,
    state: State,
    /// Where the member begins that was last begun.
    member: Spot,
    /// The end that was found.
    end: Option<End>,
    /// Whether nobody will write any more.
    is_finished: bool,
    /// What unpacks now; nothing while there is nothing to unpack.
    engine: Option<Box<Engine>>,
}

/// One place, on disk and in the plain content.
#[derive(Debug, Clone, Copy, Default)]
struct Spot {
    packed: u64,
    plain: u64,
}

/// Where reading stopped.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Spot,
    /// Nothing that may be written behind it will change it.
    is_final: bool,
}

struct Engine {
    /// The decoder of the member; none between two.
    decoder: Option<Decoder>,
    /// What was read from disk and is not yet unpacked is `input[start..filled]`.
    input: Vec<u8>,
    start: usize,
    filled: usize,
    /// Where `input[start]` is, and the plain offset that comes next.
    at: Spot,
}

/// What unpacks one member.
enum Decoder {
    Gzip(Box<Decompress>),
    Zstd(Box<Frame>),
}

/// What one turn of a decoder did.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) read: usize,
    pub(super) written: usize,
    pub(super) then: Then,
}

/// What comes after a turn of a decoder.
#[derive(Debug)]
pub(super) enum Then {
    /// More of the same member.
    More,
    /// It can go on only with more input.
    Hungry,
    /// The member is over.
    Over,
    /// The member cannot be unpacked further, for this reason.
    Broken(String),
}

impl Packed {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            state: State::Growing,
            member: Spot::default(),
            end: None,
            is_finished: false,
            engine: None,
        }
    }

    pub(super) fn read_at<F: Handle>(
        &mut self,
        file: &F,
        into: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        if into.is_empty() || self.is_at_end(file, offset)? {
            return Ok(0);
        }
        if self.engine.as_ref().is_none_or(|engine| offset < engine.at.plain) {
            // A decoder cannot go back: it begins anew.
            let is_before = offset < self.member.plain;
            let from = if is_before { Spot::default() } else { self.member };
            self.engine = Some(Box::new(Engine::new(from)));
        }
        if !self.skip_to(file, offset)? {
            return Ok(0);
        }
        let mut filled = 0;
        while let Some(room) = into.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.unpack(file, room) {
                Ok(0) => break,
                Ok(unpacked) => filled += unpacked,
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    pub(super) fn finish(&mut self) {
        self.is_finished = true;
        // The end that was found was one to wait at.
        if self.state == State::Growing {
            self.end = None;
        }
    }

    pub(super) fn park(&mut self) {
        let begun = self.member.plain;
        // What took long to unpack would take long again.
        if self
            .engine
            .as_ref()
            .is_some_and(|engine| engine.at.plain.saturating_sub(begun) < PARKED_BYTES)
        {
            self.engine = None;
        }
    }

    /// Whether it holds the memory that unpacking takes.
    #[cfg(test)]
    pub(super) fn is_active(&self) -> bool {
        self.engine.is_some()
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn lag<F: Handle>(&self, file: &F) -> io::Result<u64> {
        let read = match (&self.engine, self.end) {
            (_, Some(End { is_final: true, .. })) => return Ok(0),
            (_, Some(end)) => end.at.packed,
            (Some(engine), None) => engine.at.packed,
            (None, None) => self.member.packed,
        };
        Ok(file.stat()?.size.saturating_sub(read))
    }

    pub(super) fn unreadable<F: Handle>(&self, file: &F) -> io::Result<u64> {
        match self.end {
            Some(End { at, is_final: true }) => Ok(file.stat()?.size.saturating_sub(at.packed)),
            _ => Ok(0),
        }
    }

    /// Whether there is nothing to read at this offset: the end is known, and nothing was written
    /// behind it since.
    fn is_at_end<F: Handle>(&mut self, file: &F, offset: u64) -> io::Result<bool> {
        let Some(end) = self.end else { return Ok(false) };
        if offset < end.at.plain {
            return Ok(false);
        }
        if end.is_final || file.read_at(&mut [0], end.at.packed)? == 0 {
            return Ok(true);
        }
        if self.is_finished {
            // What was held back is handed out; only from the member's start can it go on.
            (self.is_finished, self.engine) = (false, None);
        }
        (self.state, self.end) = (State::Growing, None);
        Ok(false)
    }

    /// Unpacks up to an offset. Says whether it was reached.
    fn skip_to<F: Handle>(&mut self, file: &F, offset: u64) -> io::Result<bool> {
        let mut bin = Vec::new();
        loop {
            let Some(engine) = &self.engine else { return Ok(false) };
            let skip = usize::try_from(offset - engine.at.plain).unwrap_or(usize::MAX);
            if skip == 0 {
                return Ok(true);
            }
            bin.resize(skip.min(SKIP_BYTES), 0);
            if self.unpack(file, &mut bin)? == 0 {
                return Ok(false);
            }
        }
    }

    /// Unpacks from where the engine stands; 0 at the end.
    fn unpack<F: Handle>(&mut self, file: &F, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(engine) = &mut self.engine else { return Ok(0) };
            let Some(decoder) = &mut engine.decoder else {
                if !self.begin(file)? {
                    return Ok(0);
                }
                continue;
            };
            let step = decoder.step(&engine.input[engine.start..engine.filled], into);
            engine.start += step.read;
            engine.at.packed += step.read as u64;
            engine.at.plain += step.written as u64;
            match step.then {
                Then::More => {}
                Then::Hungry => {
                    if engine.refill(file)? || (self.is_finished && engine.cut()) {
                        continue;
                    }
                    let read = Spot { packed: engine.read(), plain: engine.at.plain };
                    let cut =
                        || State::Damaged(format!("a {} member has no end", self.format).into());
                    let state = if self.is_finished { cut() } else { State::Growing };
                    self.stop(state, read, false);
                    return Ok(0);
                }
                Then::Over => {
                    engine.decoder = None;
                    self.member = engine.at;
                }
                Then::Broken(reason) => {
                    let at = engine.at;
                    self.stop(State::Damaged(reason.into()), at, true);
                    return Ok(step.written);
                }
            }
            if step.written > 0 {
                return Ok(step.written);
            }
        }
    }

    /// Begins the next member. Says whether there is one.
    fn begin<F: Handle>(&mut self, file: &F) -> io::Result<bool> {
        loop {
            let Some(engine) = &mut self.engine else { return Ok(false) };
            if engine.at.packed > 0 {
                engine.skip_padding();
            }
            self.member = engine.at;
            let unread = &engine.input[engine.start..engine.filled];
            let is_over = unread.is_empty();
            match self.format.begins(unread) {
                Some(true) => {
                    engine.decoder = Some(Decoder::new(self.format));
                    return Ok(true);
                }
                Some(false) => {
                    // As gzip(1) has it, what is no member is not meant to be read.
                    let at = engine.at;
                    self.stop(State::Complete, at, true);
                    return Ok(false);
                }
                None if engine.refill(file)? => {}
                None => {
                    let read = Spot { packed: engine.read(), plain: engine.at.plain };
                    let state = if is_over { State::Complete } else { State::Growing };
                    self.stop(state, read, false);
                    return Ok(false);
                }
            }
        }
    }

    fn stop(&mut self, state: State, at: Spot, is_final: bool) {
        if state != State::Growing {
            // Archives by the thousand lie in a directory, read to their ends.
            self.engine = None;
        }
        self.state = state;
        self.end = Some(End { at, is_final });
    }
}

impl Engine {
    fn new(at: Spot) -> Self {
        Self { decoder: None, input: Vec::new(), start: 0, filled: 0, at }
    }

    /// The offset on disk after what was read.
    fn read(&self) -> u64 {
        self.at.packed + (self.filled - self.start) as u64
    }

    /// Reads more from disk. Says whether there is more.
    fn refill<F: Handle>(&mut self, file: &F) -> io::Result<bool> {
        // A decoder that was told that there is no more takes none.
        if self.decoder.as_ref().is_some_and(Decoder::is_cut) {
            return Ok(false);
        }
        self.input.copy_within(self.start..self.filled, 0);
        (self.start, self.filled) = (0, self.filled - self.start);
        let (least, most) = INPUT_BYTES;
        self.input.resize((self.input.len() * 2).clamp(least, most), 0);
        let from = self.read();
        let read = file.read_at(&mut self.input[self.filled..], from)?;
        self.filled += read;
        Ok(read > 0)
    }

    /// There is no more: the decoder gives what it holds. Says whether it holds anything.
    fn cut(&mut self) -> bool {
        self.decoder.as_mut().is_some_and(Decoder::cut)
    }

    /// Passes over the zeros behind a member.
    fn skip_padding(&mut self) {
        let unread = &self.input[self.start..self.filled];
        let zeros = unread.iter().take_while(|byte| **byte == 0).count();
        self.start += zeros;
        self.at.packed += zeros as u64;
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Decoder {
    fn new(format: Format) -> Self {
        match format {
            Format::Zstd => Self::Zstd(Box::default()),
            _ => Self::Gzip(Box::new(Decompress::new_gzip(GZIP_WINDOW_BITS))),
        }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let gzip = match self {
            Self::Zstd(frame) => return frame.step(input, output),
            Self::Gzip(gzip) => gzip,
        };
        let before = (gzip.total_in(), gzip.total_out());
        let result = gzip.decompress(input, output, FlushDecompress::None);
        let since = |total: u64, before: u64| usize::try_from(total - before).unwrap_or(0);
        let (read, written) = (since(gzip.total_in(), before.0), since(gzip.total_out(), before.1));
        let then = match result {
            Ok(Status::StreamEnd) => Then::Over,
            Ok(Status::Ok | Status::BufError) if (read, written) == (0, 0) => Then::Hungry,
            Ok(Status::Ok | Status::BufError) => Then::More,
            // What else it says depends on how much it was given at once.
            Err(error) => match error.message() {
                Some(check) if check.starts_with("incorrect") => Then::Broken(check.to_owned()),
                _ => Then::Broken("invalid compressed data".to_owned()),
            },
        };
        Step { read, written, then }
    }

    fn cut(&mut self) -> bool {
        match self {
            Self::Gzip(_) => false,
            Self::Zstd(frame) => frame.cut(),
        }
    }

    fn is_cut(&self) -> bool {
        matches!(self, Self::Zstd(frame) if frame.is_cut())
    }
}
