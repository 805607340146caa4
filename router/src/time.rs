//! Times as text, and arithmetic that cannot overflow.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// RFC 3339 in UTC, with as many digits after the second as it needs. A time that the calendar cannot hold is clamped.
pub(crate) fn to_rfc3339(at: SystemTime) -> String {
    let clamped = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(at).unwrap_or(clamped).to_string()
}

/// How long ago `then` was; zero when the clock went backwards.
pub(crate) fn since(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}

/// A time in eight bytes, for what is remembered of every alert: nanoseconds since 1970, good for 1678 to 2262. What lies
/// outside is clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Stamp(i64);

impl Stamp {
    /// Later than everything; no time that comes.
    pub(crate) const NEVER: Self = Self(i64::MAX);
    /// Before everything.
    pub(crate) const LONG_AGO: Self = Self(i64::MIN);

    pub(crate) fn of(at: SystemTime) -> Self {
        let nanoseconds = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX - 1);
        match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self(nanoseconds(after)),
            Err(before) => Self(-nanoseconds(before.duration())),
        }
    }

    pub(crate) fn from_ms(ms: u64) -> Self {
        Self(i64::try_from(ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX - 1))
    }

    /// The whole milliseconds since 1970; zero before it.
    pub(crate) fn floor_ms(self) -> u64 {
        u64::try_from(self.0).unwrap_or_default() / 1_000_000
    }

    /// The same, rounded up.
    pub(crate) fn ceil_ms(self) -> u64 {
        u64::try_from(self.0).unwrap_or_default().div_ceil(1_000_000)
    }

    /// Some time later; never [`NEVER`](Self::NEVER), unless it is that already.
    pub(crate) fn plus(self, by: Duration) -> Self {
        if self == Self::NEVER {
            return self;
        }
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(by).min(i64::MAX - 1))
    }

    pub(crate) fn minus(self, by: Duration) -> Self {
        if self == Self::NEVER {
            return self;
        }
        Self(self.0.saturating_sub(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let between = self.0.saturating_sub(earlier.0);
        Duration::from_nanos(u64::try_from(between).unwrap_or_default())
    }

    pub(crate) fn to_system_time(self) -> SystemTime {
        let distance = Duration::from_nanos(self.0.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        let at = if self.0 < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
        at.unwrap_or(epoch)
    }

    /// `None` for [`NEVER`](Self::NEVER).
    pub(crate) fn known(self) -> Option<Self> {
        (self != Self::NEVER).then_some(self)
    }
}

/// For `#[serde(with = "time::rfc3339")]`.
pub(crate) mod rfc3339 {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &SystemTime, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::to_rfc3339(*at))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(d)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(at.into())
    }

    /// The same, for a time that may be left out.
    pub(crate) mod option {
        use super::{Deserialize, Deserializer, Serializer, SystemTime};

        pub(crate) fn serialize<S: Serializer>(
            at: &Option<SystemTime>,
            s: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, s),
                None => s.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            d: D,
        ) -> Result<Option<SystemTime>, D::Error> {
            let Some(text) = Option::<String>::deserialize(d)? else { return Ok(None) };
            let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
            Ok(Some(at.into()))
        }
    }
}
