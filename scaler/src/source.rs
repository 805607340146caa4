//! Where signals come from, and what went wrong where none came.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::signal::Signal;

/// Something that can be asked for one signal: a query, a file of the kernel, a listener.
///
/// A source never turns trouble into a number. What it cannot tell is a [`Fault`], and the decider
/// reads that as Unknown, which forbids a scale-down.
#[async_trait]
pub trait SignalSource: fmt::Debug + Send + Sync {
    /// The name of the signal, which is that of the metric it feeds.
    fn name(&self) -> &str;

    /// What is measured at `now`. Its time is when it was measured, which may be earlier: a scrape,
    /// the last packet.
    ///
    /// Cancel-safe: a caller that has waited long enough drops the future, and may ask again.
    ///
    /// # Errors
    ///
    /// Why there is nothing that a number can stand for.
    async fn read(&self, now: SystemTime) -> Result<Signal, Fault>;
}

/// Why a source could not tell: a kind for metrics and decisions, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    detail: Arc<str>,
}

/// Why a source could not tell, in one word fit for a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// It did not answer before its deadline.
    Timeout,
    /// It could not be reached, or closed before its answer was whole.
    Unreachable,
    /// It answered that it cannot, such as HTTP 503.
    Refused,
    /// What it answered cannot be read.
    Malformed,
    /// Its answer is longer than anybody would write, or more came than there is room for.
    TooLarge,
    /// It answered, and there is nothing in it: an empty vector, no packet yet.
    Empty,
    /// NaN, infinite or negative: nothing that can be measured.
    NotANumber,
    /// This machine does not have it: no such file, no permission, a kernel without it.
    Unsupported,
}

impl Fault {
    /// A fault with a sentence that names the place and, where there is one, the remedy.
    pub fn new(kind: FaultKind, detail: impl AsRef<str>) -> Self {
        Self { kind, detail: detail.as_ref().into() }
    }

    /// What kind it is.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// What happened, as a sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl FaultKind {
    /// As in metrics and log lines: `not_a_number`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Empty => "empty",
            Self::NotANumber => "not_a_number",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}

impl std::error::Error for Fault {}
