//! The clock that all processes of a machine share.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment before every process began.
pub(crate) fn now() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

pub(crate) fn milliseconds_since(then: i64) -> f64 {
    (now() - then) as f64 / 1e6
}
