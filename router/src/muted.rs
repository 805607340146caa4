//! Silences and inhibitions of the alerts that are remembered.

use crate::Router;
use crate::table::Slot;
use crate::time::Stamp;

impl Router {
    /// It inhibits nobody any more.
    pub(crate) fn inhibits_no_more(&mut self, _slot: Slot, _now: Stamp) {}

    pub(crate) fn silenced_by(&self, _slot: Slot) -> String {
        "silenced".to_owned()
    }

    pub(crate) fn inhibited_by(&self, _slot: Slot) -> String {
        "inhibited".to_owned()
    }
}
