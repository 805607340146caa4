//! What a sample may carry beside its value, in one word each that is 0 when it carries nothing: the
//! formula's loop sees at a glance that there is none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::milli::Milli;

/// What an instance asked for, plus a thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Request(u64);

/// Nanoseconds since 1970, plus one; what lies before is held there, and so too old for anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Moment(u64);

impl Request {
    pub(crate) fn get(self) -> Option<Milli> {
        self.0.checked_sub(1).map(Milli)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl Moment {
    pub(crate) fn get(self) -> Option<SystemTime> {
        let since = self.0.checked_sub(1)?;
        UNIX_EPOCH.checked_add(Duration::from_nanos(since))
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl From<Option<Milli>> for Request {
    fn from(request: Option<Milli>) -> Self {
        Self(request.map_or(0, |request| request.0.saturating_add(1)))
    }
}

impl From<Option<SystemTime>> for Moment {
    fn from(at: Option<SystemTime>) -> Self {
        let nanos = |at: SystemTime| {
            let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
        };
        Self(at.map_or(0, nanos))
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        super::lenient(from).map(Self::from)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        crate::timestamp::serde::option::serialize(&self.get(), to)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        crate::timestamp::serde::option::deserialize(from).map(Self::from)
    }
}
