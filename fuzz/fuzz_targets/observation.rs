//! A scaler's specification and what it observes, both from outside: always a decision within bounds.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use birl_scaler::{Decider, Observation, ScalerSpec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let Ok(spec) = serde_json::from_str::<ScalerSpec>(input.0) else { return };
    let Ok(seen) = serde_json::from_str::<Observation>(input.1) else { return };
    let (least, most) = (spec.min_replicas, spec.max_replicas);
    let Ok(mut decider) = Decider::new(spec) else { return };
    let decision = decider.decide(&seen, UNIX_EPOCH + Duration::from_secs(1_795_420_800));
    assert!(!decision.is_change() || (least..=most).contains(&decision.to));
});
