//! Silences: what somebody has asked not to hear of, and until when.

mod id;
mod limits;
mod shelf;
mod store;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

pub use self::limits::SilenceLimits;
pub use self::store::{
    SilenceChange, SilenceEdit, SilenceScratch, SilenceSet, SilenceSlot, Silences,
};
pub use self::wire::{SilenceStatus, SilenceView};
use crate::error::{Error, ErrorKind};
use crate::{Labels, Matchers};

/// Alerts with certain labels are not told of for a time.
///
/// Reads from and writes to the JSON of Alertmanager's API v2 (`matchers` as objects with `name`, `value`, `isRegex`,
/// `isEqual`; `startsAt`, `endsAt`, `createdBy`, `comment`, `annotations`). A matcher may be a text as well
/// (`"env=\"prod\""`). birl's own keys: `matcherSets` when there is more than one set, `untilResolved`, `revision`.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use birl_router::{Labels, Silence, SilenceLimits, SilenceScratch, Silences};
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let silence: Silence = serde_json::from_str(r#"{
///     "matchers": [{ "name": "host", "value": "web-.*", "isRegex": true }],
///     "endsAt": "2027-01-15T09:00:00Z",
///     "createdBy": "ann", "comment": "kernel update"
/// }"#)?;
/// let mut silences = Silences::new(SilenceLimits::default(), 1);
/// let set = silences.set(silence, now)?;
///
/// let mut scratch = SilenceScratch::default();
/// let labels = Labels::from([("alertname", "DiskFull"), ("host", "web-7")]);
/// assert_eq!(silences.matching(&labels, now, &mut scratch), [set.slot]);
/// // The end itself is outside: 09:00 is 3600 seconds ahead.
/// let end = now + Duration::from_secs(3600);
/// assert!(silences.matching(&labels, end, &mut scratch).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Silence {
    /// Its name, shaped like a UUID. Empty in one that is new: [`Silences::set`] makes it.
    pub id: String,
    /// It hits an alert for which all matchers of at least one of these sets hold.
    pub matchers: Vec<Matchers>,
    /// The first moment at which it is active. A time that has passed stands for "now", and the Unix epoch for "not
    /// given".
    pub starts_at: SystemTime,
    /// The first moment at which it is over. `None`: until resolved, which means until no alert that it hits is firing
    /// any more.
    pub ends_at: Option<SystemTime>,
    /// Who asked for it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// What else is known of it; means nothing here.
    pub annotations: BTreeMap<String, String>,
    /// When it was last changed. [`Silences`] writes it.
    pub updated_at: SystemTime,
    /// Grows with every change, over all silences of one store. In one that is handed to [`Silences::set`] it is the
    /// revision that the author has seen: when it is not the current one, somebody else was faster. Zero: whatever it is.
    pub revision: u64,
}

/// Where a silence is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SilenceState {
    /// It has not begun.
    Pending,
    /// It mutes.
    Active,
    /// It is over, and does not come back.
    Expired,
}

impl Silence {
    /// A silence of what `matchers` match, from now on. `None` for the end: until resolved.
    pub fn new(matchers: Matchers, ends_at: Option<SystemTime>) -> Self {
        Self {
            id: String::new(),
            matchers: vec![matchers],
            starts_at: SystemTime::UNIX_EPOCH,
            ends_at,
            created_by: String::new(),
            comment: String::new(),
            annotations: BTreeMap::new(),
            updated_at: SystemTime::UNIX_EPOCH,
            revision: 0,
        }
    }

    /// It begins later.
    #[must_use]
    pub fn starting_at(mut self, at: SystemTime) -> Self {
        self.starts_at = at;
        self
    }

    /// It also hits what these match.
    #[must_use]
    pub fn or(mut self, matchers: Matchers) -> Self {
        self.matchers.push(matchers);
        self
    }

    /// Does it hit an alert with these labels, while it is active?
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().any(|set| set.matches(labels))
    }

    /// Of `alerts`, those that it would hit: what its author sees before it is made.
    pub fn preview<'a, T>(
        &'a self,
        alerts: impl IntoIterator<Item = (T, &'a Labels)>,
    ) -> impl Iterator<Item = T> {
        alerts.into_iter().filter(|(_, labels)| self.matches(labels)).map(|(alert, _)| alert)
    }

    /// Its state by its times alone: active in `[starts_at, ends_at)`.
    pub fn state_at(&self, now: SystemTime) -> SilenceState {
        if self.ends_at.is_some_and(|end| end <= now) {
            SilenceState::Expired
        } else if self.starts_at <= now {
            SilenceState::Active
        } else {
            SilenceState::Pending
        }
    }

    /// The bytes of all its texts together.
    pub fn size(&self) -> usize {
        let matchers = self.matchers.iter().flat_map(Matchers::iter);
        let matchers: usize = matchers.map(|m| m.name().len() + m.value().len()).sum();
        let annotations: usize = self.annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
        self.id.len() + self.created_by.len() + self.comment.len() + matchers + annotations
    }

    /// Can it be kept?
    fn check(&self, limits: &SilenceLimits) -> Result<(), Error> {
        if self.matchers.is_empty() {
            return Err(invalid("silence.matchers", "are missing: say what it hits"));
        }
        for (i, set) in self.matchers.iter().enumerate() {
            // One that holds for no labels at all holds for whatever has not these labels.
            if set.matches(&Labels::new()) {
                return Err(invalid(
                    self.place_of(i),
                    format_args!(
                        "{set} holds for an alert without any label, and so for nearly all: add a matcher that needs a \
                         label, such as alertname=\"…\" or team=~\".+\""
                    ),
                ));
            }
        }
        let matchers: usize = self.matchers.iter().map(Matchers::len).sum();
        for (what, there_are, limit, name) in [
            ("matchers", matchers, limits.max_matchers, "max_matchers"),
            ("bytes", self.size(), limits.max_silence_bytes, "max_silence_bytes"),
        ] {
            if there_are > limit {
                return Err(Error::new(
                    ErrorKind::LimitReached,
                    "silence",
                    format_args!(
                        "has {there_are} {what}, and {limit} are the most: split it, or raise the limit {name}"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn place_of(&self, set: usize) -> String {
        if self.matchers.len() == 1 {
            "silence.matchers".to_owned()
        } else {
            format!("silence.matcherSets[{set}]")
        }
    }
}

impl SilenceState {
    /// As Alertmanager writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for SilenceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn invalid(place: impl fmt::Display, message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidSilence, place, message)
}
