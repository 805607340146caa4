//! An entry as a line of text: a format version, a checksum, and the entry as JSON.

use std::fmt;
use std::sync::Arc;

use super::DecisionEntry;
use crate::decision::DecisionId;
use crate::error::{Error, ErrorKind};

/// The layout written by this version. In the first one a state has the ids of its intents in it.
pub(super) const FORMAT: u32 = 2;

/// The oldest layout that is read.
const OLDEST: u32 = 1;

/// A longer line was not written by us.
pub(super) const MAX_LINE: usize = 64 << 20;

const START: &str = "{\"format\":";
const CHECKSUM: &str = ",\"crc32\":\"";
const ENTRY: &str = "\",\"entry\":";

/// An entry as it is kept: `{"format":2,"crc32":"0f3c…","entry":{…}}`, a JSON document on a line.
///
/// The checksum is that of the entry's text, so that a line which a crash cut short, or a disk
/// changed, is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionLine {
    target: Arc<str>,
    decision: DecisionId,
    kind: &'static str,
    /// Shared: a batch that is being written is in the queue as well.
    text: Arc<str>,
}

/// Why a line is no entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadLine {
    /// It is not whole, or not as it was written.
    Damaged,
    /// Another version wrote it.
    Format(u32),
    /// It is as it was written, and cannot be understood.
    Unreadable(String),
}

impl DecisionLine {
    /// Writes an entry down.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if it holds a time outside the years 0 to 9999.
    pub fn encode(entry: &DecisionEntry) -> Result<Self, Error> {
        let (target, decision) = (Arc::clone(entry.target()), entry.decision_id());
        let json = serde_json::to_string(entry).map_err(|error| {
            let message = format!("decision {decision} of `{target}` cannot be written: {error}");
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        let checksum = crc32fast::hash(json.as_bytes());
        let text = format!("{START}{FORMAT}{CHECKSUM}{checksum:08x}{ENTRY}{json}}}");
        Ok(Self { target, decision, kind: entry.kind(), text: text.into() })
    }

    /// The line, without its end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is unique about it, in the order of time: `workers/1795420800000-0000000007/1-decided`.
    pub fn key(&self) -> String {
        let id = self.decision.to_string();
        let (at, count) = id.split_once('-').unwrap_or((&id, ""));
        let order = match self.kind {
            "decided" => 1,
            "applied" => 2,
            _ => 3,
        };
        format!("{}/{at:0>13}-{count:0>10}/{order}-{}", self.target, self.kind)
    }

    /// What it takes of memory, about.
    pub(super) fn size(&self) -> usize {
        self.text.len() + size_of::<Self>()
    }
}

impl fmt::Display for DecisionLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a line, without its end.
pub(super) fn decode(line: &[u8]) -> Result<DecisionEntry, BadLine> {
    let line = std::str::from_utf8(line).map_err(|_| BadLine::Damaged)?;
    let rest = line.strip_prefix(START).ok_or(BadLine::Damaged)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or(BadLine::Damaged)?;
    let format = rest[..end].parse().map_err(|_| BadLine::Damaged)?;
    if !(OLDEST..=FORMAT).contains(&format) {
        return Err(BadLine::Format(format));
    }
    let json = rest[end..].strip_prefix(CHECKSUM).and_then(|rest| {
        let (checksum, rest) = rest.split_at_checked(8)?;
        let json = rest.strip_prefix(ENTRY)?.strip_suffix('}')?;
        let wanted = u32::from_str_radix(checksum, 16).ok()?;
        (crc32fast::hash(json.as_bytes()) == wanted).then_some(json)
    });
    let json = json.ok_or(BadLine::Damaged)?;
    serde_json::from_str(json).map_err(|error| BadLine::Unreadable(error.to_string()))
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("it is damaged: its checksum does not fit"),
            Self::Format(format) => write!(
                f,
                "it has format {format}, this version reads {OLDEST} to {FORMAT}: use the version that \
                 wrote it"
            ),
            Self::Unreadable(why) => write!(f, "it cannot be understood: {why}"),
        }
    }
}
