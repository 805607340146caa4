//! From a bare description to a source.

mod adapters;
#[cfg(feature = "stdout")]
mod words;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use crate::{Error, LogSource, Metrics, Parser};

/// What a source is built with, whatever it turns out to be.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct DetectOptions {
    /// How lines become fields.
    pub parser: Parser,
    /// Labels of every entry.
    pub labels: BTreeMap<String, String>,
    /// Where offset files go, one for each source that can have one. None: in memory.
    pub state_dir: Option<PathBuf>,
    /// The counters to count with.
    pub metrics: Metrics,
    /// How bytes become lines, where the source is made of bytes: files, standard input, the output
    /// of a command. [`Framing::from_words`](crate::Framing::from_words) takes it from words.
    #[cfg(any(feature = "file", feature = "stdout"))]
    pub framing: crate::Framing,
    /// Which files are followed, and what becomes of them.
    #[cfg(feature = "file")]
    pub files: crate::FileOptions,
    /// The source's name within the program; from the description if not set.
    pub id: Option<String>,
}

impl DetectOptions {
    /// The offset file of a source, if there is a directory for it: a readable name, and a
    /// checksum so that no two sources share one.
    #[must_use]
    pub fn offset_file(&self, id: &str) -> Option<PathBuf> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
        let name: String = id.chars().map(plain).take(64).collect();
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let name = name.trim_matches('_');
        self.state_dir.as_ref().map(|dir| dir.join(format!("{name}-{hash:016x}.offsets")))
    }
}

/// A kind of source that a description can mean.
pub trait Adapter: Debug + Send + Sync {
    /// Its name, in one word.
    fn name(&self) -> &str;

    /// The descriptions that it answers to, for messages, as in `journald:unit=NAME`.
    fn forms(&self) -> &[&'static str];

    /// The source, if the description means this kind; `None` leaves it to the next adapter.
    ///
    /// # Errors
    /// (inside the `Some`) if it means this kind, and is wrong.
    fn detect(
        &self,
        what: &str,
        options: &DetectOptions,
    ) -> Option<Result<Box<dyn LogSource>, Error>>;
}

/// The kinds of sources that a program knows.
///
/// By default those of this crate: `-` or `stdin`; `stdout:COMMAND` or `cmd:COMMAND`; `journald`
/// or `journald:unit=…,priority=…`, a `*.journal` file, a directory that holds some; and any path.
#[derive(Debug)]
pub struct Registry {
    adapters: Vec<Box<dyn Adapter>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { adapters: adapters::all() }
    }
}

impl Registry {
    /// A registry that knows nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self { adapters: Vec::new() }
    }

    /// Adds a kind. It is asked before those that were there.
    #[must_use]
    pub fn register(mut self, adapter: Box<dyn Adapter>) -> Self {
        self.adapters.insert(0, adapter);
        self
    }

    /// The source that a description means, with default options.
    ///
    /// # Errors
    /// If it means none, or is wrong.
    pub fn detect(&self, what: &str) -> Result<Box<dyn LogSource>, Error> {
        self.detect_with(what, &DetectOptions::default())
    }

    /// The source that a description means.
    ///
    /// # Errors
    /// If it means none, or is wrong.
    pub fn detect_with(
        &self,
        what: &str,
        options: &DetectOptions,
    ) -> Result<Box<dyn LogSource>, Error> {
        let mut found = self.adapters.iter().filter_map(|adapter| adapter.detect(what, options));
        found.next().unwrap_or_else(|| Err(self.unknown(what)))
    }

    fn unknown(&self, what: &str) -> Error {
        let forms: Vec<&str> =
            self.adapters.iter().flat_map(|adapter| adapter.forms().iter().copied()).collect();
        let hint = match what {
            "" => String::new(),
            _ => match nearest(what) {
                Some(near) => format!("; did you mean {near}?"),
                None => format!("; did you mean ./{what}?"),
            },
        };
        Error::invalid(format!(
            "`{what}` is no log source{hint} (a source is one of: {})",
            forms.join(", ")
        ))
    }
}

/// A word that this may be a slip of, or a program of that name.
fn nearest(what: &str) -> Option<String> {
    let (word, rest) = what.split_once(':').map_or((what, None), |(w, rest)| (w, Some(rest)));
    let slips = [
        ("journal", "journald"),
        ("journalctl", "journald"),
        ("systemd", "journald"),
        ("command", "stdout"),
        ("exec", "stdout"),
    ];
    let (_, right) = slips.iter().find(|(slip, _)| slip.eq_ignore_ascii_case(word))?;
    Some(match rest {
        Some(rest) => format!("{right}:{rest}"),
        None if *right == "stdout" => "stdout:COMMAND".to_owned(),
        None => (*right).to_owned(),
    })
}

/// Whether a description reads as a path: with a slash, like a log file, or simply there.
#[cfg(feature = "file")]
pub(crate) fn is_path(what: &str) -> bool {
    let path = std::path::Path::new(what);
    what.contains('/')
        || path.extension().is_some_and(|ext| ext == "log")
        || (!what.is_empty() && path.exists())
}
