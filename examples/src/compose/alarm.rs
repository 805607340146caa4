//! What birl tells of its own scaling: a change that is not proven, a brake that holds.

use std::collections::BTreeMap;
use std::time::SystemTime;

use birl_router::{Alert, Labels};
use birl_scaler::{Decision, Limit, Verification};

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
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Self {
            labels: verification.labels().map(owned).into(),
            annotations: verification.annotations().map(owned).into(),
            firing: verification.is_alarming(),
            at: verification.at,
        }
    }

    /// Somebody asks for more changes than the brake lets pass: a runaway, or a forged log.
    pub(crate) fn braked(decision: &Decision) -> Self {
        let summary = ("summary".to_owned(), decision.explain());
        Self { annotations: [summary].into(), firing: true, ..Self::free(decision, decision.at) }
    }

    /// The brake lets changes pass again.
    pub(crate) fn free(decision: &Decision, at: SystemTime) -> Self {
        let labels = [
            ("alertname", "ScalingBraked"),
            ("scale_target", &*decision.target),
            ("severity", "warning"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { labels: labels.map(owned).into(), annotations: BTreeMap::new(), firing: false, at }
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
