//! The bytes of a file that were read, as far as they tell the file from another one.
//!
//! To read them again would be too late: the file may have been cut, and written anew, since they
//! were read.

use crate::cursor::{Head, Tail};
use crate::file::identity::{HEAD_BYTES, TAIL_BYTES};

/// Of an unfinished line that is longer, the bytes before it are read again.
const RECENT_BYTES: usize = TAIL_BYTES + 4096;

/// Checksums are kept of beginnings of these lengths: a header is shorter than some of them.
pub(super) const BEGINNINGS: [usize; 6] = [2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];

/// What was read first, and what was read last.
#[derive(Debug, Default)]
pub(super) struct Memory {
    first: Vec<u8>,
    /// The checksum of everything up to the offset that was reached, as long as that is near.
    beginning: Option<crc32fast::Hasher>,
    /// Those of the beginnings.
    beginnings: Vec<u32>,
    recent: Vec<u8>,
    /// The offset after the last of them.
    at: u64,
}

impl Memory {
    /// Begins at an offset, before which these bytes are the first.
    pub(super) fn begin(&mut self, at: u64, first: &[u8]) {
        self.first.clear();
        self.first.extend_from_slice(first);
        self.beginning = (at == 0).then(crc32fast::Hasher::new);
        self.beginnings.clear();
        self.recent.clear();
        self.at = at;
    }

    /// The longest beginning of which the checksum is known, no longer than that.
    pub(super) fn beginning(&self, most: u64) -> Option<(usize, u32)> {
        let known = BEGINNINGS.into_iter().zip(self.beginnings.iter().copied());
        known.take_while(|(len, _)| *len as u64 <= most).last()
    }

    /// Goes back to an offset: what comes after it is read again.
    pub(super) fn seek(&mut self, at: u64) {
        let first = usize::try_from(at).unwrap_or(usize::MAX);
        self.first.truncate(first);
        self.beginning = (at == 0).then(crc32fast::Hasher::new);
        self.beginnings.truncate(BEGINNINGS.iter().filter(|len| **len as u64 <= at).count());
        self.recent.clear();
        self.at = at;
    }

    /// Bytes that were read at the offset that was reached.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if self.first.len() < HEAD_BYTES && self.at == self.first.len() as u64 {
            let missing = HEAD_BYTES - self.first.len();
            self.first.extend(bytes.iter().take(missing));
        }
        self.sum(bytes);
        let kept = bytes.len().min(RECENT_BYTES);
        let before = self.recent.len().min(RECENT_BYTES - kept);
        self.recent.drain(..self.recent.len() - before);
        self.recent.extend_from_slice(&bytes[bytes.len() - kept..]);
        self.at += bytes.len() as u64;
    }

    fn sum(&mut self, mut bytes: &[u8]) {
        let mut at = usize::try_from(self.at).unwrap_or(usize::MAX);
        while let (Some(sum), false) = (&mut self.beginning, bytes.is_empty()) {
            let Some(next) = BEGINNINGS.get(self.beginnings.len()) else {
                self.beginning = None;
                return;
            };
            let (now, later) = bytes.split_at(bytes.len().min(next.saturating_sub(at)));
            sum.update(now);
            at += now.len();
            bytes = later;
            if at >= *next {
                self.beginnings.push(sum.clone().finalize());
            }
        }
    }

    /// How many of the first bytes are known.
    pub(super) fn head_bytes(&self) -> usize {
        self.first.len()
    }

    /// The checksum of the first bytes.
    pub(super) fn head(&self) -> Head {
        let len = u32::try_from(self.first.len()).unwrap_or(0);
        Head { len, crc: crc32fast::hash(&self.first) }
    }

    /// The checksum of what stands before an offset, if that is still known.
    pub(super) fn tail(&self, at: u64) -> Option<Tail> {
        let from = at.saturating_sub(TAIL_BYTES as u64);
        let begin = self.at - self.recent.len() as u64;
        let start = usize::try_from(from.checked_sub(begin)?).ok()?;
        let end = usize::try_from(at.checked_sub(begin)?).ok()?;
        let bytes = self.recent.get(start..end)?;
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        Some(Tail { at, len, crc: crc32fast::hash(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_stands_in_the_file(
            len in 0_usize..20_000,
            begun in 0_usize..3000,
            pieces in proptest::collection::vec(1_usize..6000, 1..8),
            back in 0_usize..6000,
        ) {
            let file: Vec<u8> = (0..len).map(|at| (at * 7 + at / 251) as u8).collect();
            let mut memory = Memory::default();
            let begun = begun.min(len);
            memory.begin(begun as u64, &file[..begun.min(HEAD_BYTES)]);
            let mut at = begun;
            for piece in pieces {
                let end = (at + piece).min(len);
                memory.read(&file[at..end]);
                at = end;
            }
            let head = &file[..at.min(HEAD_BYTES)];
            let head = Head { len: head.len() as u32, crc: crc32fast::hash(head) };
            prop_assert_eq!(memory.head(), head);
            if let Some((len, crc)) = memory.beginning(at as u64) {
                prop_assert_eq!(crc, crc32fast::hash(&file[..len]));
            }
            prop_assert_eq!(memory.beginning(at as u64).is_some(), begun == 0 && at >= BEGINNINGS[0]);
            let place = at.saturating_sub(back);
            let from = place.saturating_sub(TAIL_BYTES);
            let bytes = &file[from..place];
            let tail =
                Tail { at: place as u64, len: bytes.len() as u32, crc: crc32fast::hash(bytes) };
            match memory.tail(place as u64) {
                Some(found) => prop_assert_eq!(found, tail),
                None => prop_assert!(from < begun || back + TAIL_BYTES > RECENT_BYTES),
            }
        }
    }
}
