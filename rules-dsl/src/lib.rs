//! Rules over records.
#![doc = "(draft)"]

mod ast;
mod check;
mod climb;
mod compile;
mod diagnostic;
mod document;
mod engine;
mod episode;
mod explain;
#[cfg(feature = "reload")]
mod files;
mod firing;
mod groups;
mod hits;
mod intent;
mod issue;
mod json;
mod keys;
mod literal;
#[cfg(feature = "logsource")]
mod logsource;
mod metrics;
mod ops;
mod parser;
mod prescan;
mod program;
#[cfg(feature = "prometheus")]
mod prometheus;
mod record;
#[cfg(feature = "reload")]
pub mod reload;
mod rule;
mod ruleset;
mod scratch;
mod source;
mod state;
mod template;
mod time;
mod truth;
mod value;
mod window;
#[cfg(feature = "yaml")]
mod yaml;

pub use compile::Compiler;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use engine::{Engine, EngineConfig};
pub use explain::{Explanation, Seen, Term};
pub use firing::{Episode, Explain, Firing, Status, WindowSeen, Withheld};
pub use hits::{Event, Hits};
pub use intent::{Argument, ArgumentKind, Change, Intent, IntentSpec, Via};
pub use metrics::{Metrics, RuleStats, Stats};
pub use record::{FieldPath, Record};
pub use rule::RuleInfo;
pub use ruleset::RuleSet;
pub use scratch::Scratch;
pub use source::{Format, SourceText};
pub use truth::Truth;
pub use value::Value;
