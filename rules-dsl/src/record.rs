//! The input port: what a rule can be asked about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::value::Value;

/// Anything a rule can look a field up in.
///
/// Implement it for your own event type and no conversion stands between the two. A look-up must be
/// pure: the same path gives the same value for as long as the record is borrowed, because each
/// field that a rule set mentions is looked up at most once per record.
pub trait Record {
    /// The value at `path`, or `None` when the record has no such field.
    ///
    /// A field that is present and null is `Some(Value::Null)`: missing and null differ.
    fn get(&self, path: &FieldPath) -> Option<Value<'_>>;

    /// Calls `found` with the slot and the value of every field of the record that is one of
    /// `fields`: what [`get`](Self::get) says of them. Of two values for one slot the first counts.
    ///
    /// Asked where a rule set mentions many more fields than a record has. Without an implementation
    /// of its own, every one of them is looked up.
    fn visit<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        for (slot, path) in fields.paths().iter().enumerate() {
            if let Some(value) = self.get(path) {
                found(slot, value);
            }
        }
    }

    /// Whether a [`get`](Self::get) costs as much as a whole [`visit`](Self::visit), as it does where a
    /// text is read through to find anything. All fields are looked up at once then.
    fn is_read_through(&self) -> bool {
        false
    }

    /// The original line, for the explanation of a firing and for the pseudo-field `line` (used
    /// when [`get`](Self::get) finds no field of that name).
    fn line(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// A dotted path such as `http.status`, parsed once when the rules are compiled.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FieldPath {
    text: Arc<str>,
    segments: Arc<[Box<str>]>,
    slot: Option<u32>,
}

impl FieldPath {
    /// Splits `text` at its dots. Names that hold dots or other signs stand in backticks:
    /// ``labels.`app.kubernetes.io/name` ``.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut segment = String::new();
        let mut quoted = false;
        for c in text.chars() {
            match c {
                '`' => quoted = !quoted,
                '.' if !quoted => segments.push(std::mem::take(&mut segment).into_boxed_str()),
                c => segment.push(c),
            }
        }
        segments.push(segment.into_boxed_str());
        Self { text: segments.join(".").into(), segments: segments.into(), slot: None }
    }

    pub(crate) fn with_slot(mut self, slot: u32) -> Self {
        self.slot = Some(slot);
        self
    }

    /// The whole path, without backticks.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The names between the dots, at least one.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &str> {
        self.segments.iter().map(|segment| &**segment)
    }

    /// Where the path stands in [`RuleSet::fields`](crate::RuleSet::fields), for records that keep
    /// their values in that order; `None` for a path made by [`new`](Self::new).
    #[must_use]
    pub fn slot(&self) -> Option<usize> {
        self.slot.map(|slot| slot as usize)
    }

    /// Walks nested maps by `step`, and tries the whole path as one key where that leads nowhere.
    ///
    /// Shared by the implementations so that `{"a.b": 1}` and `{"a": {"b": 1}}` both answer `a.b`.
    pub fn walk<'v, V: ?Sized>(
        &self,
        root: &'v V,
        step: impl Fn(&'v V, &str) -> Option<&'v V>,
    ) -> Option<&'v V> {
        if self.segments.len() == 1 {
            return step(root, &self.text);
        }
        let nested = self.segments.iter().try_fold(root, |node, segment| step(node, segment));
        nested.or_else(|| step(root, &self.text))
    }
}

// What is in these tables is from rule files. Whoever chooses the names and values of records only looks
// up, so a quick hash is enough.

/// The fields that a rule set mentions, as a tree of their names: a record walks down it with its own
/// names, and finds the slots of those that matter.
#[derive(Debug, Clone, Default)]
pub struct FieldSet {
    paths: Vec<FieldPath>,
    nodes: Vec<Names>,
    /// Paths of several names, as one.
    whole: FxHashMap<Arc<str>, Vec<u32>>,
    /// By what stands before the first dot.
    heads: FxHashMap<Box<str>, Vec<u32>>,
}

/// So few names are compared faster than they are hashed.
const FEW_NAMES: usize = 8;

#[derive(Debug, Clone, Default)]
struct Names {
    slot: Option<u32>,
    below: FxHashMap<Box<str>, u32>,
    /// The same, where there are few.
    few: Vec<(Box<str>, u32)>,
}

/// A place in the tree of a [`FieldSet`].
#[derive(Debug, Clone, Copy)]
pub struct FieldNames<'f> {
    set: &'f FieldSet,
    at: u32,
}

impl FieldSet {
    pub(crate) fn new(paths: Vec<FieldPath>) -> Self {
        let mut nodes = vec![Names::default()];
        let mut whole: FxHashMap<Arc<str>, Vec<u32>> = FxHashMap::default();
        let mut heads: FxHashMap<Box<str>, Vec<u32>> = FxHashMap::default();
        for (slot, path) in paths.iter().enumerate() {
            heads.entry(head(path.as_str()).into()).or_default().push(slot as u32);
            let mut at = 0;
            for segment in path.segments() {
                let next = nodes.len() as u32;
                let names: &mut Names = &mut nodes[at as usize];
                at = *names.below.entry(segment.into()).or_insert(next);
                if at == next {
                    nodes.push(Names::default());
                }
            }
            nodes[at as usize].slot = Some(slot as u32);
            if path.segments.len() > 1 {
                whole.entry(path.text()).or_default().push(slot as u32);
            }
        }
        for node in nodes.iter_mut().filter(|node| node.below.len() <= FEW_NAMES) {
            node.few = node.below.iter().map(|(name, at)| (name.clone(), *at)).collect();
        }
        Self { paths, nodes, whole, heads }
    }

