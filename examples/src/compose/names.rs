//! Who can be told and what can be scaled: every name in a rule must be one of these.

use birl_rules_dsl::{Intent, RuleInfo, RuleSet};

use crate::config::{Config, suggest};

/// The names that the configuration gives. A rule that can tell nobody is found at the start or at
/// the edit, and not in the night.
#[derive(Debug)]
pub(crate) struct Names {
    receivers: Vec<String>,
    scalers: Vec<String>,
}

impl Names {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            receivers: config.receivers.iter().map(|receiver| receiver.name.clone()).collect(),
            scalers: config.scalers.iter().map(|scaler| scaler.value.name().to_owned()).collect(),
        }
    }

    /// The first name in `rules` that the configuration does not give, as a message.
    pub(crate) fn check(&self, rules: &RuleSet) -> Result<(), String> {
        for rule in rules.rules() {
            for intent in &rule.intents {
                match intent {
                    Intent::Notify { receiver: Some(name), .. }
                        if !self.receivers.contains(name) =>
                    {
                        return Err(unknown(rule, "receiver", name, &self.receivers));
                    }
                    Intent::Scale { target, .. } if !self.scalers.contains(target) => {
                        return Err(unknown(rule, "scaler", target, &self.scalers));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn unknown(rule: &RuleInfo, what: &str, name: &str, known: &[String]) -> String {
    let help = match known.is_empty() {
        true => format!("the configuration has no `{what}s`; add one called `{name}`"),
        false => suggest(name, known),
    };
    format!(
        "rule `{}` names the {what} `{name}`, and there is none\n --> {}:{}\n  = help: {help}",
        rule.name, rule.file, rule.line
    )
}
