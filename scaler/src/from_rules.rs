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
                let mut intent = Self::new(format!("{}/{place}", firing.episode.id), change)
                    .asked_by(format!("rule {}", firing.rule))
                    // The rule is named beside it, and the line stands in the firing's own story.
                    .reason(firing.explain.cause());
                intent.trace_id = firing.trace_id.as_deref().map(str::to_owned);
                asked.push((Arc::from(target.as_str()), intent));
            }
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::UNIX_EPOCH;

    use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch};

    use super::*;

    #[test]
    fn the_reason_does_not_name_the_rule_again() {
        let text = r#"{"name": "slow", "when": "state == 'slow' && line != ''", "by": ["service"],
                       "then": "scale('shop', '+2')"}"#;
        let rules = Arc::new(RuleSet::from_json("r.json", text).unwrap());
        let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
        let record =
            [("state", "slow"), ("service", "shop"), ("line", "l"), ("trace_id", "4bf92f")];
        let record: BTreeMap<String, String> =
            record.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
        let fired = engine.advance(hits, UNIX_EPOCH);
        let (_, intent) = ScaleIntent::from_firing(&fired[0]).remove(0);
        assert_eq!(intent.trace_id.as_deref(), Some("4bf92f"));
        let shown = format!("{intent:?}");
        assert!(shown.contains("\"rule slow\""), "{shown}");
        assert!(
            shown.contains("\"for service=shop: state == 'slow' && line (l) != ''\""),
            "{shown}"
        );
    }
}
