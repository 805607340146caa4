//! Durations as people write them: `250ms`, `15s`, `1h30m`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same, for what need not be there.
pub(super) mod optional {
    use super::{Deserializer, Duration};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }
}

/// The same, by keys.
pub(super) mod each {
    use super::{BTreeMap, Deserialize, Deserializer, Duration, Error};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>, K: Deserialize<'de> + Ord>(
        deserializer: D,
    ) -> Result<BTreeMap<K, Duration>, D::Error> {
        let texts = BTreeMap::<K, String>::deserialize(deserializer)?;
        let parsed = texts.into_iter().map(|(key, text)| Ok((key, super::parse(&text)?)));
        parsed.collect::<Result<_, String>>().map_err(D::Error::custom)
    }
}

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it like `250ms`, `15s` or `1h30m`");
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}
