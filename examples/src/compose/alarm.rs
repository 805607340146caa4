//! What birl tells of its own scaling: a change that is not proven, a brake that holds, a
//! guard that is breached.

use std::collections::BTreeMap;
use std::time::SystemTime;

use birl_router::{Alert, Labels};
use birl_scaler::{Decision, GuardAlarm, Limit, Verification};
use tracing::{info, warn};

/// An alert about one target, or its end.
#[derive(Debug)]
pub(crate) struct Alarm {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    firing: bool,
    at: SystemTime,
}

impl Alarm {
    /// A change was not proven, or one was again.
    pub(crate) fn unproven(verification: &Verification) -> Self {
        Self {
            labels: owned(&verification.labels()),
            annotations: owned(&verification.annotations()),
            firing: verification.is_alarming(),
            at: verification.at,
        }
    }

    /// A guard is breached, or calm again.
    pub(crate) fn guard(alarm: &GuardAlarm) -> Self {
        Self {
            labels: owned(&alarm.labels()),
            annotations: owned(&[("summary", alarm.summary.clone())]),
            firing: alarm.firing,
            at: alarm.at,
        }
    }

    /// Somebody asks for more changes than the brake lets pass: a runaway, or a forged log.
    pub(crate) fn braked(decision: &Decision) -> Self {
        let annotations = owned(&[("summary", decision.explain())]);
        Self { annotations, firing: true, ..Self::free(decision, decision.at) }
    }

    /// The brake lets changes pass again.
    pub(crate) fn free(decision: &Decision, at: SystemTime) -> Self {
        let labels = owned(&[
            ("alertname", "ScalingBraked".to_owned()),
            ("scale_target", decision.target.to_string()),
            ("severity", "warning".to_owned()),
        ]);
        Self { labels, annotations: BTreeMap::new(), firing: false, at }
    }

    /// Says it in birl's own log, whoever is told of it on the routes, if there are any.
    pub(crate) fn tell(&self, has_routes: bool) {
        let of = |name: &str| self.labels.get(name).map(String::as_str).unwrap_or_default();
        let (alert, target_ref) = (of("alertname"), of("scale_target"));
        let summary = self.annotations.get("summary").map(String::as_str).unwrap_or_default();
        if !self.firing {
            info!(
                alert,
                target_ref, summary, has_routes, "what was wrong with the scaling is over"
            );
        } else if has_routes {
            warn!(alert, target_ref, summary, "something is wrong with the scaling");
        } else {
            warn!(
                alert,
                target_ref,
                summary,
                "something is wrong with the scaling, and nobody is told: there is no `route`"
            );
        }
    }

    pub(crate) fn into_alert(self) -> Alert {
        let alert = Alert::firing(Labels::from(self.labels), self.at)
            .annotations(Labels::from(self.annotations));
        if self.firing { alert } else { alert.resolved(self.at) }
    }
}

/// Until when a brake holds what the decision is about, if one does.
pub(crate) fn braked_until(decision: &Decision) -> Option<SystemTime> {
    let braked = decision.limits.iter().filter_map(|limit| match limit {
        Limit::Brake { until, .. } => Some(*until),
        _ => None,
    });
    braked.max()
}

fn owned(pairs: &[(&str, String)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
