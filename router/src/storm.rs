//! Storms: how much one receiver may be told, and what it is told instead.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::receiver::PoolId;
use crate::table::Slot;
use crate::time::Stamp;

/// How many notifications each integration of a receiver takes. What comes beyond it waits, and is told as one digest:
/// nothing is lost, and nobody is told "resolved" of what was never told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RateLimit {
    /// Notifications a minute, in the long run. At least 1.
    pub per_minute: u32,
    /// How many may come at once; 0, the default, is as many as `per_minute`.
    #[serde(default)]
    pub burst: u32,
}

/// Token buckets, and the groups that wait for a token.
#[derive(Debug, Default)]
pub(crate) struct Storm {
    buckets: HashMap<PoolId, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Stamp,
    /// Bounded by the number of groups.
    waiting: BTreeSet<Slot>,
}

impl RateLimit {
    /// This many a minute, and as many at once.
    pub fn per_minute(per_minute: u32) -> Self {
        Self { per_minute, burst: 0 }
    }

    fn burst(self) -> f64 {
        f64::from(if self.burst == 0 { self.per_minute } else { self.burst }.max(1))
    }

    fn per_second(self) -> f64 {
        f64::from(self.per_minute.max(1)) / 60.0
    }
}

impl Storm {
    /// Takes a token for `group`, and returns the other groups that waited for one: they are told together with it.
    ///
    /// # Errors
    /// When the next token comes. The group waits for it until then.
    pub(crate) fn take(
        &mut self,
        pool: &PoolId,
        limit: Option<RateLimit>,
        group: Slot,
        now: Stamp,
    ) -> Result<Vec<Slot>, Stamp> {
        let Some(limit) = limit else { return Ok(Vec::new()) };
        let bucket = self.buckets.entry(PoolId::clone(pool)).or_insert_with(|| Bucket {
            tokens: limit.burst(),
            filled_at: now,
            waiting: BTreeSet::new(),
        });
        let passed = now.since(bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * limit.per_second()).min(limit.burst());
        bucket.filled_at = now;
        // A token that is there but for the rounding is there.
        if bucket.tokens < 0.999_999 {
            bucket.waiting.insert(group);
            let missing = (1.0 - bucket.tokens) / limit.per_second();
            return Err(now.plus(Duration::from_secs_f64(missing)));
        }
        bucket.tokens -= 1.0;
        bucket.waiting.remove(&group);
        Ok(std::mem::take(&mut bucket.waiting).into_iter().collect())
    }

    /// The group is gone.
    pub(crate) fn forget(&mut self, group: Slot) {
        for bucket in self.buckets.values_mut() {
            bucket.waiting.remove(&group);
        }
    }

    /// Another configuration: groups have other slots, and pools may be gone.
    pub(crate) fn reset_groups(&mut self, keeps: impl Fn(&PoolId) -> bool) {
        self.buckets.retain(|pool, bucket| {
            bucket.waiting.clear();
            keeps(pool)
        });
    }

    /// After the clock was set back.
    pub(crate) fn turn_back(&mut self, by: Duration) {
        for bucket in self.buckets.values_mut() {
            bucket.filled_at = bucket.filled_at.minus(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_as_many_as_it_says_with_those_that_waited() {
        let at = |seconds: u64| Stamp::from_ms(1_700_000_000_000 + seconds * 1000);
        let (mut storm, pool) = (Storm::default(), PoolId::from("ops"));
        let limit = Some(RateLimit { per_minute: 6, burst: 2 });
        let mut take = |group, now| storm.take(&pool, limit, group, at(now));
        assert_eq!(take(1, 0), Ok(vec![]));
        assert_eq!(take(2, 0), Ok(vec![]));
        assert_eq!(take(3, 0), Err(at(10)));
        assert_eq!(take(4, 5), Err(at(10)));
        assert_eq!(take(3, 10), Ok(vec![4]), "the others are told with it");
        assert_eq!(take(4, 10), Err(at(20)));
        assert_eq!(storm.take(&pool, None, 5, at(10)), Ok(vec![]), "no limit");
    }
}
