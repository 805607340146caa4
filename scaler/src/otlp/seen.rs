//! Calls that no window is about, so that a misspelt name can be told.

use std::fmt;

use super::call::ClientCall;

/// How many pairs of names are kept, and how much of a name.
const PAIRS: usize = 16;
const LENGTH: usize = 80;

/// The first few services and peers of which there are spans and no window.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Vec<(Box<str>, Box<str>)>);

impl Seen {
    pub(super) fn add(&mut self, call: &ClientCall<'_>) {
        let (service, peer) = (short(call.service), short(call.peer));
        let known = |pair: &(Box<str>, Box<str>)| *pair.0 == *service && *pair.1 == *peer;
        if self.0.len() < PAIRS && !self.0.iter().any(known) {
            self.0.push((service.into(), peer.into()));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (service, peer)) in self.0.iter().enumerate() {
            let name = |name: &str| if name.is_empty() { "?".to_owned() } else { plain(name) };
            write!(f, "{}{} → {}", if n > 0 { ", " } else { "" }, name(service), name(peer))?;
        }
        Ok(())
    }
}

/// What others wrote goes into a sentence without its control characters.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

fn short(name: &str) -> &str {
    let end = name.char_indices().nth(LENGTH).map_or(name.len(), |(end, _)| end);
    name.get(..end).unwrap_or_default()
}
