//! What is told through `tracing`: one event an action, one a verdict.
//!
//! The events carry fields, not sentences put together; a JSON subscriber turns them into the log
//! line that operators and their queries look for, and an OpenTelemetry layer finds its names.

use crate::decision::{Decision, Trigger};
use crate::metrics::Status;
use crate::verify::{Verdict, Verification};

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

pub(crate) fn tell_verification(verification: &Verification) {
    let Verification { decision_id, target, replicas, verdict, .. } = verification;
    let word = verdict.as_str();
    if matches!(verdict, Verdict::Failed { .. } | Verdict::Unchecked { .. }) {
        tracing::warn!(
            target: "birl_scaler",
            verdict = word,
            %decision_id,
            scale_target = &**target,
            target_replicas = replicas,
            explain = %verification,
            "scale action not verified"
        );
    } else {
        tracing::info!(
            target: "birl_scaler",
            verdict = word,
            %decision_id,
            scale_target = &**target,
            target_replicas = replicas,
            explain = %verification,
            "scale action followed up"
        );
    }
}
