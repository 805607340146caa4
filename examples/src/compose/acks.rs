//! A batch is acknowledged when everything that it caused is settled.

use std::collections::HashMap;

use birl_logsource::Ack;

/// Acknowledgements that wait for what their batch caused. Bounded by what can be under way at once:
/// the dispatcher's queues and one change for each scaler.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    next: u64,
    held: HashMap<u64, Held>,
    /// What is waited for (a notification's id, a decision's id) → the batch that waits.
    causes: HashMap<String, u64>,
}

#[derive(Debug)]
struct Held {
    ack: Ack,
    outstanding: usize,
}

impl Acks {
    /// Acknowledges at once when there is nothing to wait for.
    pub(crate) fn hold(&mut self, ack: Ack, waits_for: impl IntoIterator<Item = String>) {
        let batch = self.next;
        self.next += 1;
        let mut outstanding = 0;
        for cause in waits_for {
            outstanding += usize::from(self.causes.insert(cause, batch).is_none());
        }
        if outstanding == 0 {
            ack.done();
        } else {
            self.held.insert(batch, Held { ack, outstanding });
        }
    }

    /// `cause` goes on under other names (a notification that is sent to another endpoint).
    pub(crate) fn pass_on(&mut self, cause: &str, successors: impl IntoIterator<Item = String>) {
        if let Some(batch) = self.causes.get(cause).copied() {
            for successor in successors {
                if self.causes.insert(successor, batch).is_none()
                    && let Some(held) = self.held.get_mut(&batch)
                {
                    held.outstanding += 1;
                }
            }
        }
    }

    /// `cause` is over, well or badly; the last one acknowledges the batch.
    pub(crate) fn settle(&mut self, cause: &str) {
        let Some(batch) = self.causes.remove(cause) else { return };
        let Some(held) = self.held.get_mut(&batch) else { return };
        held.outstanding -= 1;
        if held.outstanding == 0
            && let Some(held) = self.held.remove(&batch)
        {
            held.ack.done();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counted() -> (Ack, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let ack = Ack::from_fn(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        (ack, count)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_batch_that_caused_nothing_is_acknowledged_at_once() {
        let (ack, count) = counted();
        Acks::default().hold(ack, None);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_last_cause_acknowledges_and_a_successor_keeps_it_open() {
        let (ack, count) = counted();
        let mut acks = Acks::default();
        acks.hold(ack, names(&["a", "b"]));
        acks.settle("a");
        acks.settle("a");
        acks.pass_on("b", names(&["b2"]));
        acks.settle("b");
        assert_eq!(count.load(Ordering::Relaxed), 0);
        acks.settle("b2");
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert!(acks.held.is_empty() && acks.causes.is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_batch_that_is_never_settled_is_never_acknowledged() {
        let (ack, count) = counted();
        let mut acks = Acks::default();
        acks.hold(ack, names(&["a"]));
        drop(acks);
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
