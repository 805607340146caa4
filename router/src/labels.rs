//! Labels: what an alert is known by.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sorted set of `name → value` pairs without empty values, shared when cloned.
///
/// A missing label and an empty one are the same thing, as in Alertmanager, so empty values are removed at the door. Of
/// two pairs with one name the later counts. Two equal sets are the same alert.
///
/// It is one piece of memory, whatever the number of labels: the text of all of them, and two or three bytes more for
/// each.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// The pairs of [`Labels`], from [`Labels::iter`].
///
/// Each text stands behind its length, which is written in base 64, the lowest digit first, every digit but the last
/// with bit 6 set: a length is ASCII, so that the whole stays a `str` and the parts can be cut out of it unchecked by
/// us and without `unsafe`.
#[derive(Debug, Clone)]
pub struct LabelPairs<'a> {
    rest: &'a str,
}

/// Alertmanager's name for an alert: FNV-1a, 64 bits, over the sorted labels. Prints as 16 hexadecimal digits.
///
/// A name to show and to send. Inside the router identity never rests on it alone: sixty-four bits of an unkeyed hash
/// can be made to collide on purpose, and an alert must not be able to hide behind another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Labels {
    /// The empty set.
    pub fn new() -> Self {
        Self(Arc::from(""))
    }

    /// The value of `name`; a missing label is the empty string.
    pub fn get(&self, name: &str) -> &str {
        // A handful of short names: a plain scan beats a binary search's unpredictable branches.
        let wanted = name.as_bytes();
        let found = self.places().find(|(name, _)| *name == wanted);
        found.map_or("", |(_, place)| self.text(place))
    }

    /// Is the label `name` there, which means: not empty?
    pub fn contains(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// The pairs, sorted by name.
    pub fn iter(&self) -> LabelPairs<'_> {
        LabelPairs { rest: &self.0 }
    }

    /// How many labels there are. Counts them.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// No label at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of all names and values together.
    pub fn size(&self) -> usize {
        self.iter().map(|(n, v)| n.len() + v.len()).sum()
    }

    /// Alertmanager's fingerprint of these labels. Computed on each call (about 160 ns for eight labels).
    pub fn fingerprint(&self) -> Fingerprint {
        let mut fnv = Fnv::default();
        for (name, value) in self.iter() {
            fnv.field(name).field(value);
        }
        Fingerprint(fnv.0)
    }

    /// The labels that `names` has; it need not be sorted.
    pub(crate) fn only(&self, names: &[impl AsRef<str>]) -> Self {
        self.iter().filter(|(n, _)| names.iter().any(|name| name.as_ref() == *n)).collect_sorted()
    }

    /// The pairs that both sets have.
    pub(crate) fn shared_with(&self, other: &Self) -> Self {
        if self == other {
            return self.clone();
        }
        self.iter().filter(|(n, v)| other.get(n) == *v).collect_sorted()
    }

    /// The names, each with the place of its value in the [`text`](Self::text) of the set.
    pub(crate) fn places(&self) -> LabelPlaces<'_> {
        LabelPlaces { all: self.0.as_bytes(), at: 0 }
    }

    /// What stands at a place of [`places`](Self::places).
    pub(crate) fn text(&self, place: Range<usize>) -> &str {
        self.0.get(place).unwrap_or_default()
    }

    /// The bytes of [`text`](Self::text).
    pub(crate) fn bytes(&self, place: Range<usize>) -> &[u8] {
        self.0.as_bytes().get(place).unwrap_or_default()
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }
}

/// From [`Labels::places`]: names and where their values are, as bytes, so that no cut is checked twice.
#[derive(Debug)]
pub(crate) struct LabelPlaces<'a> {
    all: &'a [u8],
    at: usize,
}

impl LabelPlaces<'_> {
    #[inline]
    fn place(&mut self) -> Option<Range<usize>> {
        let first = *self.all.get(self.at)?;
        let (mut length, mut shift) = (usize::from(first & (DIGIT - 1)), DIGIT_BITS);
        self.at += 1;
        let mut digit = first;
        while digit & DIGIT != 0 {
            digit = *self.all.get(self.at)?;
            length |= usize::from(digit & (DIGIT - 1)) << shift;
            (self.at, shift) = (self.at + 1, shift + DIGIT_BITS);
        }
        let start = self.at;
        self.at += length;
        Some(start..self.at)
    }
}

impl<'a> Iterator for LabelPlaces<'a> {
    type Item = (&'a [u8], Range<usize>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let name = self.place()?;
        Some((self.all.get(name)?, self.place()?))
    }
}

