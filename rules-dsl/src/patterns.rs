//! Patterns, compiled once each and within bounds.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

/// The longest pattern, in bytes. While it is read, a class such as `\w` takes some thousand times its
/// two bytes.
const MAX_BYTES: usize = 16 << 10;

/// How deep groups and repetitions may nest in one: the compiler of patterns recurses.
const MAX_DEPTH: u32 = 32;

/// How large the program of one pattern may get, in bytes: each is tried in turn. The engine does not
/// say how much a program takes, but it says when it takes more than this.
const SIZES: [usize; 5] = [2 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// What a program takes beside its size.
const LEAST: usize = 8 << 10;

/// How much the patterns of one set may take together, in bytes. Each is within its own bound, but a
/// file has room for a hundred thousand.
const MAX_TOTAL: usize = 512 << 20;

/// Patterns that are compiled already: many rules ask for the same ones, and nothing else in loading
/// takes as long.
#[derive(Debug)]
pub(crate) struct Patterns {
    known: HashMap<String, Regex>,
    /// How much more they may take.
    left: usize,
}

impl Patterns {
    pub(crate) fn new() -> Self {
        Self { known: HashMap::new(), left: MAX_TOTAL }
    }

    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// Why that is not possible.
    pub(crate) fn get(&mut self, source: &str) -> Result<Regex, String> {
        if let Some(known) = self.known.get(source) {
            return Ok(known.clone());
        }
        if source.len() > MAX_BYTES {
            return Err(format!("it has {} bytes; the limit is {MAX_BYTES}", source.len()));
        }
        for size in SIZES {
            // What is tried in vain takes time, and so it counts as well.
            let Some(left) = self.left.checked_sub(size.max(LEAST)) else { break };
            let mut builder = RegexBuilder::new(source);
            match builder.nest_limit(MAX_DEPTH).size_limit(size).build() {
                Ok(regex) => {
                    self.left = left;
                    self.known.insert(source.to_owned(), regex.clone());
                    return Ok(regex);
                }
                Err(regex::Error::CompiledTooBig(_)) if size < SIZES[SIZES.len() - 1] => {}
                Err(error) => {
                    self.left = left;
                    return Err(reason(&error));
                }
            }
        }
        Err(format!("all patterns together take more than {} MiB", MAX_TOTAL >> 20))
    }
}

fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it compiles to more than {limit} bytes"),
        // The library draws a picture of its own; its last line says why.
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}
