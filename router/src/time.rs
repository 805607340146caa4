//! Times as text, and arithmetic that cannot overflow.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// RFC 3339 in UTC, with as many digits after the second as it needs. A time that the calendar cannot hold is clamped.
pub(crate) fn to_rfc3339(at: SystemTime) -> String {
    let clamped = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(at).unwrap_or(clamped).to_string()
}

/// Longer than anybody waits: ten thousand years.
const EVER: Duration = Duration::from_secs(10_000 * 365 * 86_400);

/// `at + by`. "Never", written as an endless duration, stays far ahead: were it cut to `at`, it would be due at once.
pub(crate) fn after(at: SystemTime, by: Duration) -> SystemTime {
    at.checked_add(by.min(EVER)).unwrap_or(at)
}

/// How long ago `then` was; zero when the clock went backwards.
pub(crate) fn since(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
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
