//! The bytes of an offset file: what is written, and what can be made of what is read.
//!
//! Version 2 is text, so that it can be looked at: a line with the format's name and version, then
//! one record a line, each with a checksum of the rest of its line, the length of its JSON, and the
//! JSON. The first record says how many follow that tell everything; what comes after those was
//! appended as it happened, and the last that is said of a key holds.
//!
//! ```text
//! birl-offsets 2
//! 0c2bd4a2 14 {"snapshot":1}
//! 9a7f1c33 30 {"key":"a","place":{"count":7}}
//! 51d80e7b 30 {"key":"a","place":{"count":9}}
//! ```

use std::collections::HashMap;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::Cursor;

const NAME: &str = "birl-offsets ";
const HEADER: &[u8] = b"birl-offsets 2\n";
const HEADER_1: &str = "birl-offsets 1";

/// What an offset file tells.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) places: HashMap<String, Cursor>,
    /// Whether everything is told that was known when the file was begun.
    pub(super) is_whole: bool,
    /// Why a part of it is not used, if it is not merely the end that was not written out.
    pub(super) damage: Option<String>,
}

/// Why nothing can be made of a file.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// It is of a later version.
    Version(u32),
    Broken(String),
}

/// Makes records. It keeps what it needs for that.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    json: Vec<u8>,
    line: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case", untagged)]
enum Record<'a> {
    Snapshot { snapshot: usize },
    Set { key: &'a str, place: &'a Cursor },
    Removed { removed: &'a str },
}

/// A record as it is read: exactly one of three, or none that is known.
#[derive(Deserialize)]
struct AnyRecord {
    #[serde(default)]
    snapshot: Option<u64>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    place: Option<Cursor>,
    #[serde(default)]
    removed: Option<String>,
}

enum Fact {
    Snapshot(u64),
    Set(String, Cursor),
    Removed(String),
}

impl Encoder {
    /// The beginning of a file: its header, and all that is known.
    pub(super) fn begin<'a>(
        &mut self,
        all: impl ExactSizeIterator<Item = (&'a str, &'a Cursor)>,
        into: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        into.extend_from_slice(HEADER);
        self.record(&Record::Snapshot { snapshot: all.len() }, into)?;
        all.map(|(key, place)| (key, Some(place))).try_for_each(|(k, p)| self.change(k, p, into))
    }

    /// One change: a key's new place, or that it has none any more.
    pub(super) fn change(
        &mut self,
        key: &str,
        place: Option<&Cursor>,
        into: &mut Vec<u8>,
    ) -> std::io::Result<()> {
        match place {
            Some(place) => self.record(&Record::Set { key, place }, into),
            None => self.record(&Record::Removed { removed: key }, into),
        }
    }

    fn record(&mut self, record: &Record<'_>, into: &mut Vec<u8>) -> std::io::Result<()> {
        self.json.clear();
        self.line.clear();
        serde_json::to_writer(&mut self.json, record)?;
        write!(self.line, "{} ", self.json.len())?;
        self.line.extend_from_slice(&self.json);
        write!(into, "{:08x} ", crc32fast::hash(&self.line))?;
        into.extend_from_slice(&self.line);
        into.push(b'\n');
        Ok(())
    }
}

/// Reads a file of any version that was ever written.
pub(super) fn decode(bytes: &[u8]) -> Result<Told, Refusal> {
    let version = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if let Some(records) = bytes.strip_prefix(HEADER) {
        return Ok(decode_records(records));
    }
    let version = String::from_utf8_lossy(version.get(..64).unwrap_or(version));
    if version == HEADER_1 {
        return decode_1(bytes).map_err(Refusal::Broken);
    }
    match version.strip_prefix(NAME).and_then(|number| number.parse().ok()) {
        Some(version @ 3..) => Err(Refusal::Version(version)),
        _ => Err(Refusal::Broken(format!(
            "it begins with `{}` where `birl-offsets 2` should be",
            version.escape_debug()
        ))),
    }
}

