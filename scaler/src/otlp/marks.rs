//! What marks a span as the repetition of a call.

use std::sync::Arc;

use super::wire::{Fields, Malformed, Value};

/// Attributes that are greater than zero, or true, on a call that was made before and failed.
///
/// The first is today's name, the next two are its older ones; then come gRPC's own spans (gRFC
/// A72) and Google's client libraries.
const CONVENTIONS: [&str; 5] = [
    "http.request.resend_count",
    "http.resend_count",
    "http.retry_count",
    "previous-rpc-attempts",
    "gcp.grpc.resend_count",
];

/// Which spans are retries: those with one of these attributes, if it is a number greater than
/// zero, `true`, a text that says one of them, or a list with one of them in it.
///
/// The default knows what OpenTelemetry's conventions for HTTP say, and said before, and what gRPC
/// writes. They count every resend, redirects among them. Name your own for what they do not cover:
///
/// ```
/// # use birl_scaler::otlp::RetryMarks;
/// let marks = RetryMarks::default()
///     .attribute("retry")
///     .attribute("rpc.request.metadata.grpc-previous-rpc-attempts");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryMarks {
    attributes: Vec<Arc<str>>,
    links: bool,
}

impl Default for RetryMarks {
    fn default() -> Self {
        Self { attributes: CONVENTIONS.map(Arc::from).to_vec(), links: false }
    }
}

impl RetryMarks {
    /// Nothing marks a retry, until it is named.
    pub fn none() -> Self {
        Self { attributes: Vec::new(), links: false }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, key: impl AsRef<str>) -> Self {
        self.attributes.push(key.as_ref().into());
        self
    }

    /// Whether a link to another span marks a retry too: some instrumentations link each try to the
    /// one before. Not by default, since links have other uses.
    #[must_use]
    pub fn links(mut self, mark: bool) -> Self {
        self.links = mark;
        self
    }

    pub(super) fn has_links(&self) -> bool {
        self.links
    }

    /// Whether an attribute of this key, an encoded `KeyValue`, is such a mark.
    pub(super) fn mark(&self, key: &str, attribute: &[u8]) -> Result<bool, Malformed> {
        if !self.attributes.iter().any(|known| **known == *key) {
            return Ok(false);
        }
        let mut said = Said::default();
        for field in Fields::of(attribute) {
            if let (2, value) = field? {
                said.add(value.bytes()?)?;
            }
        }
        Ok(said.yes)
    }
}

/// What a value says. It may be written in pieces: of a union the last kind counts, lists are joined.
#[derive(Default)]
struct Said {
    yes: bool,
    list: bool,
}

impl Said {
    fn add(&mut self, any: &[u8]) -> Result<(), Malformed> {
        for field in Fields::of(any) {
            let (number, value) = field?;
            match number {
                5 => {
                    let joined = self.list && self.yes;
                    *self = Self { yes: any_of(value.bytes()?)? || joined, list: true };
                }
                1..=7 => *self = Self { yes: is_yes(number, value)?, list: false },
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_yes(number: u32, value: Value<'_>) -> Result<bool, Malformed> {
    Ok(match number {
        1 => {
            let text = value.text()?.trim();
            text.eq_ignore_ascii_case("true") || text.parse::<f64>().is_ok_and(|n| n > 0.0)
        }
        2 => value.varint()? != 0,
        3 => value.varint()?.cast_signed() > 0,
        4 => f64::from_bits(value.fixed64()?) > 0.0,
        _ => false,
    })
}

/// Whether a member says yes; lists within are not looked into.
fn any_of(list: &[u8]) -> Result<bool, Malformed> {
    let mut yes = false;
    for field in Fields::of(list) {
        let (1, member) = field? else { continue };
        let mut said = false;
        for field in Fields::of(member.bytes()?) {
            let (number, value) = field?;
            if (1..=7).contains(&number) {
                said = is_yes(number, value)?;
            }
        }
        yes |= said;
    }
    Ok(yes)
}
