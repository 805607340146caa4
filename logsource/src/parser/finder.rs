//! Wants only what is asked for: the sink of an extraction.

use super::paths::{Find, Paths};
use super::raw::{Raw, Sink};
use super::slots::{Line, Slots};
use super::structured;

/// Looks each name up among the asked paths, and fills the slots of those that are asked for.
pub(super) struct Finder<'a, 'e> {
    pub(super) line: Line<'a>,
    pub(super) paths: &'e mut Paths,
    pub(super) slots: &'e mut Slots,
}

impl<'a> Sink<'a> for Finder<'a, '_> {
    fn put(&mut self, name: &[u8], value: Raw<'a>) {
        let Some(find) = self.paths.find(Paths::TOP, name) else { return };
        if let Some(slot) = find.slot {
            self.slots.fill(self.line, slot, value);
        }
        if let (Raw::Elements(text), Some(node)) = (value, find.inside) {
            self.elements(text, node);
        }
    }

    fn done(&self) -> bool {
        self.slots.done()
    }
}

impl<'a> Finder<'a, '_> {
    fn elements(&mut self, text: &'a [u8], node: u16) {
        for element in structured::elements(text) {
            let Some(Find { slot, inside }) = self.paths.find(node, element.id) else { continue };
            if let Some(slot) = slot {
                self.slots.tree(slot, &element.to_value());
            }
            let Some(node) = inside else { continue };
            for (name, value) in element.params() {
                if let Some(slot) = self.paths.find(node, name).and_then(|find| find.slot) {
                    self.slots.fill(self.line, slot, value);
                }
            }
        }
    }
}
