//! What the kernel dropped within a window.

use super::counts::Counts;
use super::ring::Ring;

/// Packets that came, and packets that were dropped, since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    came: u64,
    dropped: u64,
}

/// How much of a window was dropped: the traffic of all as it was when a line of the watch first came
/// within each part.
#[derive(Debug, Default)]
pub(super) struct Loss(Ring<Option<Traffic>>);

impl Traffic {
    pub(super) fn of(counts: &Counts) -> Self {
        Self { came: counts.packets, dropped: counts.dropped }
    }
}

impl Loss {
    /// Notes how things are in `part`, once.
    pub(super) fn note(&mut self, traffic: Traffic, part: u64) {
        self.0.fill(part).0.get_or_insert(traffic);
    }

    /// How many packets stand behind each one that came; `None` where more were dropped than came, and
    /// nobody can tell.
    pub(super) fn factor(&self, now: Traffic, part: u64) -> Option<f64> {
        let Some(then) = self.0.live(part).find_map(|traffic| *traffic) else { return Some(1.0) };
        let dropped = now.dropped.saturating_sub(then.dropped);
        // The packet that made the note is one of those that came.
        let came = (now.came.saturating_sub(then.came) + 1) as f64;
        match dropped as f64 {
            0.0 => Some(1.0),
            dropped if dropped > came => None,
            dropped => Some((came + dropped) / came),
        }
    }
}
