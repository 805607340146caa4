//! One entry on its own: what a batch's entry becomes when it must outlive the batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::Fields;

/// One record, the same whatever it came from.
///
/// Serialized, it is one JSON object: `timestamp` (RFC 3339, nanoseconds), `labels`, `line` (bytes
/// that are not UTF-8 replaced), `fields`, and `malformed` if there is something wrong with it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// When it happened: what the line says, else what the source says, else when it was read.
    pub timestamp: SystemTime,
    /// The source's labels; `source` is always among them, and `path` if it came from a file.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The line as it was written, without its line end.
    pub line: Bytes,
    /// What the source itself knows (journald's fields, a container's stream), and what the parser
    /// found under other names.
    pub fields: Fields,
    /// Why the line is not what the parser was told to expect.
    pub malformed: Option<String>,
}

impl LogEntry {
    /// An entry without fields, for adapters of other crates and for tests.
    #[must_use]
    pub fn new(
        timestamp: SystemTime,
        labels: Arc<BTreeMap<String, String>>,
        line: impl Into<Bytes>,
    ) -> Self {
        Self { timestamp, labels, line: line.into(), fields: Fields::new(), malformed: None }
    }

    /// The same entry with these fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }
}

impl Serialize for LogEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A source may say anything; what no calendar holds is written as its last day.
        let time = jiff::Timestamp::try_from(self.timestamp).unwrap_or(jiff::Timestamp::MAX);
        let fields = 4 + usize::from(self.malformed.is_some());
        let mut entry = serializer.serialize_struct("LogEntry", fields)?;
        entry.serialize_field("timestamp", &format!("{time:.9}"))?;
        entry.serialize_field("labels", self.labels.as_ref())?;
        entry.serialize_field("line", &String::from_utf8_lossy(&self.line))?;
        entry.serialize_field("fields", &self.fields)?;
        match &self.malformed {
            Some(malformed) => entry.serialize_field("malformed", malformed)?,
            None => entry.skip_field("malformed")?,
        }
        entry.end()
    }
}
