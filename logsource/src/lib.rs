//! Placeholder.

mod ack;
mod batch;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cursor;
mod entry;
mod error;
mod fields;
#[cfg(feature = "file")]
mod file;
mod framing;
#[cfg(feature = "journald")]
mod journald;
mod metrics;
mod origin;
mod parser;
#[cfg(feature = "stdout")]
mod pipe;
#[cfg(any(feature = "stdout", feature = "journald"))]
mod process;
mod registry;
#[cfg(any(feature = "file", feature = "stdout", feature = "journald"))]
mod shell;
mod slab;
mod source;

pub use ack::{Ack, Delivery};
pub use async_trait::async_trait;
pub use batch::{Batch, EntryRef};
pub use cursor::{Cursor, Edge, Position};
pub use entry::LogEntry;
pub use error::{Error, ErrorKind};
pub use fields::{Fields, Value};
#[cfg(feature = "file")]
pub use file::{FileSource, FileSourceBuilder, Watch};
#[cfg(feature = "journald")]
pub use journald::{JournaldSource, JournaldSourceBuilder};
pub use metrics::{Count, DropReason, Metrics, SourceMetrics};
pub use origin::{Origin, SourceKind};
pub use parser::{Parsed, Parser};
#[cfg(feature = "stdout")]
pub use pipe::{CommandSource, CommandSourceBuilder, Overflow, StdinSource, StdinSourceBuilder};
#[cfg(any(feature = "stdout", feature = "journald"))]
pub use process::Stderr;
pub use registry::{Adapter, DetectOptions, Registry};
pub use source::{Chunk, Entries, Health, HealthState, LogSource, LogSourceExt};
