//! One rule: what the host may know about it, and what evaluation needs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::intent::{self, Intent};
use crate::names::Names;
use crate::program::Program;
use crate::template::Template;
use crate::window::Window;

/// What a rule does with a record about which it has no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnMissing {
    /// Nothing: only what is known to hold fires.
    #[default]
    NoMatch,
    /// It fires: only what is known not to hold is passed over. Such a rule is judged for every record.
    Match,
    /// It does not fire, and it is an error of the rule: counted, and told with the field that is missing
    /// ([`RuleStats`](crate::RuleStats)). Such a rule is judged for every record.
    Error,
}

/// What a host may want to know about a rule before it fires, to check receivers and targets.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RuleInfo {
    /// Unique in the set; `FILE#N` when the file gives none.
    pub name: Arc<str>,
    /// The source it came from.
    pub file: Arc<str>,
    /// Its line in the file, from 1.
    pub line: usize,
    /// Its bytes in the file.
    pub span: Range<usize>,
    /// The condition as written.
    pub when: Arc<str>,
    /// The filter as written.
    #[serde(rename = "where")]
    pub scope: Option<Arc<str>>,
    /// The length of its window, when it counts.
    #[serde(skip)]
    pub window: Option<Duration>,
    /// The fields that split its records into groups, as written.
    pub by: Vec<String>,
    /// What it asks for when it fires.
    pub intents: Vec<Intent>,
    /// Its own labels.
    pub labels: BTreeMap<String, String>,
    /// What it does with a record about which it has no answer.
    pub on_missing: OnMissing,
    /// What its conditions cost at worst for one record; one is about what it takes to compare a field
    /// with a constant.
    pub cost: u64,
    /// Rules of a higher priority come first, among firings too; 0 unless it says otherwise.
    pub priority: i32,
    /// How long an episode outlives its last match.
    #[serde(serialize_with = "crate::time::duration")]
    pub keep_firing_for: Duration,
}

/// A rule ready to run.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) info: RuleInfo,
    /// What its own names stand for.
    pub(crate) lets: Option<Box<Names>>,
    /// `where` and the terms of `when`, without the window.
    pub(crate) program: Program,
    pub(crate) window: Option<Window>,
    pub(crate) group: Vec<GroupField>,
    /// Slots whose values a hit carries, for the sentence and the annotations.
    pub(crate) captures: Vec<u32>,
    /// The names of the captured fields, as written.
    pub(crate) captured: Vec<Arc<str>>,
    pub(crate) sentence: Vec<Piece>,
    pub(crate) annotations: Vec<(String, Template)>,
    /// Of its intents, those with holes.
    pub(crate) arguments: Vec<intent::Hole>,
    /// Of the meaning: two texts with the same hash keep each other's state over a reload.
    pub(crate) hash: u64,
}

/// One `by` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupField {
    /// As written, without backticks.
    pub(crate) name: String,
    /// As a label: what Prometheus does not allow in a name becomes `_`.
    pub(crate) label: String,
    pub(crate) slot: u32,
}

/// A piece of the sentence that explains a firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// ` (412)` behind a field: an index into the captures.
    Value(usize),
    /// ` (status=503)` behind a name that stands for a condition.
    Named(usize),
}

/// A name as Prometheus allows it for a label.
pub(crate) fn label_name(name: &str) -> String {
    let mut out: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

pub(crate) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && label_name(name) == name
}

/// FNV-1a: small, stable between builds and machines, and not exposed to chosen input.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
