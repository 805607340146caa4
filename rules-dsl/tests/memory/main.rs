//! What rules ask of the allocator: to compile a file, however hostile, a bounded multiple of its size;
//! to judge a record, nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod counting;
mod files; // what compiling takes
mod matching; // what judging asks for
