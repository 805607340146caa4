//! What is wrong with the numbers of a world, gathered before it starts.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Faults(Vec<String>);

impl Faults {
    /// Notes a fault unless `holds`.
    pub(super) fn check(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.0.push(fault());
        }
    }

    /// Notes a fault unless `span` is `low` to `high` seconds.
    pub(super) fn span(&mut self, name: &str, span: Duration, low: f64, high: f64) {
        self.check((low..=high).contains(&seconds(span)), || {
            format!("{name} is {span:?}: it must be {low} s to {high} s")
        });
    }

    /// All of them as one error.
    pub(super) fn settle(self) -> Result<(), Error> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::InvalidInput, self.0.join("; "))),
        }
    }
}

pub(super) fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}
