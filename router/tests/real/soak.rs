//! How many cases, from which seed, and where what came of it is written.
//!
//! `REAL_CASES=20000` asks amtool so often and `REAL_STORIES=900` plays so many timelines instead of the few of every day,
//! `REAL_SEED=7` plays the same again, and `REAL_WRITE=FILE` adds a line about what was compared.

use std::io::Write as _;

/// How many cases to ask amtool about, from which seed.
pub(crate) fn cases(usual: u64) -> (u64, u64) {
    (number("REAL_CASES").unwrap_or(usual), seed())
}

/// How many stories to play, from which seed.
pub(crate) fn stories(usual: u64) -> (u64, u64) {
    (number("REAL_STORIES").unwrap_or(usual), seed())
}

fn seed() -> u64 {
    number("REAL_SEED").unwrap_or(1)
}

/// Keeps what came of it.
pub(crate) fn keep(line: &str) {
    let Some(path) = std::env::var_os("REAL_WRITE") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    writeln!(file.expect("the result's file"), "{line}").expect("the result is kept");
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}
