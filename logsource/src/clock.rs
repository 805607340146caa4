//! The clocks. Cores take their time as an argument; a shell reads it here.

use std::time::{Instant, SystemTime};

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "a shell stamps what it reads")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a shell waits")]
pub(crate) fn ticks() -> Instant {
    Instant::now()
}
