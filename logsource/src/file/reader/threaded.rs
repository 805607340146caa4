//! A reader that has a thread of its own, and hands on what it reads.

use super::super::opening::Opening;
use super::{Reader, Settings, Turn};
use crate::Batch;
use crate::shell::{Pushed, ticks};

impl Reader {
    /// Runs until nobody takes what is read.
    pub(in crate::file) fn run(settings: Settings, opening: Opening) {
        let mut reader = Self::begin(settings, opening);
        while !reader.settings.queue.is_abandoned() {
            if let Turn::Read(batch) = reader.turn(None) {
                reader.hand_on(batch);
            }
        }
        reader.end();
    }

    /// Hands a batch on, and waits while there is no room for it, or in memory for a next one.
    fn hand_on(&mut self, batch: Batch) {
        let mut item = Some(Ok(batch));
        loop {
            let Settings { queue, status, .. } = &self.settings;
            if let Some(batch) = item.take()
                && let Pushed::Full(back) = queue.try_push(batch, 0)
            {
                item = Some(back);
            }
            status.hold_up(item.is_some().then(ticks));
            if queue.is_abandoned() || (item.is_none() && self.has_room()) {
                return;
            }
            self.wait_for_room(None);
        }
    }
}
