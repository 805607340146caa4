//! A firing alert, as inhibition knows it.

use std::time::SystemTime;

use super::meeting::Sort;
use super::rule::Side;
use crate::Labels;
use crate::table::Slot;

#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) labels: Labels,
    pub(super) since: SystemTime,
    /// Where it is a source and a target, in ascending order of rules.
    pub(super) sources: Box<[Place]>,
    pub(super) targets: Box<[Place]>,
    /// The component that it is part of, if it is more than itself.
    pub(super) circle: Option<u32>,
}

/// A side of a rule that an alert stands on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) rule: u32,
    pub(super) meeting: Slot,
    pub(super) sort: Sort,
}

impl Tracked {
    pub(super) fn places(&self, side: Side) -> &[Place] {
        match side {
            Side::Source => &self.sources,
            Side::Target => &self.targets,
        }
    }
}
