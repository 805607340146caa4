//! What came, and what of it was not counted.

use std::fmt;

/// Why something was not counted, in one word fit for a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SpanDrop {
    /// Spans: too many in one request.
    OverRequest,
    /// Spans: they ended before the windows.
    Late,
    /// Spans: they end more than 5 s ahead of this machine's clock.
    Future,
    /// Spans: sent twice.
    Duplicate,
    /// Spans: they say no time of their end.
    Unfinished,
    /// Requests: more spans a second than allowed.
    Rate,
    /// Requests: too many bytes being received.
    InFlight,
    /// Requests: larger than allowed, packed or unpacked.
    TooLarge,
    /// Requests: no spans can be read from them.
    Malformed,
    /// Requests: another service, content type or compression.
    Unsupported,
    /// Requests: they took too long to arrive.
    Timeout,
    /// Requests: the connection ended before they did.
    Aborted,
    /// Connections: too many.
    Connections,
    /// Connections: without a request for too long.
    Idle,
}

impl SpanDrop {
    /// Every reason there is.
    pub const ALL: [Self; 14] = [
        Self::OverRequest,
        Self::Late,
        Self::Future,
        Self::Duplicate,
        Self::Unfinished,
        Self::Rate,
        Self::InFlight,
        Self::TooLarge,
        Self::Malformed,
        Self::Unsupported,
        Self::Timeout,
        Self::Aborted,
        Self::Connections,
        Self::Idle,
    ];

    /// As in metrics and log lines: `over_request`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OverRequest => "over_request",
            Self::Late => "late",
            Self::Future => "future",
            Self::Duplicate => "duplicate",
            Self::Unfinished => "unfinished",
            Self::Rate => "rate",
            Self::InFlight => "in_flight",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Timeout => "timeout",
            Self::Aborted => "aborted",
            Self::Connections => "connections",
            Self::Idle => "idle",
        }
    }

    /// What to tell the sender of spans that were rejected.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::OverRequest => "too many spans in one request: export smaller batches",
            Self::Late => "spans ended too long ago: is the clock right, or the export delayed?",
            Self::Future => "spans end in the future: set the clock",
            Self::Unfinished => "spans have no end_time_unix_nano",
            _ => self.as_str(),
        }
    }
}

impl fmt::Display for SpanDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What came, and what of it was not counted, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SpanCounts {
    /// Requests that were read.
    pub requests: u64,
    /// Spans in them, of every kind.
    pub spans: u64,
    /// Calls of clients that at least one window counted.
    pub counted: u64,
    /// Calls of clients that no window is about.
    pub elsewhere: u64,
    dropped: [u64; SpanDrop::ALL.len()],
}

impl SpanCounts {
    /// How many spans, requests or connections were not counted for this reason.
    pub fn dropped(&self, reason: SpanDrop) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    pub(super) fn drop(&mut self, reason: SpanDrop, count: u64) {
        if let Some(dropped) = self.dropped.get_mut(reason as usize) {
            *dropped = dropped.saturating_add(count);
        }
    }
}
