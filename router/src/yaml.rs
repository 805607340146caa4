//! YAML, and JSON, with the place of every mistake.
//!
//! [`AlertmanagerFile`](crate::AlertmanagerFile) reads by this. So can a host whose own file has a route tree inside, and
//! then the whole file has errors with line and column.
//!
//! A key that is there twice is refused, and so is one that `T` does not know if it says `deny_unknown_fields`. A plain
//! word is the text that it is written as where a text is expected: `08:00` is no number. A setting that is nothing
//! (`key:`) counts as left out.
//!
//! ```
//! use birl_router::{RouteConfig, yaml};
//!
//! #[derive(Debug, serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Mine {
//!     route: RouteConfig,
//! }
//!
//! let error = yaml::from_str::<Mine>("route:\n  reciever: team\n").unwrap_err();
//! assert_eq!(error.position().unwrap().to_string(), "line 2, column 3");
//! assert_eq!(error.to_string(), "route (line 2, column 3): unknown key `reciever`: did you mean `receiver`?");
//! ```

mod node;
mod reader;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::error::{Error, ErrorKind, Position, nearest};
pub(crate) use node::{Fault, Kind, Node};
pub(crate) use reader::parse;

/// What [`Spanned`] calls itself while it is read.
const SPANNED: &str = "$birl_router::yaml::Spanned";

/// Reads one document.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] with the place, the [`position`](Error::position) and the remedy.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    parse(text).and_then(|root| T::deserialize(&root)).map_err(|fault| fault.into_error(&[]))
}

/// A value, and where in the text it begins. Can be read by [`from_str`] alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it begins.
    pub position: Position,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Spanned<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value with its position")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
                let (mut line, mut column) = (0, 0);
                let mut value = None;
                while let Some(key) = parts.next_key::<&str>()? {
                    match key {
                        "line" => line = parts.next_value()?,
                        "column" => column = parts.next_value()?,
                        "value" => value = Some(parts.next_value()?),
                        _ => {
                            parts.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let value = value.ok_or_else(|| serde::de::Error::missing_field("value"))?;
                Ok(Spanned { value, position: Position { line, column } })
            }
        }
        let parts = Parts(std::marker::PhantomData);
        deserializer.deserialize_struct(SPANNED, &["line", "column", "value"], parts)
    }
}

impl Fault {
    /// As the crate's error; `also` could stand where a key is unknown, besides what the type knows.
    pub(crate) fn into_error(self, also: &[&str]) -> Error {
        let place = self.place();
        let mut message = self.message().to_owned();
        if let Some((field, expected)) = self.unknown() {
            message.push_str(": ");
            message
                .push_str(&suggestion(field, expected.iter().copied().chain(also.iter().copied())));
        }
        let place = if place.is_empty() { "the file".to_owned() } else { place };
        let error = Error::new(ErrorKind::InvalidConfig, place, message);
        match self.position() {
            Some(at) => error.at(at),
            None => error,
        }
    }
}

/// "did you mean" for a near miss, else what could stand there.
pub(crate) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    known.sort_unstable();
    match known.as_slice() {
        [] => "there can be none here".to_owned(),
        known => format!("here can be {}", known.join(", ")),
    }
}
