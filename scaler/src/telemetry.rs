//! What is told through `tracing`: one event an action, one a verdict, and a span.
//!
//! The events carry fields, not sentences put together; a JSON subscriber turns them into the log
//! line that operators and their queries look for, and an OpenTelemetry layer finds its names.

use crate::decision::{Decision, Trigger};
use crate::metrics::Status;
use crate::verification::{LegName, Verdict, Verification};

/// What stands for a trace where there is none, as in every birl log line.
const NO_TRACE: &str = "unknown";

pub(crate) fn tell_action(decision: &Decision, status: Status) {
    let trigger = decision.trigger.as_ref();
    let (action, reason) = (decision.action.as_str(), decision.reason.as_str());
    let trigger_value = trigger.map(Trigger::value).unwrap_or_default();
    tracing::info!(
        target: "birl_scaler",
        action,
        target_replicas = decision.to,
        trigger_metric = trigger.map_or("", Trigger::name),
        trigger_value,
        trace_id = decision.trace_id.as_deref().unwrap_or(NO_TRACE),
        autoscaling.action = action,
        autoscaling.target_replicas = decision.to,
        autoscaling.trigger_reason = reason,
        decision_id = %decision.id,
        scale_target = &*decision.target,
        from_replicas = decision.from,
        status = status.as_str(),
        explain = %decision,
        "scale action"
    );
}

impl Decision {
    /// A span named `scale` for the time in which a host carries this decision out, with the
    /// attributes `autoscaling.action`, `autoscaling.target_replicas` and
    /// `autoscaling.trigger_reason`: an OpenTelemetry layer exports it as it is.
    pub fn span(&self) -> tracing::Span {
        let trigger = self.trigger.as_ref();
        tracing::info_span!(
            target: "birl_scaler",
            "scale",
            autoscaling.action = self.action.as_str(),
            autoscaling.target_replicas = self.to,
            autoscaling.trigger_reason = self.reason.as_str(),
            trigger_metric = trigger.map_or("", Trigger::name),
            trigger_value = trigger.map(Trigger::value).unwrap_or_default(),
            trace_id = self.trace_id.as_deref().unwrap_or(NO_TRACE),
            decision_id = %self.id,
            scale_target = &*self.target,
            from_replicas = self.from,
        )
    }
}

pub(crate) fn tell_verification(verification: &Verification) {
    let Verification { decision_id, target, replicas, verdict, .. } = verification;
    let (word, action) = (verdict.as_str(), verification.action().as_str());
    let leg = verdict.leg().map_or("", LegName::as_str);
    if verification.is_alarming() || matches!(verdict, Verdict::Unchecked { .. }) {
        tracing::warn!(
            target: "birl_scaler",
            verdict = word,
            leg,
            %decision_id,
            scale_target = &**target,
            target_replicas = replicas,
            autoscaling.action = action,
            autoscaling.target_replicas = replicas,
            explain = %verification,
            "scale action not verified"
        );
    } else {
        tracing::info!(
            target: "birl_scaler",
            verdict = word,
            leg,
            %decision_id,
            scale_target = &**target,
            target_replicas = replicas,
            autoscaling.action = action,
            autoscaling.target_replicas = replicas,
            explain = %verification,
            "scale action followed up"
        );
    }
}
