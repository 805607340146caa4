//! The clock that both processes tell times by.

use std::time::{Duration, SystemTime};

use crate::model::Ms;

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this harness is about real time")]
pub(crate) fn now() -> Ms {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

pub(crate) fn sleep(ms: Ms) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Waits for something, so long at most. Says whether it came.
pub(crate) fn wait(at_most: Ms, mut check: impl FnMut() -> bool) -> bool {
    let until = now() + at_most;
    loop {
        if check() {
            return true;
        }
        if now() >= until {
            return false;
        }
        sleep(5);
    }
}
