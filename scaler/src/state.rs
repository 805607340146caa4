//! What a decider remembers between decisions; small, bounded, and fit to be stored with each.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::brake::Actions;
use crate::decision::DecisionId;
use crate::guard::GuardMemory;
use crate::intent::IntentMemory;
use crate::panic_mode::Panicking;
use crate::rate::Changes;
use crate::stabilization::Recommendations;
use crate::window::ConditionWindow;

/// The layout written by this version. Fields that came later carry a serde default, and are not
/// written while they are empty, so that states of this format go on being read.
const FORMAT: u32 = 1;

/// The memory of a [`Decider`](crate::Decider), as data.
///
/// Store it beside each decision and give it to
/// [`Decider::with_state`](crate::Decider::with_state) after a restart: running windows, the
/// lock-out, the brake and the intents already carried out go on as if nothing had happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeciderState {
    pub(crate) format: u32,
    pub(crate) target: Arc<str>,
    /// How many decisions there have been.
    pub(crate) count: u64,
    /// When the last one was.
    #[serde(with = "crate::timestamp::serde::option")]
    pub(crate) last_seen: Option<SystemTime>,
    pub(crate) up: ConditionWindow,
    pub(crate) down: ConditionWindow,
    pub(crate) last_applied: Option<Applied>,
    pub(crate) actions: Actions,
    pub(crate) intents: IntentMemory,
    /// The change that was decided last, while nobody has said that it was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unsettled: Option<Unsettled>,
    /// What metrics recommended lately.
    #[serde(default, skip_serializing_if = "Recommendations::is_empty")]
    pub(crate) recommendations: Recommendations,
    /// What was changed lately.
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub(crate) changes: Changes,
    #[serde(default, skip_serializing_if = "GuardMemory::is_empty")]
    pub(crate) guards: GuardMemory,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) panic: Option<Panicking>,
    /// Since when every metric has been Unknown.
    #[serde(
        default,
        with = "crate::timestamp::serde::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) unknown_since: Option<SystemTime>,
    /// Whether the target has no replicas because a decision said so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) zeroed: bool,
}

/// The last change that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) id: DecisionId,
    #[serde(with = "crate::timestamp::serde")]
    pub(crate) at: SystemTime,
}

/// A change of which it is not known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unsettled {
    pub(crate) id: DecisionId,
    pub(crate) from: u32,
    pub(crate) to: u32,
    #[serde(with = "crate::timestamp::serde")]
    pub(crate) at: SystemTime,
    /// It was reported to have failed, or nobody is left who could report: else it is under way.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) is_over: bool,
}

impl DeciderState {
    pub(crate) fn new(target: Arc<str>) -> Self {
        Self {
            format: FORMAT,
            target,
            count: 0,
            last_seen: None,
            up: ConditionWindow::default(),
            down: ConditionWindow::default(),
            last_applied: None,
            actions: Actions::default(),
            intents: IntentMemory::default(),
            unsettled: None,
            recommendations: Recommendations::default(),
            changes: Changes::default(),
            guards: GuardMemory::default(),
            panic: None,
            unknown_since: None,
            zeroed: false,
        }
    }

    /// Why a decider for `target` cannot take this state up, if it cannot.
    pub(crate) fn misfit(&self, target: &str) -> Option<String> {
        if self.format != FORMAT {
            let format = self.format;
            return Some(format!(
                "the saved state of scaler `{target}` has format {format}, this version reads \
                 {FORMAT}: use the version that wrote it, or remove the state to start anew"
            ));
        }
        (*self.target != *target).then(|| {
            let other = &self.target;
            format!("the saved state belongs to `{other}`, not to `{target}`: give each its own")
        })
    }

    /// Nobody is left who could report what became of the last change. Says whether it was open.
    pub(crate) fn abandon_change(&mut self) -> bool {
        let open = self.unsettled.as_mut().filter(|change| !change.is_over);
        open.map(|change| change.is_over = true).is_some()
    }

    /// Whether `reported` is the change that was reported last.
    pub(crate) fn is_reported(&self, reported: DecisionId) -> bool {
        self.last_applied.is_some_and(|applied| applied.id == reported)
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