    /// The paths, by their slots.
    #[must_use]
    pub fn paths(&self) -> &[FieldPath] {
        &self.paths
    }

    /// The beginning of all names.
    #[must_use]
    pub fn root(&self) -> FieldNames<'_> {
        FieldNames { set: self, at: 0 }
    }

    /// The slots of paths that begin as a name does, up to the first dot of both: all those that a record
    /// can have for having something of that name, however it splits paths.
    pub fn beginning(&self, name: &str) -> impl Iterator<Item = usize> {
        self.heads.get(head(name)).into_iter().flatten().map(|slot| *slot as usize)
    }

    /// Whether any path has several names.
    #[cfg(feature = "json")]
    pub(crate) fn has_whole(&self) -> bool {
        !self.whole.is_empty()
    }

    /// The slots of paths of several names, such as `http.status`, that are written so as a whole.
    pub fn whole(&self, path: &str) -> impl Iterator<Item = usize> {
        self.whole.get(path).into_iter().flatten().map(|slot| *slot as usize)
    }
}

/// What stands before the first dot.
fn head(name: &str) -> &str {
    name.split_once('.').map_or(name, |(head, _)| head)
}

impl<'f> FieldNames<'f> {
    /// Goes on with a name; `None` if no field begins so.
    #[must_use]
    #[inline]
    pub fn below(self, name: &str) -> Option<Self> {
        let node = &self.set.nodes[self.at as usize];
        let at = if node.few.is_empty() {
            *node.below.get(name)?
        } else {
            node.few.iter().find(|(known, _)| **known == *name)?.1
        };
        Some(Self { at, ..self })
    }

    /// The slot of the field that ends here.
    #[must_use]
    pub fn slot(self) -> Option<usize> {
        self.set.nodes[self.at as usize].slot.map(|slot| slot as usize)
    }

    /// Whether longer paths go on from here.
    #[must_use]
    pub fn has_more(self) -> bool {
        !self.set.nodes[self.at as usize].below.is_empty()
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPath({})", self.text)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<R: Record + ?Sized> Record for &R {
    fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
        (**self).get(path)
    }

    fn visit<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        (**self).visit(fields, found);
    }

    fn is_read_through(&self) -> bool {
        (**self).is_read_through()
    }

    fn line(&self) -> Option<Cow<'_, str>> {
        (**self).line()
    }
}

impl<R: Record + ?Sized> Record for Box<R> {
    fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
        (**self).get(path)
    }

    fn visit<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        (**self).visit(fields, found);
    }

    fn is_read_through(&self) -> bool {
        (**self).is_read_through()
    }

    fn line(&self) -> Option<Cow<'_, str>> {
        (**self).line()
    }
}

impl<R: Record + ?Sized> Record for Arc<R> {
    fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
        (**self).get(path)
    }

    fn visit<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        (**self).visit(fields, found);
    }

    fn is_read_through(&self) -> bool {
        (**self).is_read_through()
    }

    fn line(&self) -> Option<Cow<'_, str>> {
        (**self).line()
    }
}

/// A flat record of texts: the whole path is the key, and every value is a string.
impl Record for BTreeMap<String, String> {
    fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
        Self::get(self, path.as_str()).map(|text| Value::text(text))
    }

    fn visit<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        for (name, text) in self {
            let slot = fields.root().below(name).and_then(FieldNames::slot);
            slot.into_iter()
                .chain(fields.whole(name))
                .for_each(|slot| found(slot, Value::text(text)));
        }
    }
}

/// A JSON object; a path walks nested objects.
#[cfg(feature = "json")]
impl Record for serde_json::Value {
    fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
        path.walk(self, |node, key| node.as_object()?.get(key)).map(json_value)
    }

    fn visit<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        let Some(object) = self.as_object() else { return };
        visit_object(object, fields.root(), found);
        // A path that leads somewhere goes before a name with dots in it.
        for (name, value) in object.iter().filter(|(name, _)| name.contains('.')) {
            fields.whole(name).for_each(|slot| found(slot, json_value(value)));
        }
    }
}

/// No deeper than the longest path.
#[cfg(feature = "json")]
fn visit_object<'r>(
    object: &'r serde_json::Map<String, serde_json::Value>,
    names: FieldNames<'_>,
    found: &mut dyn FnMut(usize, Value<'r>),
) {
    for (name, value) in object {
        let Some(names) = names.below(name) else { continue };
        if let Some(slot) = names.slot() {
            found(slot, json_value(value));
        }
        if let (true, serde_json::Value::Object(object)) = (names.has_more(), value) {
            visit_object(object, names, found);
        }
    }
}

#[cfg(feature = "json")]
fn json_value(value: &serde_json::Value) -> Value<'_> {
    match value {
        serde_json::Value::Array(items) => Value::List(
            items
                .iter()
                .map(|item| match item {
                    serde_json::Value::Array(_) => Value::Opaque,
                    item => json_scalar(item),
                })
                .collect(),
        ),
        scalar => json_scalar(scalar),
    }
}

#[cfg(feature = "json")]
fn json_scalar(value: &serde_json::Value) -> Value<'_> {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::UInt(uint),
            (None, None) => number.as_f64().map_or(Value::Opaque, Value::Float),
        },
        serde_json::Value::String(text) => Value::text(text),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => Value::Opaque,
    }
}
