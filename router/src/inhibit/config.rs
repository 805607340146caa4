//! `inhibit_rules`, in Alertmanager's words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Matchers;

/// While an alert that the source side matches is firing, those that the target side matches are not told of.
///
/// Only alerts that agree in the labels of `equal` and `equal_pairs` meet. A missing label is the empty string, so two
/// alerts that both lack a label agree in it, as in Alertmanager; [`require_equal_present`](Self::require_equal_present)
/// asks for more. An alert that matches both sides is not inhibited by one that does too, nor by itself.
///
/// ```
/// use birl_router::InhibitRuleConfig;
///
/// // A switch that is down explains why what hangs on it is not reached.
/// let rule: InhibitRuleConfig = serde_json::from_str(r#"{
///     "name": "switch-down",
///     "source_matchers": ["alertname=\"SwitchDown\""],
///     "target_matchers": ["alertname=\"HostUnreachable\""],
///     "equal": ["site"],
///     "equal_pairs": { "uplink": "switch" }
/// }"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct InhibitRuleConfig {
    /// What explanations call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What must be firing. Needed: a rule without it would mute by whatever else happens to fire.
    #[serde(skip_serializing_if = "Matchers::is_empty")]
    pub source_matchers: Matchers,
    /// What is muted meanwhile. None: everything.
    #[serde(skip_serializing_if = "Matchers::is_empty")]
    pub target_matchers: Matchers,
    /// Labels that must have the same value in both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub equal: Vec<String>,
    /// Labels of the target, and the label of the source that must have the same value. birl's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub equal_pairs: BTreeMap<String, String>,
    /// The labels of `equal` and `equal_pairs` must be there: two alerts that both lack one do not meet. birl's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_equal_present: bool,
    /// The older way to write `=` matchers of the source.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub source_match: BTreeMap<String, String>,
    /// The older way to write `=~` matchers of the source.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub source_match_re: BTreeMap<String, String>,
    /// The older way to write `=` matchers of the target.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub target_match: BTreeMap<String, String>,
    /// The older way to write `=~` matchers of the target.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub target_match_re: BTreeMap<String, String>,
}

/// How inhibition is done, and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InhibitOptions {
    /// Of alerts that inhibit each other, in a circle of any length, the one that began first is told. Default yes;
    /// Alertmanager tells none of them.
    pub break_cycles: bool,
    /// A rule may have no source matchers, which makes every firing alert a source. Default no.
    pub allow_empty_source: bool,
    /// Firing alerts that are known. One more neither inhibits nor is inhibited, and is counted. Default 100,000.
    pub max_alerts: usize,
    /// Sides of rules that the known alerts stand on, in all. An alert that would need more is not known, and counted.
    /// Default 1,000,000.
    pub max_places: usize,
    /// Alerts that the search for a circle looks at. An alert in a larger web of alerts that inhibit others and can be
    /// inhibited is taken as part of no circle, as in Alertmanager, and counted, until the web is smaller. Default 256.
    pub max_cycle: usize,
}

impl InhibitOptions {
    /// As Alertmanager does it.
    pub fn alertmanager() -> Self {
        Self { break_cycles: false, allow_empty_source: true, ..Self::default() }
    }
}

impl Default for InhibitOptions {
    fn default() -> Self {
        Self {
            break_cycles: true,
            allow_empty_source: false,
            max_alerts: 100_000,
            max_places: 1_000_000,
            max_cycle: 256,
        }
    }
}
