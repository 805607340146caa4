//! What a route demands of the way to its receiver.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;

/// What a route demands of the endpoint's round trip: `1`, `2` or `3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[non_exhaustive]
pub enum SlaTier {
    /// 50 ms unless configured otherwise.
    One,
    /// 200 ms unless configured otherwise.
    Two,
    /// 1 s unless configured otherwise.
    Three,
}

/// The limits of the tiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SlaTiers {
    /// Default 50ms.
    #[serde(with = "duration")]
    pub tier1: Duration,
    /// Default 200ms.
    #[serde(with = "duration")]
    pub tier2: Duration,
    /// Default 1s.
    #[serde(with = "duration")]
    pub tier3: Duration,
}

impl SlaTier {
    /// 1, 2 or 3.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

impl TryFrom<u8> for SlaTier {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            _ => Err(format!("there is no SLA tier {number}: write 1, 2 or 3")),
        }
    }
}

impl From<SlaTier> for u8 {
    fn from(tier: SlaTier) -> Self {
        tier.number()
    }
}

impl SlaTiers {
    /// The limit of `tier`.
    pub fn budget(&self, tier: SlaTier) -> Duration {
        match tier {
            SlaTier::One => self.tier1,
            SlaTier::Two => self.tier2,
            SlaTier::Three => self.tier3,
        }
    }
}

impl Default for SlaTiers {
    fn default() -> Self {
        Self {
            tier1: Duration::from_millis(50),
            tier2: Duration::from_millis(200),
            tier3: Duration::from_secs(1),
        }
    }
}
