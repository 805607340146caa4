//! What several modules share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_scaler::{Change, Decider, Decision, Observation, Replicas, ScaleIntent, ScalerSpec};

/// A fixed day, plus `seconds`.
pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_420_800 + seconds)
}

/// A decision that changes `target` from `from` to `to`.
pub(crate) fn decision(target: &str, from: u32, to: u32, now: SystemTime) -> Decision {
    let mut decider = Decider::new(ScalerSpec::new(target, 1, 1000)).unwrap();
    let intent = ScaleIntent::new("test", Change::To(to)).asked_by("a test");
    decider.decide(&Observation::new(Replicas::ready(from)).intent(intent), now)
}
