//! The rules that the fields of one record lead to.

/// Reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Found {
    rules: Vec<u32>,
    /// With so many it is time to leave out those that are there more than once.
    full: usize,
    /// In which round each word was seen last.
    seen: Vec<u32>,
    round: u32,
    /// For texts whose case is folded.
    buffer: String,
}

impl Found {
    /// Begins with a record, of a set of so many rules.
    pub(crate) fn clear(&mut self, rules: usize) {
        self.rules.clear();
        self.full = 4 * rules + 1_024;
    }

    /// Ends with it: each rule is there once, ascending.
    pub(crate) fn finish(&mut self) {
        self.rules.sort_unstable();
        self.rules.dedup();
    }

    /// The rules.
    pub(crate) fn rules(&self) -> &[u32] {
        &self.rules
    }

    /// Adds rules. Whatever a record repeats, memory stays within bounds.
    pub(super) fn add(&mut self, rules: &[u32]) {
        self.rules.extend_from_slice(rules);
        if self.rules.len() > self.full {
            self.finish();
        }
    }

    /// Lends its buffer, whatever is in it.
    pub(super) fn take_buffer(&mut self) -> String {
        std::mem::take(&mut self.buffer)
    }

    pub(super) fn put_back(&mut self, buffer: String) {
        self.buffer = buffer;
    }

    /// Begins with a text in which any of so many words may be.
    pub(super) fn begin(&mut self, words: usize) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.seen.clear();
            self.round = 1;
        }
        if self.seen.len() < words {
            self.seen.resize(words, 0);
        }
    }

    /// Whether a word was not seen in this text before.
    pub(super) fn is_first(&mut self, word: usize) -> bool {
        std::mem::replace(&mut self.seen[word], self.round) != self.round
    }
}
