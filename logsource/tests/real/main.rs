//! The journal adapter against genuine parts: files that `systemd-journal-remote` writes, and a
//! running `systemd-journald`.
//!
//! Needs Linux with systemd, `systemd-journal-remote`, and root:
//! `cargo test -p birl-logsource --features real-parts --test real`. A part that is missing is a
//! failure that names it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod daemon;
mod imported;
