//! The lines that are written: each says who wrote it, which one it is, and whether it is whole.

use std::fmt::Write;

use crate::dice::Dice;

/// Which line: its writer and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LineId {
    pub(crate) writer: u32,
    pub(crate) seq: u32,
}

/// What every new file begins with where a scenario asks for it: longer than what a follower
/// knows a file by, so that all of them look the same.
pub(crate) fn header() -> String {
    let mut text = String::from("# ");
    while text.len() < 1500 {
        text.push_str("the same first line in every file, whatever comes after it; ");
    }
    text.push('\n');
    text
}

/// A line with its line end: `w<writer> <seq> <padding> <crc32 of all that>`.
pub(crate) fn make(id: LineId, dice: &mut Dice) -> String {
    let padding = match dice.between(0, 99) {
        0..=79 => dice.between(0, 200),
        80..=97 => dice.between(200, 2_000),
        // Longer than a small batch, so that it is read in pieces.
        _ => dice.between(2_000, 20_000),
    };
    let mut line = format!("w{} {} ", id.writer, id.seq);
    line.extend((0..padding).map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap_or(0))));
    let sum = crc32fast::hash(line.as_bytes());
    let _ = writeln!(line, " {sum:08x}");
    line
}

/// Reads a line back; `None` if it is not one that [`make`] made, byte for byte.
pub(crate) fn parse(line: &[u8]) -> Option<LineId> {
    let at = line.len().checked_sub(9)?;
    let (body, sum) = line.split_at(at);
    let sum = std::str::from_utf8(sum.strip_prefix(b" ")?).ok()?;
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(body) {
        return None;
    }
    let mut words = body.split(|byte| *byte == b' ');
    let writer = std::str::from_utf8(words.next()?.strip_prefix(b"w")?).ok()?.parse().ok()?;
    let seq = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    Some(LineId { writer, seq })
}

/// Whether these bytes are the beginning of that line, as far as they can tell, without its line end:
/// it was read while it was written.
pub(crate) fn begins(id: LineId, bytes: &[u8]) -> bool {
    let start = format!("w{} {} ", id.writer, id.seq);
    let Some(rest) = bytes.strip_prefix(start.as_bytes()) else {
        return !bytes.is_empty() && start.as_bytes().starts_with(bytes);
    };
    let is_padding = |(n, byte): &(usize, &u8)| **byte == b'a' + (n % 26) as u8;
    let padding = rest.iter().enumerate().take_while(is_padding).count();
    let (body, sum) = bytes.split_at(start.len() + padding);
    format!(" {:08x}", crc32fast::hash(body)).as_bytes().starts_with(sum)
}