fn decode_records(bytes: &[u8]) -> Told {
    let mut told = Told::default();
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    // How many records are left of those that tell everything; none before it is known.
    let mut left = None;
    let mut at = HEADER.len();
    while let Some(line) = lines.next() {
        let is_first = left.is_none();
        let fact = match decode_record(line) {
            Ok(Fact::Snapshot(count)) if is_first => {
                left = Some(count);
                told.is_whole = count == 0;
                at += line.len();
                continue;
            }
            Ok(Fact::Snapshot(_)) => Err("a second beginning"),
            Ok(_) if is_first => Err("no beginning"),
            other => other,
        };
        match fact {
            Ok(Fact::Set(key, place)) => drop(told.places.insert(key, place)),
            Ok(Fact::Removed(key)) => drop(told.places.remove(&key)),
            Ok(Fact::Snapshot(_)) => {}
            Err(why) => {
                // The end of what was being appended when the power went is no damage. Where more
                // follows, or what was synced before anyone could rely on it is missing, it is.
                if !told.is_whole || lines.any(|line| decode_record(line).is_ok()) {
                    told.damage = Some(format!("at byte {at} there is {why}"));
                }
                return told;
            }
        }
        left = left.map(|left: u64| left.saturating_sub(1));
        told.is_whole = left == Some(0);
        at += line.len();
    }
    if !told.is_whole {
        told.damage = Some(format!("it ends at byte {at}, before everything is told"));
    }
    told
}

/// A line with its end. Lines do not overlap, so neither does the work of checking them.
fn decode_record(line: &[u8]) -> Result<Fact, &'static str> {
    const NO_RECORD: &str = "no whole record";
    let split = || {
        let (sum, rest) = line.strip_suffix(b"\n")?.split_at_checked(8)?;
        let rest = rest.strip_prefix(b" ")?;
        let (length, json) = rest.split_at_checked(rest.iter().position(|byte| *byte == b' ')?)?;
        Some((sum, rest, length, json.strip_prefix(b" ")?))
    };
    let (sum, rest, length, json) = split().ok_or(NO_RECORD)?;
    let number = |digits: &[u8], radix| {
        let digits = std::str::from_utf8(digits).ok()?;
        u32::from_str_radix(digits, radix).ok()
    };
    if number(length, 10).is_none_or(|length| length as usize != json.len()) {
        return Err(NO_RECORD);
    }
    if number(sum, 16) != Some(crc32fast::hash(rest)) {
        return Err("a record whose checksum is wrong");
    }
    match serde_json::from_slice(json) {
        Ok(AnyRecord { snapshot: Some(count), key: None, place: None, removed: None }) => {
            Ok(Fact::Snapshot(count))
        }
        Ok(AnyRecord { snapshot: None, key: Some(key), place: Some(place), removed: None }) => {
            Ok(Fact::Set(key, place))
        }
        Ok(AnyRecord { snapshot: None, key: None, place: None, removed: Some(key) }) => {
            Ok(Fact::Removed(key))
        }
        Ok(_) | Err(_) => Err("a record that this program does not know"),
    }
}

