//! How long what is not read yet has been there.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// More sizes than these are not remembered.
const MOST: usize = 64;

/// Sizes of a file that grows, and when they were seen first.
#[derive(Debug, Default)]
pub(super) struct Growth(VecDeque<(Instant, u64)>);

impl Growth {
    /// The file has this size now, and is read up to there.
    pub(super) fn saw(&mut self, now: Instant, size: u64, read: u64) {
        while self.0.front().is_some_and(|(_, size)| *size <= read) {
            self.0.pop_front();
        }
        if size <= read || self.0.back().is_some_and(|(_, last)| *last >= size) {
            return;
        }
        if self.0.len() == MOST {
            // Every other one tells nearly the same, and the first is what counts.
            let mut keep = false;
            self.0.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.0.push_back((now, size));
    }

    /// It was cut.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How long the oldest byte that is not read has been there, as far as was seen.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.0.front().map(|(since, _)| now.saturating_duration_since(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_byte_that_is_not_read_counts() {
        let start = crate::clock::ticks();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut growth = Growth::default();
        growth.saw(at(0), 100, 100);
        assert_eq!(growth.age(at(5)), None);
        growth.saw(at(1), 200, 100);
        growth.saw(at(2), 200, 100);
        growth.saw(at(3), 300, 150);
        assert_eq!(growth.age(at(4)), Some(Duration::from_secs(3)));
        growth.saw(at(4), 300, 200);
        assert_eq!(growth.age(at(4)), Some(Duration::from_secs(1)));
        growth.saw(at(5), 300, 300);
        assert_eq!(growth.age(at(9)), None);
    }

    #[test]
    fn it_is_bounded_and_the_first_stays() {
        let start = crate::clock::ticks();
        let mut growth = Growth::default();
        for second in 0..10_000 {
            growth.saw(start + Duration::from_secs(second), second + 1, 0);
        }
        assert!(growth.0.len() <= MOST);
        let age = growth.age(start + Duration::from_secs(10_000));
        assert_eq!(age, Some(Duration::from_secs(10_000)));
    }
}
