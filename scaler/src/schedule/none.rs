//! Without the feature there are no time zones, and a schedule is an error.

use std::time::SystemTime;

use super::Bounds;
use crate::spec::ScalerSpec;

/// No schedule.
#[derive(Debug, Clone)]
pub(crate) struct Plan;

impl Plan {
    pub(crate) fn compile(spec: &ScalerSpec, faults: &mut Vec<String>) -> Self {
        if !spec.schedule.is_empty() {
            faults.push(
                "schedule needs time zones: build birl-scaler with its feature `schedule`, or \
                 leave it out"
                    .to_owned(),
            );
        }
        Self
    }

    pub(crate) fn of(spec: &ScalerSpec) -> Self {
        Self::compile(spec, &mut Vec::new())
    }

    pub(crate) fn bounds(&self, spec: &ScalerSpec, _now: SystemTime) -> Bounds {
        Bounds { min: spec.min_replicas, max: spec.max_replicas, schedule: None }
    }

    pub(crate) fn next_edge(&self, _now: SystemTime) -> Option<SystemTime> {
        None
    }
}
