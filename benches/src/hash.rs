//! What every consumer makes of its lines: the same sum over all bytes, whoever read them.

use std::hash::Hasher;

/// Order-sensitive over all lines, cheap enough not to be what is measured.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LineHash {
    /// How many lines it has seen.
    pub lines: u64,
    /// How many bytes they have, without their ends.
    pub bytes: u64,
    sum: u64,
}

impl LineHash {
    /// Takes one line, or one field of it.
    pub fn line(&mut self, line: &[u8]) {
        let mut hasher = Fold::default();
        hasher.write(line);
        self.sum = self.sum.rotate_left(5) ^ hasher.finish();
        self.lines += 1;
        self.bytes += line.len() as u64;
    }

    /// Takes a number.
    pub fn number(&mut self, number: i64) {
        self.line(&number.to_le_bytes());
    }
}

/// Eight bytes at a time, multiply and fold: near memory speed, and every byte counts.
#[derive(Debug, Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        }
        for byte in chunks.remainder() {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
