//! The pods: starting, ready, draining.

use std::collections::VecDeque;
use std::sync::Arc;

use super::meter::Totals;

/// Pods in the order of their birth, and those on their way out.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) pods: Vec<Pod>,
    ready: u32,
    /// When each that drains will be gone, in order.
    draining: VecDeque<u64>,
    born: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Pod {
    pub(super) name: Arc<str>,
    pub(super) ready_at: u64,
    /// What a pod had served when this one became ready; `None` until then.
    pub(super) since: Option<Totals>,
}

impl Fleet {
    /// How many serve.
    pub(super) fn ready(&self) -> u32 {
        self.ready
    }

    /// How many were asked for.
    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.pods.len()).unwrap_or(u32::MAX)
    }

    /// How many are paid for.
    pub(super) fn paid(&self) -> u64 {
        (self.pods.len() + self.draining.len()) as u64
    }

    /// Lets time pass up to `now`.
    pub(super) fn advance(&mut self, now: u64, totals: Totals) {
        while self.draining.front().is_some_and(|&gone| gone <= now) {
            self.draining.pop_front();
        }
        if self.ready == self.size() {
            return;
        }
        for pod in self.pods.iter_mut().filter(|pod| pod.since.is_none() && pod.ready_at <= now) {
            pod.since = Some(totals);
            self.ready += 1;
        }
    }

    /// Makes them `count`. Of too many, those that do not serve yet go first, then the youngest,
    /// as a ReplicaSet chooses; one that never served has nothing to drain.
    pub(super) fn scale_to(&mut self, count: u32, now: u64, start: u64, drain: u64) {
        while self.size() < count {
            self.born += 1;
            let name = format!("pod-{}", self.born).into();
            self.pods.push(Pod { name, ready_at: now + start, since: None });
        }
        let mut surplus = self.pods.len().saturating_sub(count as usize);
        for serving in [false, true] {
            let mut place = self.pods.len();
            while surplus > 0 && place > 0 {
                place -= 1;
                if self.pods.get(place).is_none_or(|pod| pod.since.is_some() != serving) {
                    continue;
                }
                self.pods.remove(place);
                surplus -= 1;
                if serving {
                    self.ready -= 1;
                    self.draining.push_back(now + drain);
                }
            }
        }
    }
}
