//! One binary for all integration tests.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

mod conditions; // what each operator makes of each value
mod engine; // windows, episodes, groups, replacement
#[cfg(feature = "logsource")]
mod entries; // log entries as records
mod features; // what each brings with it
mod format; // one way of writing
mod generated; // rules and records by chance
mod golden; // rule files in, diagnostics or a summary out
mod hostile; // input made to break things
mod index; // many rules together, against each by itself
mod json_twin; // a line of JSON read by serde_json alone
mod lines; // lines of JSON as records
mod metrics; // what is counted
mod models; // properties, each against a naive twin
mod names; // lists, macros, let, and what else a file says
mod pains; // what users of other engines suffered
#[cfg(feature = "reload")]
mod reload; // edits of files
mod schema; // the JSON Schema of rule files
