//! What is odd about a configuration that is valid.
//!
//! A [`Lint`] is something that is proven from the configuration alone and is most likely not meant: a route that nothing
//! can reach, a pattern that says less than it seems to, a rule that mutes everything. There are no guesses: what cannot
//! be proven is not said.
//!
//! ```
//! use birl_router::{Config, lint};
//!
//! let config: Config = serde_json::from_str(r#"{
//!     "route": { "receiver": "team", "routes": [
//!         { "matchers": ["team=~\"api|web\""] },
//!         { "matchers": ["team=\"api\"", "severity=\"page\""] }
//!     ] },
//!     "receivers": [{ "name": "team", "stdout_configs": [{}] }]
//! }"#)?;
//! let lints = lint::check(&config);
//! assert_eq!(lints[0].code.as_str(), "unreachable-route");
//! assert_eq!(lints[0].place, "route.routes[1]");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod implies;
mod inhibitions;
mod names;
mod pattern;
mod patterns;
mod routes;
mod settings;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::{Config, MatchOp, Matcher, Matchers};

/// Something odd, where it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lint {
    /// What kind of oddity.
    pub code: LintCode,
    /// The path into the configuration: `route.routes[2].matchers`.
    pub place: String,
    /// What is odd.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The kinds of [`Lint`]. Prints, and serializes, as `unreachable-route`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum LintCode {
            $($(#[$doc])* $name,)*
        }

        impl LintCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it is printed.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// An earlier sibling takes whatever the route could match, or its conditions contradict each other.
    UnreachableRoute = "unreachable-route",
    /// A regular expression that is one plain text.
    PlainRegex = "plain-regex",
    /// `^` or `$` at an end of a pattern, which is anchored there anyway.
    AnchoredRegex = "anchored-regex",
    /// A pattern that matches every value, and a missing label as well.
    MatchesAnything = "matches-anything",
    /// A setting that is the same as the inherited one.
    RedundantSetting = "redundant-setting",
    /// `repeat_interval` is shorter than `group_interval`, or no multiple of it.
    UnevenRepeat = "uneven-repeat",
    /// The labels of `equal` may be missing on both sides, which counts as equal.
    EqualMayBeAbsent = "equal-may-be-absent",
    /// A rule whose source is any alert.
    AnySource = "any-source",
    /// Two alerts that mute each other.
    InhibitionCycle = "inhibition-cycle",
    /// A receiver that no route names.
    UnusedReceiver = "unused-receiver",
    /// A time interval that no route names.
    UnusedTimeInterval = "unused-time-interval",
    /// A receiver that is routed to and has no way to be told.
    SilentReceiver = "silent-receiver",
}

/// Everything odd about `config`, in the order of routes, inhibition rules, receivers and time intervals.
///
/// Does not check that the configuration is valid; [`Router::new`](crate::Router::new) does.
pub fn check(config: &Config) -> Vec<Lint> {
    let mut lints = Vec::new();
    routes::check(config, &mut lints);
    inhibitions::check(config, &mut lints);
    names::check(config, &mut lints);
    lints
}

/// All conditions, the older forms included; those that cannot be read are reported elsewhere.
fn all(
    matchers: &Matchers,
    equal: &BTreeMap<String, String>,
    regex: &BTreeMap<String, String>,
) -> Vec<Matcher> {
    let mut all: Vec<Matcher> = matchers.iter().cloned().collect();
    let equal = equal.iter().map(|(name, value)| (name, MatchOp::Equal, value));
    let regex = regex.iter().map(|(name, value)| (name, MatchOp::Regex, value));
    let older = equal.chain(regex);
    all.extend(older.filter_map(|(name, op, value)| Matcher::new(name, op, value).ok()));
    all
}

impl Lint {
    fn new(
        code: LintCode,
        place: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { code, place: place.into(), message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for LintCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]: {}", self.place, self.message, self.code, self.remedy)
    }
}