impl<'a> LabelPairs<'a> {
    fn text(&mut self) -> Option<&'a str> {
        let (mut length, mut shift, mut digits) = (0, 0, 0);
        for byte in self.rest.bytes() {
            length |= usize::from(byte & (DIGIT - 1)) << shift;
            (shift, digits) = (shift + DIGIT_BITS, digits + 1);
            if byte & DIGIT == 0 {
                break;
            }
        }
        if digits == 0 {
            return None;
        }
        let text = self.rest.get(digits..digits + length)?;
        self.rest = &self.rest[digits + length..];
        Some(text)
    }
}

impl<'a> Iterator for LabelPairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.text()?, self.text()?))
    }
}

/// Digits of a length have six bits, and this one says that another digit follows.
const DIGIT: u8 = 1 << DIGIT_BITS;
const DIGIT_BITS: u32 = 6;

fn push(out: &mut String, text: &str) {
    let mut length = text.len();
    loop {
        // The mask leaves six bits.
        let low = u8::try_from(length & usize::from(DIGIT - 1)).unwrap_or_default();
        length >>= DIGIT_BITS;
        if length == 0 {
            out.push(char::from(low));
            break;
        }
        out.push(char::from(low | DIGIT));
    }
    out.push_str(text);
}

/// Pairs that are sorted, of different names, and not empty.
trait CollectSorted {
    fn collect_sorted(self) -> Labels;
}

impl<'a, I: Iterator<Item = (&'a str, &'a str)> + Clone> CollectSorted for I {
    fn collect_sorted(self) -> Labels {
        // Room for all of it, with two digits for each length: nothing is moved while it is written.
        let size = self.clone().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut out = String::with_capacity(size);
        for (name, value) in self {
            push(&mut out, name);
            push(&mut out, value);
        }
        Labels(Arc::from(out))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelPairs<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By the first pair that differs, its name before its value.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    /// Collects, sorts, drops empty values. Of two pairs with one name the later counts.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let map: BTreeMap<String, String> =
            pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self::from(map)
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        let pairs = map.iter().filter(|(_, v)| !v.is_empty());
        pairs.map(|(n, v)| (n.as_str(), v.as_str())).collect_sorted()
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Labels {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

/// As Alertmanager writes a label set: `{alertname="HighLatency", service="api"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer).map(Self::from)
    }
}

impl Fingerprint {
    /// The sixty-four bits.
    pub fn to_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// FNV-1a over fields that each end in 0xff, a byte that no UTF-8 text contains.
#[derive(Debug)]
pub(crate) struct Fnv(pub(crate) u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn field(&mut self, text: &str) -> &mut Self {
        self.bytes(text.bytes().chain([0xff]))
    }

    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(number.to_le_bytes().into_iter())
    }

    fn bytes(&mut self, bytes: impl Iterator<Item = u8>) -> &mut Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What goes in comes out, sorted, whatever the text and its length.
        #[test]
        fn one_text_holds_what_a_map_holds(pairs in proptest::collection::vec((".{0,70}", ".{0,200}"), 0..12)) {
            let map: BTreeMap<String, String> = pairs.into_iter().collect();
            let labels = Labels::from(map.clone());
            let kept: Vec<(&str, &str)> =
                map.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (&**n, &**v)).collect();
            prop_assert_eq!(labels.iter().collect::<Vec<_>>(), kept.clone());
            prop_assert_eq!(labels.len(), kept.len());
            for (name, value) in map.iter() {
                prop_assert_eq!(labels.get(name), value.as_str());
            }
        }
    }

    #[test]
    fn a_value_of_megabytes_is_a_value() {
        let long = "ü".repeat(3 << 20);
        let labels = Labels::from([("a", long.as_str()), ("b", "1")]);
        assert_eq!((labels.get("a"), labels.get("b")), (long.as_str(), "1"));
    }

    #[test]
    fn sets_are_ordered_by_their_pairs() {
        let (short, long) = (Labels::from([("a", "b")]), Labels::from([("a", "aaaaaaaaaa")]));
        assert!(long < short, "by text, not by length");
        assert!(Labels::new() < short);
    }

    #[test]
    fn sets_are_cut() {
        let labels = Labels::from([("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(labels.only(&["c", "a", "x"]), Labels::from([("a", "1"), ("c", "3")]));
        let other = Labels::from([("a", "1"), ("b", "3"), ("d", "3")]);
        assert_eq!(labels.shared_with(&other), Labels::from([("a", "1")]));
    }
}
