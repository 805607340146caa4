//! Notifications on their way: remembered until their delivery is reported, so that a lost one can go elsewhere.

use std::collections::{BTreeMap, HashMap};

use crate::endpoint::{Candidate, Choice, Grounds, Pending};
use crate::receiver::PoolId;
use crate::{EndpointId, Notification, SlaTier, Status};

#[derive(Debug)]
pub(crate) struct Outstanding {
    by_age: BTreeMap<u64, OnTheWay>,
    by_id: HashMap<String, u64>,
    count: u64,
}

#[derive(Debug)]
pub(crate) struct OnTheWay {
    pub(crate) notification: Notification,
    pub(crate) pool: PoolId,
    pub(crate) sla: Option<SlaTier>,
    /// All endpoints that gave it up.
    pub(crate) tried: Vec<EndpointId>,
    /// Counts for the load of its endpoint, since it was remembered.
    pub(crate) pending: Option<Pending>,
}

impl Outstanding {
    pub(crate) fn new() -> Self {
        Self { by_age: BTreeMap::new(), by_id: HashMap::new(), count: 0 }
    }

    /// Remembers a notification; returns how many older ones made room for it.
    pub(crate) fn insert(&mut self, on_the_way: OnTheWay, capacity: usize) -> u64 {
        self.remove(&on_the_way.notification.id);
        let mut evicted = 0;
        while self.by_age.len() >= capacity.max(1) {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.by_id.remove(&oldest.notification.id);
            evicted += 1;
        }
        self.count += 1;
        self.by_id.insert(on_the_way.notification.id.clone(), self.count);
        self.by_age.insert(self.count, on_the_way);
        evicted
    }

    /// The endpoint behind whose queue the next telling has to stand: while the last one, `id`, is still on its way and
    /// says the opposite, it must not arrive later, at whatever endpoint.
    pub(crate) fn behind<'a>(
        &self,
        id: &str,
        opposite: Status,
        pool: &'a [Candidate],
    ) -> Option<Choice<'a>> {
        let last = &self.by_age.get(self.by_id.get(id)?)?.notification;
        if last.status != opposite {
            return None;
        }
        let candidate = pool.iter().find(|candidate| candidate.id == last.endpoint)?;
        Some(Choice { id: &candidate.id, why: Grounds::Behind(opposite) })
    }

    /// How many have been remembered so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<OnTheWay> {
        self.by_age.remove(&self.by_id.remove(id)?)
    }
}
