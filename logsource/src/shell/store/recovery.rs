//! What there is to go on from: the offset file, or what is beside it if that is broken.

use std::io;

use super::format::{self, Refusal, Told};

/// The files that an offset file is, by what their names end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// The offset file itself.
    Main,
    /// The next one, while it is written.
    New,
    /// The one before, for the day that the disk has lost the newest.
    Old,
    /// One that could not be read whole, for whoever wants to know why.
    Broken,
    /// Locked by who writes.
    Lock,
    /// Made and removed at once, to find out whether that is possible.
    Probe,
}

impl Name {
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::New => ".new",
            Self::Old => ".old",
            Self::Broken => ".broken",
            Self::Lock => ".lock",
            Self::Probe => ".probe",
        }
    }
}

/// What was found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) told: Told,
    /// Writing was cut off just before the new file got its name: it holds, and must get it.
    pub(super) in_new: bool,
}

/// Why there is nothing to go on from.
#[derive(Debug)]
pub(super) enum Trouble {
    Unreadable(io::Error),
    /// A later program wrote it.
    Version(Name, u32),
    Broken(String),
}

/// Reads what there is. That there is nothing is no trouble: then nothing was ever acknowledged.
pub(super) fn find(
    mut read: impl FnMut(Name) -> io::Result<Option<Vec<u8>>>,
) -> Result<Found, Trouble> {
    let Some(bytes) = read(Name::Main).map_err(Trouble::Unreadable)? else {
        // If it is whole, only syncing and renaming it was left to do.
        let new = read(Name::New).ok().flatten().and_then(|bytes| format::decode(&bytes).ok());
        return Ok(match new.filter(|told| told.is_whole && told.damage.is_none()) {
            Some(told) => Found { told, in_new: true },
            None => Found::default(),
        });
    };
    let (mut told, damage) = match format::decode(&bytes) {
        Ok(told) if told.is_whole => return Ok(Found { told, in_new: false }),
        Ok(Told { places, damage, .. }) => {
            (Told { places, ..Told::default() }, damage.unwrap_or_default())
        }
        Err(Refusal::Version(version)) => return Err(Trouble::Version(Name::Main, version)),
        Err(Refusal::Broken(why)) => (Told::default(), why),
    };
    // What is missing was no different, or a little less far, in the file before.
    match read(Name::Old).ok().flatten().map(|bytes| format::decode(&bytes)) {
        Some(Ok(old)) => {
            for (key, place) in old.places {
                told.places.entry(key).or_insert(place);
            }
        }
        Some(Err(Refusal::Version(version))) => return Err(Trouble::Version(Name::Old, version)),
        Some(Err(Refusal::Broken(_))) | None if told.places.is_empty() => {
            return Err(Trouble::Broken(damage));
        }
        Some(Err(Refusal::Broken(_))) | None => {}
    }
    told.damage = Some(damage);
    Ok(Found { told, in_new: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cursor;
    use crate::shell::store::format::Encoder;

    fn file(places: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let places: Vec<_> = places.iter().map(|(k, p)| (*k, Cursor::from_text(*p))).collect();
        let all = places.iter().map(|(key, place)| (*key, place));
        Encoder::default().begin(all, &mut bytes).unwrap();
        bytes
    }

    fn found(main: Option<&[u8]>, new: Option<&[u8]>, old: Option<&[u8]>) -> String {
        let read = |name| {
            let bytes = match name {
                Name::Main => main,
                Name::New => new,
                _ => old,
            };
            Ok(bytes.map(<[u8]>::to_vec))
        };
        match find(read) {
            Err(Trouble::Broken(_)) => "broken".to_owned(),
            Err(trouble) => format!("{trouble:?}"),
            Ok(Found { told, in_new }) => {
                let mut places: Vec<String> =
                    told.places.iter().map(|(key, place)| format!("{key}{place}")).collect();
                places.sort();
                let notes = [(in_new, " in new"), (told.damage.is_some(), " damaged")];
                let notes = notes.iter().filter(|(is, _)| *is).map(|(_, note)| *note);
                places.join(",") + &notes.collect::<String>()
            }
        }
    }

    #[test]
    fn the_best_of_what_is_there_is_used() {
        let (newest, before) = (file(&[("a", "2"), ("b", "2")]), file(&[("a", "1"), ("b", "1")]));
        let half = &newest[..newest.len() - 3];
        assert_eq!(found(None, None, None), "");
        // Whoever deletes an offset file wants to begin anew.
        assert_eq!(found(None, None, Some(&before)), "");
        assert_eq!(found(Some(&newest), None, Some(&before)), "a2,b2");
        assert_eq!(found(Some(&before), Some(&newest), None), "a1,b1");
        assert_eq!(found(None, Some(&newest), Some(&before)), "a2,b2 in new");
        assert_eq!(found(None, Some(half), None), "");
        assert_eq!(found(Some(half), None, Some(&before)), "a2,b1 damaged");
        assert_eq!(found(Some(half), None, None), "a2 damaged");
        assert_eq!(found(Some(b"rubbish"), None, Some(&before)), "a1,b1 damaged");
        assert_eq!(found(Some(b"rubbish"), None, Some(b"")), "broken");
        assert_eq!(found(Some(b""), None, None), "broken");
        assert_eq!(found(Some(b"birl-offsets 9\n"), None, None), "Version(Main, 9)");
        assert_eq!(found(Some(b""), None, Some(b"birl-offsets 9\n")), "Version(Old, 9)");
    }
}
