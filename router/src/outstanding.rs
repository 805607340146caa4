//! Notifications on their way: remembered until their delivery is reported, so that a lost one can go elsewhere.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;

use crate::endpoint::{Candidate, Choice, Grounds, Pending};
use crate::receiver::PoolId;
use crate::table::Slot;
use crate::{EndpointId, Notification, SlaTier, Status};

#[derive(Debug)]
pub(crate) struct Outstanding {
    by_age: BTreeMap<u64, OnTheWay>,
    by_id: HashMap<String, u64>,
    by_hash: HashMap<u64, u64>,
    count: u64,
}

#[derive(Debug)]
pub(crate) struct OnTheWay {
    pub(crate) notification: Notification,
    pub(crate) pool: PoolId,
    pub(crate) sla: Option<SlaTier>,
    /// All endpoints that gave it up.
    pub(crate) tried: Vec<EndpointId>,
    /// The groups that it tells of: one, or all that a digest takes together.
    pub(crate) parts: SmallVec<[Part; 1]>,
    /// The part of the name that stands for what it says.
    pub(crate) hash: u64,
    /// The pool hears of resolves.
    pub(crate) tells_resolved: bool,
    /// Counts for the load of its endpoint, since it was remembered.
    pub(crate) pending: Option<Pending>,
}

/// What a notification says of one group.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) group: Slot,
    /// The slot may have another group by now.
    pub(crate) number: u64,
    /// The place of the pool among the group's logs.
    pub(crate) pool: usize,
    /// The alerts of which it is news that they fire.
    pub(crate) fresh: SmallVec<[Slot; 2]>,
    /// The alerts of which it is news that they fire anew.
    pub(crate) renewed: SmallVec<[Slot; 2]>,
    /// The alerts of which it is news that they are over, and which of their episodes is.
    pub(crate) over: SmallVec<[(Slot, u32); 2]>,
}

impl Outstanding {
    pub(crate) fn new() -> Self {
        Self { by_age: BTreeMap::new(), by_id: HashMap::new(), by_hash: HashMap::new(), count: 0 }
    }

    /// Remembers a notification; returns how many older ones made room for it.
    pub(crate) fn insert(&mut self, on_the_way: OnTheWay, capacity: usize) -> u64 {
        self.remove(&on_the_way.notification.id);
        let mut evicted = 0;
        while self.by_age.len() >= capacity.max(1) {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.by_id.remove(&oldest.notification.id);
            self.by_hash.remove(&oldest.hash);
            evicted += 1;
        }
        self.count += 1;
        self.by_id.insert(on_the_way.notification.id.clone(), self.count);
        self.by_hash.insert(on_the_way.hash, self.count);
        self.by_age.insert(self.count, on_the_way);
        evicted
    }

    /// The endpoint behind whose queue the next telling has to stand: while the last one is still on its way and says
    /// something else than `status`, it must not arrive later, at whatever endpoint.
    pub(crate) fn behind<'a>(
        &self,
        last: u64,
        status: Status,
        pool: &'a [Candidate],
    ) -> Option<Choice<'a>> {
        let last = &self.by_age.get(self.by_hash.get(&last)?)?.notification;
        if last.status == status {
            return None;
        }
        let candidate = pool.iter().find(|candidate| candidate.id == last.endpoint)?;
        Some(Choice { id: &candidate.id, why: Grounds::Behind(last.status) })
    }

    /// How many have been remembered so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &OnTheWay> {
        self.by_age.values()
    }

    /// The endpoint that it is on its way to.
    pub(crate) fn endpoint(&self, id: &str) -> Option<&EndpointId> {
        Some(&self.by_age.get(self.by_id.get(id)?)?.notification.endpoint)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<OnTheWay> {
        let on_the_way = self.by_age.remove(&self.by_id.remove(id)?)?;
        self.by_hash.remove(&on_the_way.hash);
        Some(on_the_way)
    }
}
