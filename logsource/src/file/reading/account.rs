//! Who is told how far a content is acknowledged.

use std::sync::Arc;

use super::Shared;
use crate::Cursor;
use crate::ledger::Book;

/// Who is told how far a content is acknowledged, and under which key that is kept.
#[derive(Debug)]
pub(in crate::file) struct Account {
    pub(super) book: Option<Arc<Book>>,
    pub(in crate::file) key: Arc<str>,
}

impl Account {
    /// Nothing is acknowledged yet. The place is told at once, so that a run that never
    /// acknowledged anything begins again where this one did.
    pub(in crate::file) fn open(shared: &Shared, key: Arc<str>, from: &Cursor) -> Self {
        let Some(store) = &shared.store else { return Self { book: None, key } };
        store.set(&key, from);
        // Where nothing is kept, nobody need acknowledge.
        let counters = store.is_on_disk().then_some(&shared.metrics);
        let (store, told) = (Arc::clone(store), Arc::clone(&key));
        Self { book: Some(Book::new(counters, move |place| store.set(&told, place))), key }
    }

    /// Whether every batch is acknowledged.
    pub(in crate::file) fn is_settled(&self) -> bool {
        self.book.as_ref().is_none_or(|book| book.is_settled())
    }

    /// Whether a batch was dropped, so that nothing behind it can ever count.
    pub(in crate::file) fn is_frozen(&self) -> bool {
        self.book.as_ref().is_some_and(|book| book.is_frozen())
    }
}
