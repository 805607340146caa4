//! The journal adapter against genuine parts: files that `systemd-journal-remote` writes, and a
//! running `systemd-journald`; offsets on a disk that is full; and files that are followed by a
//! process which may not watch, or may not read.
//!
//! Needs Linux with systemd, `systemd-journal-remote`, and root:
//! `cargo test -p birl-logsource --features real-parts --test real`. A part that is missing is a
//! failure that names it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod daemon;
#[path = "../it/far_end.rs"]
#[expect(dead_code, reason = "what the hermetic tests alone use")]
mod far_end;
mod files;
mod full_disk;
mod imported;
