//! Where a batch came from: the part that is the same for every entry of a source.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::Parser;

/// The way in. It is also the value of the label `source`.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A file, or the files that a pattern names.
    File,
    /// The output of a process: a command's, or what comes in on standard input.
    Stdout,
    /// The systemd journal.
    Journald,
    /// What the program itself hands in.
    Push,
    /// An adapter of another crate, by its name.
    Other(&'static str),
}

impl SourceKind {
    /// The name, as in the label `source`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Stdout => "stdout",
            Self::Journald => "journald",
            Self::Push => "push",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who an entry is from: the source's id, its kind, its labels, and how its lines are parsed.
#[derive(Debug, Clone)]
pub struct Origin {
    id: String,
    kind: SourceKind,
    labels: Arc<BTreeMap<String, String>>,
    parser: Parser,
}

impl Origin {
    /// An origin. The label `source` is set to the kind's name, whatever `labels` says.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        kind: SourceKind,
        mut labels: BTreeMap<String, String>,
        parser: Parser,
    ) -> Self {
        labels.insert("source".to_owned(), kind.as_str().to_owned());
        Self { id: id.into(), kind, labels: Arc::new(labels), parser }
    }

    /// The source's name within the program: in metrics, in messages, in cursors' owners.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The way in.
    #[must_use]
    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    /// The labels of every entry; `source` is always among them.
    #[must_use]
    pub fn labels(&self) -> &Arc<BTreeMap<String, String>> {
        &self.labels
    }

    /// How lines become fields.
    #[must_use]
    pub fn parser(&self) -> &Parser {
        &self.parser
    }
}
