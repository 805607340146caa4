//! Memory that is shared out: what is taken is given back when its holder goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may still be taken.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// What one holder has taken.
#[derive(Debug, Default)]
pub(super) struct Held(Option<(Budget, usize)>);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    pub(super) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Held {
    /// Takes `bytes` more, if there are as many.
    pub(super) fn take(&mut self, bytes: usize, from: &Budget) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        if from.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return false;
        }
        self.0.get_or_insert_with(|| (from.clone(), 0)).1 += bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((budget, bytes)) = self.0.take() {
            budget.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}
