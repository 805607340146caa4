//! What can go wrong: one opaque error, and a kind to branch on.

use std::fmt;

/// Why an operation of this crate failed.
///
/// The message names the place (a path into the configuration such as `route.routes[2].matchers[0]`) and the remedy.
/// Branch on [`Error::kind`]; the text may change between releases.
#[derive(Debug, thiserror::Error)]
#[error("{place}{}: {message}", position.map(|at| format!(" ({at})")).unwrap_or_default())]
pub struct Error {
    kind: ErrorKind,
    place: String,
    position: Option<Position>,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A place in a text, both counted from 1. Prints as `line 3, column 7`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character of the line.
    pub column: u32,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A matcher or its regular expression cannot be read.
    InvalidMatcher,
    /// The configuration contradicts itself, or names what is not there.
    InvalidConfig,
    /// The URL of a webhook cannot be used.
    InvalidUrl,
    /// A silence cannot be kept as it is.
    InvalidSilence,
    /// There is nothing with this name.
    NotFound,
    /// Somebody else has changed it in the meantime.
    Conflict,
    /// There is no room for more: a bound is reached.
    LimitReached,
    /// The operation needs a runtime that is not running.
    NoRuntime,
    /// The operating system refused something, such as reading its certificates.
    Io,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        place: impl fmt::Display,
        message: impl fmt::Display,
    ) -> Self {
        Self {
            kind,
            place: place.to_string(),
            message: message.to_string(),
            position: None,
            source: None,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says where in a larger whole the error stands: `matchers[0]` becomes `route.matchers[0]`.
    pub(crate) fn within(mut self, outer: impl fmt::Display) -> Self {
        self.place = format!("{outer}.{}", self.place);
        self
    }

    /// Says where in the text of a file the place is.
    #[cfg(feature = "yaml")]
    pub(crate) fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    /// The kind, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The place that is at fault: a path into the configuration, or the text itself.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where that is in the text of the file, when there is one.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// What is wrong and what helps, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The known word nearest to a misspelt one, when one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = known.into_iter().map(|k| (distance(word, k), k)).min_by_key(|(d, _)| *d)?;
    (best.0 <= 1 + word.chars().count() / 4).then_some(best.1)
}

/// Levenshtein's edit distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested_and_a_far_one_is_not() {
        assert_eq!(nearest("oncal", ["oncall", "default"]), Some("oncall"));
        assert_eq!(nearest("zebra", ["oncall", "default"]), None);
        assert_eq!(nearest("kitten", ["sitting"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
