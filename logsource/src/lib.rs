//! Where log entries come from, and how far each has been safely handed on.
//!
//! Everything here turns on three nouns:
//!
//! - A [`LogSource`] is somewhere that entries come from: files ([`FileSource`]), a command's
//!   output ([`CommandSource`]), standard input ([`StdinSource`]), the systemd journal
//!   ([`JournaldSource`]), the program itself ([`PushSource`]), or an adapter of yours. It can be [read](LogSource::read) (what is
//!   there now), [tailed](LogSource::tail) (a stream that goes on) and asked for its
//!   [health](LogSource::health_check).
//! - A [`Batch`] is what it yields: one slab of bytes, and a table of where its lines are. Framing
//!   a line costs two offsets, no allocation and no copy; the slab is read into again when the
//!   batch is dropped. An entry becomes an object, a [`LogEntry`] with typed fields, only when
//!   somebody asks for it with [`EntryRef::to_entry`].
//! - An [`Ack`] says that what was read is now held elsewhere. Places are kept only over what is
//!   acknowledged without a gap, in whatever order that came; so after a crash entries may come
//!   twice, and none is lost. A place is a [`Cursor`], which a program can also keep by itself.
//!
//! A file is followed by its name, like `tail -n +0 -F`: through rename and truncate, through
//! rotations that were missed while the consumer was slow or the program was down. A file needs no
//! buffer, since it is one; a slow consumer simply holds its reader back. A pipe needs one, and
//! says what happens when it is full ([`Overflow`]). Whatever is dropped or cut is counted with a
//! reason ([`DropReason`]), and a line that does not parse is data that says so, not an error.
//!
//! # Example
//!
//! ```
//! use birl_logsource::{Edge, FileSource, LogSource, Parser, Position, Value};
//! use futures_util::StreamExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (log, offsets) = (dir.path().join("app.log"), dir.path().join("app.offsets"));
//! std::fs::write(&log, "{\"level\":\"error\",\"status\":503}\n")?;
//!
//! let source = FileSource::builder(&log).offset_file(&offsets).parser(Parser::json()).build()?;
//! let mut batches = source.tail(Position::Resume { otherwise: Edge::Start });
//! while let Some(batch) = batches.next().await {
//!     let batch = batch?;
//!     for entry in batch.entries().filter(|entry| entry.line().starts_with(b"{")) {
//!         let entry = entry.to_entry();
//!         assert_eq!(entry.fields.get("status"), Some(&Value::Int(503)));
//!     }
//!     batch.ack(); // from here on it does not come again
//! #   break;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A source can also be found from a description, as a command line has it:
//! `Registry::default().detect("journald:unit=nginx.service")`; see [`Registry`].
//!
//! # Back-pressure
//!
//! What is bounded is memory, in bytes: that of the batches which were read and not yet dropped,
//! for each source by itself (`max_in_flight_bytes`, 256 MiB) and for several together
//! ([`Budget`]). Up to a mark, 85 % of it, nothing is limited. Above, files, the journal and pipes that may
//! block are read no further until batches were dropped, which holds their writers back or costs
//! them nothing; health says so if that lasts for ten seconds. A producer that cannot pause is
//! let in at a rate of 1000 lines a second (`overload_rate`), and where that is used up gets
//! [`ErrorKind::WouldBlock`], with nothing taken ([`Pusher::try_push`]), or is dropped and counted
//! ([`Overflow`]). One batch of each source is always let in, so nothing waits for itself. To keep
//! a line for long without its batch, copy it out with [`EntryRef::to_entry`].
//!
//! # Threads
//!
//! Every `tail` of what is outside has one plain thread that watches and reads; the stream is its
//! far end, and works on any runtime. A program that is not async can do without the thread:
//! `FileSource::tail_blocking` is an iterator, and reads when it is asked. Every offset file has one
//! that writes it. Nothing here starts a runtime, installs a handler or prints: reports go to
//! `tracing` and to [`Metrics`].
//!
//! # Features
//!
//! - `file`, `stdout`, `journald` (all on by default): the adapters. Without them the traits and
//!   types remain, for adapters of other crates. They need Linux.
//! - `prometheus`: [`Metrics`] is a `prometheus::core::Collector`.
//! - `conformance`: the suite that every adapter passes, for the tests of yours.

mod ack;
mod admission;
mod batch;
mod budget;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cursor;
mod ends;
mod entry;
mod error;
mod fields;
#[cfg(feature = "file")]
mod file;
mod framing;
#[cfg(all(fuzzing, feature = "file", feature = "journald"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "journald")]
mod journald;
#[cfg(any(feature = "file", feature = "journald"))]
mod ledger;
mod metrics;
mod origin;
mod parser;
#[cfg(feature = "stdout")]
mod pipe;
#[cfg(any(feature = "stdout", feature = "journald"))]
mod process;
mod push;
mod refusals;
mod registry;
#[cfg(any(feature = "file", feature = "stdout", feature = "journald"))]
mod shell;
mod slab;
mod source;
mod unacked;

pub use ack::{Ack, Delivery};
pub use async_trait::async_trait;
pub use batch::{Batch, EntryRef};
pub use budget::Budget;
pub use cursor::{Cursor, Edge, Position};
pub use entry::LogEntry;
pub use error::{Error, ErrorKind};
pub use fields::{Fields, Value};
#[cfg(feature = "file")]
pub use file::{BlockingTail, FileOptions, FileSource, FileSourceBuilder, Watch};
#[cfg(all(feature = "encoding", any(feature = "file", feature = "stdout")))]
pub use framing::Encoding;
#[cfg(feature = "file")]
pub use framing::kubernetes_labels;
#[cfg(any(feature = "file", feature = "stdout"))]
pub use framing::{Framing, Join, LongLines, Multiline};
#[cfg(feature = "journald")]
pub use journald::{JournaldSource, JournaldSourceBuilder};
pub use metrics::{Count, DropReason, Gauge, Metrics, SourceMetrics};
pub use origin::{Origin, SourceKind};
pub use parser::{Delimited, Extracted, Extractor, KeyValue, Parsed, Parser, ValueRef};
#[cfg(feature = "stdout")]
pub use pipe::{CommandSource, CommandSourceBuilder, Overflow, StdinSource, StdinSourceBuilder};
#[cfg(any(feature = "stdout", feature = "journald"))]
pub use process::Stderr;
pub use push::{PushSource, PushSourceBuilder, Pusher};
pub use refusals::Refused;
pub use registry::{Adapter, DetectOptions, Registry};
pub use source::{Chunk, Entries, Health, HealthState, LogSource, LogSourceExt};