/// Version 1: the places as they are, a line of JSON each, and a checksum over all of it.
fn decode_1(bytes: &[u8]) -> Result<Told, String> {
    #[derive(Deserialize)]
    struct Line {
        key: String,
        #[serde(flatten)]
        place: Cursor,
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let sum_at = text.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
    let (body, sum) = text.split_at(sum_at);
    if sum != format!("crc32 {:08x}\n", crc32fast::hash(body.as_bytes())) {
        return Err("its checksum is wrong".to_owned());
    }
    let places = body.lines().skip(1).map(|line| {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        Ok((line.key, line.place))
    });
    let places = places.collect::<Result<_, String>>()?;
    Ok(Told { places, is_whole: true, damage: None })
}

/// Reads an offset file as it is, and with right checksums as one of version 1 and of version 2.
/// Gives whether what is written of each of them is the same again.
#[cfg(fuzzing)]
#[must_use]
pub fn reread_offsets(bytes: &[u8]) -> bool {
    let mut sealed_1 = [HEADER_1.as_bytes(), b"\n", bytes, b"\n"].concat();
    let sum = crc32fast::hash(&sealed_1);
    sealed_1.extend_from_slice(format!("crc32 {sum:08x}\n").as_bytes());
    let mut sealed_2 = HEADER.to_vec();
    for json in bytes.split(|byte| *byte == b'\n') {
        let line = [format!("{} ", json.len()).as_bytes(), json].concat();
        sealed_2.extend_from_slice(format!("{:08x} ", crc32fast::hash(&line)).as_bytes());
        sealed_2.extend_from_slice(&line);
        sealed_2.push(b'\n');
    }
    [bytes, &sealed_1, &sealed_2].into_iter().all(|bytes| {
        let Ok(told) = decode(bytes) else { return true };
        let mut again = Vec::new();
        let all = told.places.iter().map(|(key, place)| (key.as_str(), place));
        let encoded = Encoder::default().begin(all, &mut again);
        let whole = Told { places: told.places, is_whole: true, damage: None };
        encoded.is_ok() && decode(&again) == Ok(whole)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Change = (String, Option<u64>);

    fn at(n: u64) -> Cursor {
        Cursor(crate::cursor::Place::Count(n))
    }

    fn file(first: &HashMap<String, Cursor>, then: &[Change]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut encoder) = (Vec::new(), Encoder::default());
        encoder.begin(first.iter().map(|(k, p)| (k.as_str(), p)), &mut bytes).unwrap();
        let mut ends = vec![bytes.len()];
        for (key, place) in then {
            encoder.change(key, place.map(at).as_ref(), &mut bytes).unwrap();
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn applied(first: &HashMap<String, Cursor>, then: &[Change]) -> HashMap<String, Cursor> {
        let mut all = first.clone();
        for (key, place) in then {
            match place {
                Some(place) => drop(all.insert(key.clone(), at(*place))),
                None => drop(all.remove(key)),
            }
        }
        all
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let key = prop_oneof![Just("a".to_owned()), Just("b\n\"".to_owned()), ".{0,8}"];
        proptest::collection::vec((key, proptest::option::weighted(0.8, any::<u64>())), 0..12)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(first in changes(), then in changes()) {
            let first = applied(&HashMap::new(), &first);
            let told = decode(&file(&first, &then).0).unwrap();
            prop_assert_eq!(told.damage, None);
            prop_assert_eq!(told.places, applied(&first, &then));
        }

        #[test]
        fn cut_anywhere_the_whole_records_before_hold(first in changes(), then in changes()) {
            let first = applied(&HashMap::new(), &first);
            let (bytes, ends) = file(&first, &then);
            for len in 0..bytes.len() {
                let Ok(told) = decode(&bytes[..len]) else {
                    prop_assert!(len < HEADER.len());
                    continue;
                };
                let whole = ends.iter().filter(|end| **end <= len).count();
                // What was there before the first append is synced: that it is cut is damage.
                prop_assert_eq!(told.damage.is_none(), whole > 0);
                prop_assert_eq!(told.is_whole, whole > 0);
                if whole > 0 {
                    prop_assert_eq!(told.places, applied(&first, &then[..whole - 1]));
                }
            }
        }

        #[test]
        fn a_flipped_bit_costs_what_is_behind_it_and_is_told(
            first in changes(),
            then in changes(),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let first = applied(&HashMap::new(), &first);
            let (mut bytes, ends) = file(&first, &then);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let told = match decode(&bytes) {
                Ok(told) => told,
                Err(_) => {
                    prop_assert!(at < HEADER.len());
                    return Ok(());
                }
            };
            let before = ends.iter().filter(|end| **end <= at).count();
            if before > 0 {
                // Hexadecimal digits may be capitals.
                let same = told.places == applied(&first, &then);
                let cut = told.places == applied(&first, &then[..before - 1]);
                prop_assert!(same || cut);
                // Without its end, the last but one is one with the last.
                let is_last = before == then.len()
                    || (before + 1 == then.len() && at + 1 == ends[before]);
                prop_assert!(same || told.damage.is_some() || is_last);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let headed = [HEADER, &bytes].concat();
            prop_assert!(decode(&headed).is_ok());
            decode(&bytes).ok();
        }
    }

    #[test]
    fn what_other_versions_wrote() {
        let version = |text: &str| decode(text.as_bytes());
        assert_eq!(version("birl-offsets 7\nwhatever"), Err(Refusal::Version(7)));
        assert!(matches!(version(""), Err(Refusal::Broken(_))));
        assert!(matches!(version("birl-offsets 1\nrubbish"), Err(Refusal::Broken(_))));
        assert!(matches!(version("birl-offsets x\n"), Err(Refusal::Broken(_))));
    }

    /// What every release has written must be read for ever, and all of it: what a file is known by,
    /// too. So what is written of it again is compared, to the letter.
    #[test]
    fn the_files_of_every_version_are_read() {
        macro_rules! fixture {
            ($name:literal) => {
                include_bytes!(concat!("../../../tests/fixtures/", $name))
            };
        }
        let versions: [(&[u8], &[u8]); 3] = [
            (fixture!("offsets-1"), fixture!("offsets.txt")),
            (fixture!("offsets-2"), fixture!("offsets.txt")),
            // Of a program that followed, with births, tails, and a file that was let go of.
            (fixture!("offsets-2-files"), fixture!("offsets-2-files.txt")),
        ];
        for (bytes, expected) in versions {
            let told = decode(bytes).unwrap();
            assert!(told.is_whole && told.damage.is_none(), "{told:?}");
            let again = |place| serde_json::to_string(place).unwrap();
            let places = told.places.iter();
            let mut shown: Vec<_> =
                places.map(|(key, place)| format!("{key} = {}\n", again(place))).collect();
            shown.sort();
            assert_eq!(shown.concat(), str::from_utf8(expected).unwrap());
        }
    }
}
