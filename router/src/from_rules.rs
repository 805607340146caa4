//! From a rule's firing to the alerts that it asks for.

use birl_rules_dsl::{Firing, Intent, Status as RuleStatus};

use crate::{Alert, Labels};

impl Alert {
    /// The alerts that a firing asks for: one for each receiver that the rule names, and one for the route tree if it
    /// notifies without naming any.
    ///
    /// None if the rule notifies nobody, and none if the firing was withheld (its record was too old to act on).
    pub fn from_firing(firing: &Firing) -> Vec<Self> {
        if firing.withheld.is_some() {
            return Vec::new();
        }
        let mut receivers: Vec<Option<&str>> = Vec::new();
        for intent in &firing.intents {
            if let Intent::Notify { receiver, .. } = intent
                && !receivers.contains(&receiver.as_deref())
            {
                receivers.push(receiver.as_deref());
            }
        }
        if receivers.is_empty() {
            return Vec::new();
        }
        let alert = Self {
            annotations: Labels::from(firing.annotations.clone()),
            episode: firing.episode.id.to_string().into_boxed_str(),
            reason: firing.explain.to_string().into_boxed_str(),
            ..Self::firing(Labels::from(firing.labels.clone()), firing.episode.started)
        };
        let alert = match firing.status {
            RuleStatus::Resolved => alert.resolved(firing.event_time),
            _ => alert,
        };
        let named =
            |receiver: Option<&str>| Self { receiver: receiver.map(Box::from), ..alert.clone() };
        receivers.into_iter().map(named).collect()
    }
}
