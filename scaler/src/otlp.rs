//! What the calls between services tell: retries, failures, durations, from OpenTelemetry spans.
//!
//! A service that calls another makes a span for it, and exports it by OTLP. A [`Receiver`] listens
//! to OTLP/gRPC and to OTLP/HTTP (protobuf), both on one port, a [`RetryWindow`] counts the calls
//! of the last minute that its [`SpanFilter`] is about, and a [`SpanSource`] tells a [`Measure`] of
//! it as a signal: the share of retries, the share of failures, calls a second, the 99th
//! percentile.
//!
//! ```
//! use std::time::Duration;
//!
//! use birl_scaler::otlp::{Limits, Measure, Receiver, RetryWindow, SpanFilter, SpanIntake};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), birl_scaler::Error> {
//! let mut spans = SpanIntake::new(Limits::default());
//! let payments = spans.watch(RetryWindow::new(SpanFilter::any().peer("payments")).min_calls(50));
//!
//! let receiver = Receiver::bind(([127, 0, 0, 1], 0).into(), spans).await?; // 4317 by custom
//! let retries = receiver.source("payments_retries", payments, Measure::RetryRatio);
//! let slow = receiver.source("payments_p99", payments, Measure::P99);
//! # let _ = (retries, slow);
//! // ... ask them for their signals, every 15 s ...
//! receiver.stop(Duration::from_secs(5)).await;
//! # Ok(()) }
//! ```
//!
//! # What to do with a retry ratio
//!
//! Retries are load that failures make. A high ratio with idle workers says that something below
//! them fails, and more of them would only ask it more often: let it forbid a scale-down and raise
//! an alert, rather than scale by it.
//!
//! # What it does not see
//!
//! * Spans that were sampled away. Ratios survive sampling by trace identifiers; they do not
//!   survive a sampler that keeps failures, and a rate survives neither.
//! * Retries that an instrumentation hides in one span, or does not mark; see [`RetryMarks`].
//! * Who sends. Whoever reaches the port is believed, so bind it to the loopback interface, or put
//!   a collector in front of it. A flood makes the signals Unknown, which forbids a scale-down; it
//!   does not delay the tick and its memory is bounded by [`Limits`].
//!
//! Spans are read where they lie in the request, and only what is needed of them: no text is
//! copied, and attributes that nobody asks for cost nothing but their length.

mod body;
mod budget;
mod call;
#[cfg(feature = "prometheus")]
mod collector;
mod connection;
mod counts;
mod durations;
mod exchange;
mod filter;
mod intake;
mod limits;
mod marks;
mod receiver;
mod recent;
mod refusal;
mod reply;
mod seen;
mod source;
mod stats;
mod window;
mod wire;

pub use self::call::ClientCall;
#[cfg(feature = "prometheus")]
pub use self::collector::SpanMetrics;
pub use self::counts::{SpanCounts, SpanDrop};
pub use self::filter::SpanFilter;
pub use self::intake::{Receipt, SpanIntake, Watch};
pub use self::limits::Limits;
pub use self::marks::RetryMarks;
pub use self::receiver::Receiver;
pub use self::source::SpanSource;
pub use self::stats::{Measure, SpanStats};
pub use self::window::{RetryWindow, Taken};
pub use self::wire::Malformed;
