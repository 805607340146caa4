//! Notifications on their way: remembered until their delivery is reported, so that a lost one can go elsewhere.

use std::collections::{BTreeMap, HashMap};

use crate::receiver::PoolId;
use crate::{EndpointId, Notification, SlaTier};

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

    /// The endpoint that has the notification at the moment.
    pub(crate) fn endpoint(&self, id: &str) -> Option<&EndpointId> {
        self.by_age.get(self.by_id.get(id)?).map(|it| &it.notification.endpoint)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<OnTheWay> {
        self.by_age.remove(&self.by_id.remove(id)?)
    }
}
