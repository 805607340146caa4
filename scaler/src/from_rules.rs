//! From a rule's firing to what it asks of which target.

use std::sync::Arc;

use birl_rules_dsl::{Change as Asked, Firing, Intent, Status};

use crate::intent::{Change, ScaleIntent};

impl ScaleIntent {
    /// What a firing asks for, with the target's name: one intent for each `scale(…)` of the rule.
    ///
    /// The id is that of the episode and the place of the `scale(…)` in the rule, so that repeats
    /// of one episode ask once. None for an episode that is over, and none for a firing that was
    /// withheld because its record was too old to act on.
    pub fn from_firing(firing: &Firing) -> Vec<(Arc<str>, Self)> {
        if firing.withheld.is_some() || firing.status != Status::Firing {
            return Vec::new();
        }
        let mut asked = Vec::new();
        for (place, intent) in firing.intents.iter().enumerate() {
            if let Intent::Scale { target, change, .. } = intent {
                let change = match change {
                    Asked::By(by) => Change::By(*by),
                    Asked::To(to) => Change::To(*to),
                    // A kind of change that this version does not know is no change.
                    _ => continue,
                };
                let intent = Self::new(format!("{}/{place}", firing.episode.id), change)
                    .asked_by(format!("rule {}", firing.rule))
                    // The rule is named beside it, and the line stands in the firing's own story.
                    .reason(firing.explain.cause());
                asked.push((Arc::from(target.as_str()), intent));
            }
        }
        asked
    }
}
