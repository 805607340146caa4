//! The place after each entry of a batch, in as little memory as tells it: the acknowledgements of
//! its entries keep it for as long as any of them is kept.

use crate::Cursor;
#[cfg(any(feature = "file", feature = "journald"))]
use crate::cursor::Place;

/// The place after each entry.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "file", feature = "journald")),
    expect(dead_code, reason = "only a ledger keeps a place within a batch")
)]
pub(crate) struct Ends {
    pub(crate) places: Places,
    /// The place after all of them.
    pub(crate) last: Cursor,
    pub(crate) len: usize,
}

/// How the places before the last one are told.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "file", feature = "journald")),
    expect(dead_code, reason = "only a ledger keeps a place within a batch")
)]
pub(crate) enum Places {
    /// They are not: all are the last one.
    None,
    /// So many bytes after a place.
    Bytes(Cursor, Vec<u32>),
    /// The journal's cursors one after the other, and where each ends.
    Texts(Vec<u8>, Vec<u32>),
}

#[cfg(any(feature = "file", feature = "journald"))]
impl Ends {
    /// The place after one entry: before the next one, so that blank lines between them count.
    pub(crate) fn get(&self, index: usize) -> Cursor {
        let place = match &self.places {
            Places::Bytes(base, ends) if index + 1 < self.len => {
                ends.get(index).map(|end| base.plus((*end).into()))
            }
            Places::Texts(texts, ends) => text(texts, ends, index),
            _ => None,
        };
        place.unwrap_or_else(|| self.last.clone())
    }
}

#[cfg(any(feature = "file", feature = "journald"))]
fn text(texts: &[u8], ends: &[u32], index: usize) -> Option<Cursor> {
    let start = index.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
    let text = texts.get(start as usize..*ends.get(index)? as usize)?;
    Some(Cursor(Place::Journal(String::from_utf8_lossy(text).into())))
}
