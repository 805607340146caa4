//! Rules that say when records matter, and what to do then.
//!
//! A rule has a condition (`when`), a filter (`where`) and intents (`then`), in YAML or JSON. This crate
//! turns rule files into a typed program, records into firings, and explains both. The language is
//! described in [`syntax`]. Three nouns carry the rest:
//!
//! - a [`Record`] is the input port: one method that looks a field up. Implement it for the events you
//!   already have, and nothing is converted.
//! - a [`RuleSet`] is the compiled text: immutable, shared between threads, and stateless.
//!   [`RuleSet::matches`] judges a batch of records and returns [`Hits`].
//! - an [`Engine`] is the state: windows, groups, and episodes that begin, go on and end.
//!   [`Engine::advance`] turns hits into [`Firing`]s.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch};
//!
//! let text = r#"
//! rules:
//!   - name: slow_requests
//!     when: latency_ms > 300 && count(10s) by service >= 3
//!     where: env == 'prod'
//!     then: [notify('web'), "scale('shop', '+1')"]
//! "#;
//! let rules = Arc::new(RuleSet::from_yaml("rules.yaml", text)?);
//! let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
//! let mut scratch = Scratch::new();
//!
//! let start = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//! let mut fired = Vec::new();
//! for second in 0..3 {
//!     let record = serde_json::json!({"env": "prod", "service": "shop", "latency_ms": 412});
//!     let now = start + Duration::from_secs(second);
//!     let hits = rules.matches([Event::new(&record, now)], &mut scratch);
//!     fired.extend(engine.advance(hits, now));
//! }
//! assert_eq!(
//!     fired[0].explain.to_string(),
//!     "rule slow_requests fired for service=shop: latency_ms (412) > 300, \
//!      3 records in 10s (needs >= 3)",
//! );
//! // No more records come; the clock alone ends the episode.
//! let ended = engine.tick(start + Duration::from_secs(10));
//! assert_eq!(ended[0].episode, fired[0].episode);
//! # Ok::<(), birl_rules_dsl::Diagnostics>(())
//! ```
//!
//! # Why it is so
//!
//! **Matching is apart from state.** Judging a record by itself is most of the work and needs nothing but
//! the record, so it runs in as many threads as there are. Windows and episodes need an order, so one
//! engine sees all hits. [`Hits`] own what they need of the records and know which rules made them: after
//! [`Engine::replace`] they are still judged whole by those, and no record is judged by half of each set.
//!
//! **Nothing here reads a clock.** Time is an argument. A live program passes the wall clock, a replay the
//! time of the log, a test whatever it likes; the same calls give the same firings, episode identities
//! included. When lines stop, [`Engine::tick`] moves time on, and [`Engine::next_deadline`] says when.
//!
//! **Time is that of the records.** Each group has a time of its own: that of its newest record, running on
//! with the clock while none come. So a source that lags by a minute still fills its windows, a backlog is
//! counted as it happened, and a record from the future, clamped to now and counted, moves nobody else's
//! window. What is older than [`EngineConfig::max_event_age`] is never acted on; it comes out
//! [withheld](Firing::withheld), with the reason.
//!
//! **Mistakes are found when rules are loaded**, all of them at once, each with its line, a caret and a
//! remedy ([`Diagnostics`]). After that nothing fails: a field that is missing, a number that is text, a
//! division by zero make a condition *unknown*, which does not fire and is counted.
//!
//! **Everything is bounded**: the size and nesting of rule texts, compiled patterns, groups per rule, times
//! per window. What is given up for want of room is ended properly and counted ([`Stats`]). A window keeps
//! the exact times of its newest records, twice as many as its threshold and at least 1,000; a count beyond
//! that is a lower bound and says so, and never decides wrongly.
//!
//! **A record does not ask every rule.** Of each rule the term that is likely to hold least often is looked
//! up: texts in a hash table, numbers in a tree of ranges, beginnings, ends and words of texts, all rules
//! together, field by field. What is found is judged, unless the look-up said it all. A hundred thousand
//! rules of which a hundred fire for a record cost some ten microseconds. Rules of which nothing can be
//! looked up, such as `!exists(f)` or `(f ?? 0) > 1` alone, are judged for every record. A term that costs
//! much, such as a pattern, is judged once for a record, however many rules have it.
//!
//! **All evaluators stay.** The compiled program is flat, looks each field up at most once per record and
//! allocates nothing for a record that matches nothing (unless the record hands out a list or a text that
//! it had to unescape, or a rule asks for `lower()` or `upper()`, for the `time()` of what only looks like
//! one, or takes a list elsewhere than on the right of `in`).
//! [`RuleSet::matches_by_scan`] asks every rule, and a plain walk over the tree answers
//! [`RuleSet::explain`], term by term. Property tests hold the three against each other.
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `yaml` | yes | rule files in YAML (those in JSON are always read) |
//! | `json` | yes | `JsonLine`, a line of JSON as a [`Record`]; `Record` for `serde_json::Value` |
//! | `reload` | no | `reload`: watch rule files, publish each good edit atomically; owns a thread |
//! | `logsource` | no | [`Record`] for the log entries of `birl-logsource` |
//! | `prometheus` | no | [`Metrics`] is a collector for a registry of yours |

// The generated parser names it. `pest` is built without `std`, whose stack guard would bring a C
// compiler into every cross build; nesting is bounded before the parser runs.
extern crate alloc;

mod ast;
mod check;
mod climb;
mod compile;
mod cost;
mod definitions;
mod diagnostic;
mod document;
mod draft;
mod engine;
mod episode;
mod explain;
#[cfg(feature = "reload")]
mod files;
mod firing;
mod fold;
mod format;
mod function;
mod groups;
mod hits;
mod host;
mod index;
mod intent;
mod issue;
mod json;
#[cfg(feature = "json")]
mod json_line;
#[cfg(feature = "json")]
mod json_scan;
mod kept;
mod keys;
mod literal;
#[cfg(feature = "logsource")]
mod logsource;
mod members;
mod metrics;
mod names;
mod ops;
mod parser;
mod patterns;
mod prescan;
mod program;
#[cfg(feature = "prometheus")]
mod prometheus;
mod record;
#[cfg(feature = "reload")]
pub mod reload;
mod rule;
mod ruleset;
mod schema;
mod scratch;
mod show;
mod source;
mod state;
#[doc = include_str!("syntax.md")]
pub mod syntax {}
mod template;
mod time;
mod truth;
mod value;
mod window;
#[cfg(feature = "yaml")]
mod yaml;

/// The JSON Schema (draft 2020-12) of rule files, by which editors complete and check them. Expressions are
/// texts to it; what is in them, only compiling tells.
pub const JSON_SCHEMA: &str = include_str!("rules.schema.json");

pub use compile::Compiler;
pub use diagnostic::{Diagnostic, Diagnostics, Place};
pub use engine::{Engine, EngineConfig};
pub use explain::{Explanation, Seen, Term};
pub use firing::{Episode, Explain, Firing, Status, WindowSeen, Withheld};
pub use format::format;
pub use hits::{Event, Hits};
pub use host::{FunctionSpec, ValueKind};
pub use intent::{Argument, ArgumentKind, Change, Intent, IntentSpec, Via};
#[cfg(feature = "json")]
pub use json_line::JsonLine;
pub use metrics::{Metrics, RuleStats, Stats};
pub use record::{FieldNames, FieldPath, FieldSet, Record};
pub use rule::{OnMissing, RuleInfo};
pub use ruleset::RuleSet;
pub use scratch::Scratch;
pub use source::{Format, SourceText};
pub use truth::Truth;
pub use value::Value;
