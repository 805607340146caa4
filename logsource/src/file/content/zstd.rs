//! One frame of zstd, unpacked block by block.
//!
//! A block is handed to the library only when all of it is there, so a frame that is still being
//! written goes on without being unpacked again. The library hands out what the window no longer
//! needs; the rest comes with the frame's end, or when it is told that there will be none.

use std::fmt;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::packed::{Step, Then};

/// What `zstd -d` takes without being told to; more is memory that a stranger asks for.
const MAX_WINDOW_BYTES: u64 = 128 << 20;

/// An empty block that says it is the last one, and room for a checksum.
const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// A block has no more bytes than this.
const MAX_BLOCK_BYTES: usize = 128 << 10;

#[derive(Default)]
pub(super) struct Frame {
    decoder: FrameDecoder,
    stage: Stage,
    /// Whether a checksum comes after the last block.
    has_checksum: bool,
}

#[derive(Default)]
enum Stage {
    #[default]
    Header,
    /// A frame for somebody else, with so many bytes to come.
    Skip(usize),
    Blocks,
    /// The last block is unpacked.
    Last,
    /// A block could not be unpacked; what came before it is handed out.
    Broken(String),
    /// There is no more input.
    Cut,
}

impl Frame {
    /// Unpacks what it can.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        // Reading what is unpacked cannot fail: it is a copy.
        let written = self.decoder.read(output).unwrap_or(0);
        if written > 0 {
            return Step { read: 0, written, then: Then::More };
        }
        let (read, then) = match &mut self.stage {
            Stage::Header => self.header(input),
            Stage::Skip(left) if *left > 0 && input.is_empty() => (0, Then::Hungry),
            Stage::Skip(left) => {
                let read = (*left).min(input.len());
                *left -= read;
                (read, if *left == 0 { Then::Over } else { Then::More })
            }
            Stage::Blocks => self.block(input),
            Stage::Last => (0, self.over()),
            Stage::Broken(reason) => (0, Then::Broken(std::mem::take(reason))),
            Stage::Cut => (0, Then::Hungry),
        };
        Step { read, written: 0, then }
    }

    /// There will be no more input: what the window holds is handed out. Says whether that helps.
    pub(super) fn cut(&mut self) -> bool {
        let has_window = matches!(self.stage, Stage::Blocks);
        if has_window {
            self.end(Stage::Cut);
        }
        has_window
    }

    pub(super) fn is_cut(&self) -> bool {
        matches!(self.stage, Stage::Cut)
    }

    fn header(&mut self, input: &[u8]) -> (usize, Then) {
        let more = (0, Then::Hungry);
        if let [0x50..=0x5f, _, _, _, length @ ..] = input {
            let Some(length) = length.first_chunk() else { return more };
            self.stage = Stage::Skip(u32::from_le_bytes(*length) as usize);
            return (8, Then::More);
        }
        let Some(descriptor) = input.get(4) else { return more };
        let is_single = descriptor & 0x20 != 0;
        let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size_bytes = match descriptor >> 6 {
            0 => usize::from(is_single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let length = 5 + usize::from(!is_single) + dictionary_bytes + size_bytes;
        let Some(header) = input.get(..length) else { return more };
        let size = header[length - size_bytes..].iter().rev();
        let size = size.fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
        let window = match header[5] {
            // A single segment is its own window; a size of two bytes begins at 256.
            _ if is_single => size + if size_bytes == 2 { 256 } else { 0 },
            window => {
                let base = 1 << (10 + (window >> 3));
                base + base / 8 * u64::from(window & 7)
            }
        };
        if window > MAX_WINDOW_BYTES {
            let (window, most) = (window >> 20, MAX_WINDOW_BYTES >> 20);
            let what = format!("a window of {window} MiB; more than {most} MiB is not given");
            return (0, Then::Broken(what + ", so unpack it with `zstd -d --long=31`"));
        }
        if let Err(error) = self.decoder.reset(header) {
            return (0, Then::Broken(error.to_string()));
        }
        self.has_checksum = descriptor & 4 != 0;
        self.stage = Stage::Blocks;
        (length, Then::More)
    }

    /// Unpacks a block if all of it is there.
    fn block(&mut self, input: &[u8]) -> (usize, Then) {
        let more = (0, Then::Hungry);
        let Some([a, b, c]) = input.first_chunk().copied() else { return more };
        let header = u32::from_le_bytes([a, b, c, 0]);
        let (is_last, kind, size) = (header & 1 == 1, (header >> 1) & 3, header as usize >> 3);
        if size > MAX_BLOCK_BYTES {
            self.end(Stage::Broken(format!("a block of {size} bytes")));
            return (0, Then::More);
        }
        // A block of one byte many times over says how many.
        let body = if kind == 1 { 1 } else { size };
        let length = 3 + body + if is_last && self.has_checksum { 4 } else { 0 };
        let Some(block) = input.get(..length) else { return more };
        if let Err(reason) = self.decode(block) {
            self.end(Stage::Broken(reason));
            return (0, Then::More);
        }
        if is_last {
            self.stage = Stage::Last;
        }
        (length, Then::More)
    }

    fn decode(&mut self, block: &[u8]) -> Result<(), String> {
        let decoder = &mut self.decoder;
        let one = BlockDecodingStrategy::UptoBlocks(1);
        // The library asserts what a broken block does not keep.
        match catch_unwind(AssertUnwindSafe(|| decoder.decode_blocks(block, one))) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                self.decoder = FrameDecoder::new();
                Err("a block that contradicts itself".to_owned())
            }
        }
    }

    /// Ends the frame here, so that the library hands out its window.
    fn end(&mut self, stage: Stage) {
        if self.decode(&LAST_BLOCK).is_err() {
            self.decoder = FrameDecoder::new();
        }
        self.stage = stage;
    }

    /// Everything was handed out; whether it is what was packed, the checksum tells.
    fn over(&self) -> Then {
        let told = self.decoder.get_checksum_from_data();
        match !self.has_checksum || told == self.decoder.get_calculated_checksum() {
            true => Then::Over,
            false => Then::Broken("incorrect checksum".to_owned()),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").finish_non_exhaustive()
    }
}
