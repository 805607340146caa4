//! Reading only what somebody asks for.

use std::fmt;
use std::time::SystemTime;

use super::finder::Finder;
use super::paths::{MAX_DOTS, Paths};
use super::pattern::Groups;
use super::slots::{Line, Slots};
use super::{Format, Parser, ValueRef, json};

/// Reads some fields of each line, and steps over the rest: what a consumer that knows its fields
/// uses in place of [`Parser::parse`], at a multiple of the speed.
///
/// What it finds is what [`Parser::parse`] finds under the same dotted path, borrowed from the
/// line. Reading ends with the last field that was asked for: whether the line is well-formed
/// after that is not looked at, nor is what is inside a value that nobody asked for. It belongs to
/// one thread; clone it for another.
///
/// Once its memory has grown to the lines at hand, it allocates nothing, but for what must be made
/// first: text that is not UTF-8, syslog's `structured_data` or an element of it as a whole, and
/// all of the line if a path of more than six dots is asked for.
///
/// ```
/// use birl_logsource::{Parser, ValueRef};
///
/// let mut extractor = Parser::json().extractor(&["status", "user.id"]);
/// let found = extractor.extract(br#"{"status":503,"user":{"id":"u7","name":"Eve"},"took":0.2}"#);
/// assert_eq!(found.get(0), Some(ValueRef::Int(503)));
/// assert_eq!(found.get(1), Some(ValueRef::Str("u7")));
/// ```
#[derive(Debug, Clone)]
pub struct Extractor {
    parser: Parser,
    /// One path a slot: the asked ones, then those that a time may stand at.
    paths: Vec<Box<str>>,
    /// The slot of each asked path: one that is asked for twice is read once.
    asked: Vec<u16>,
    /// The slots that a time may stand at, best first, if it is asked for.
    times: Vec<u16>,
    /// How many of the slots reading waits for.
    needed: usize,
    slots: Slots,
    plan: Plan,
    reference: Option<SystemTime>,
    joined: String,
}

/// How the asked paths are found.
#[derive(Debug, Clone)]
enum Plan {
    /// By name.
    Names(Paths),
    /// By the groups of a pattern.
    Groups(Groups),
    /// By column.
    Columns(Vec<Option<u16>>),
    /// All of the line is parsed, and then the asked fields are looked up.
    Whole,
}

impl Extractor {
    pub(super) fn new(parser: Parser, paths: &[&str]) -> Self {
        let mut extractor = Self {
            parser,
            paths: Vec::new(),
            asked: Vec::new(),
            times: Vec::new(),
            needed: 0,
            slots: Slots::new(0),
            plan: Plan::Whole,
            reference: None,
            joined: String::new(),
        };
        extractor.asked = paths.iter().map(|path| extractor.slot(path)).collect();
        extractor.plan();
        extractor
    }

    /// Also reads the line's own time: [`Extracted::timestamp`].
    #[must_use]
    pub fn with_timestamp(mut self) -> Self {
        let times = self.parser.times.clone();
        self.times = times.paths().map(|path| self.slot(path)).collect();
        self.plan();
        self
    }

    /// When about the lines were written or read, from here on: the year of a time stamp that has
    /// none is told by it. [`EntryRef::extract`](crate::EntryRef::extract) sets it.
    pub fn reference(&mut self, reference: SystemTime) -> &mut Self {
        self.reference = Some(reference);
        self
    }

    /// Reads one line, without its line end.
    #[must_use]
    pub fn extract<'a>(&'a mut self, line: &'a [u8]) -> Extracted<'a> {
        let line = Line::new(line);
        let mut malformed = self.read(line, self.needed);
        let mut timestamp = None;
        if !self.times.is_empty() && !matches!(self.parser.format, Format::Raw) {
            timestamp = self.time(line);
            if timestamp.is_none() && self.slots.done() {
                // The best place held no time: another one may, further on.
                malformed = self.read(line, usize::MAX);
                timestamp = self.time(line);
            }
            if timestamp.is_none() && self.parser.is_text(line.bytes) {
                timestamp = self.parser.times.leading(line.bytes, self.reference);
            }
            malformed |= timestamp.is_none() && self.parser.times.is_named();
        }
        Extracted { line, slots: &self.slots, asked: &self.asked, timestamp, malformed }
    }

    /// The slot of a path.
    fn slot(&mut self, path: &str) -> u16 {
        let known = self.paths.iter().position(|known| **known == *path);
        let slot = known.unwrap_or_else(|| {
            self.paths.push(path.into());
            self.paths.len() - 1
        });
        slot as u16
    }

    fn plan(&mut self) {
        self.slots = Slots::new(self.paths.len());
        let times = if self.parser.times.is_named() { self.times.len() } else { 1 };
        let needed = self.asked.iter().chain(self.times.iter().take(times)).max();
        self.needed = needed.map_or(0, |slot| usize::from(*slot) + 1);
        let deep = self.paths.iter().any(|path| path.matches('.').count() > MAX_DOTS);
        self.plan = match &self.parser.format {
            Format::Regex(regex) => Plan::Groups(Groups::new(regex, &self.paths)),
            Format::Delimited(columns) => Plan::Columns(columns.plan(&self.paths)),
            _ if deep => Plan::Whole,
            _ => Plan::Names(Paths::new(self.paths.iter().map(|path| &**path))),
        };
    }

    /// Fills the slots; whether the line is malformed.
    fn read(&mut self, line: Line<'_>, needed: usize) -> bool {
        let Self { parser, slots, paths, .. } = self;
        slots.clear(needed);
        let well = match (&mut self.plan, &parser.format) {
            (_, Format::Raw) => true,
            (Plan::Groups(groups), _) => groups.extract(line, slots),
            (Plan::Columns(plan), Format::Delimited(columns)) => {
                let wrong = columns.columns(line.bytes, |column, value| {
                    if let Some(slot) = plan[column] {
                        slots.fill(line, (slot, 0), value);
                    }
                    slots.done()
                });
                return wrong.is_some();
            }
            (Plan::Names(paths), _) if parser.is_json(line.bytes) => {
                line.text.is_some_and(|text| json::extract(text, paths, slots))
            }
            (Plan::Names(paths), format) => {
                paths.begin();
                return format.read(line.bytes, &mut Finder { line, paths, slots }).is_some();
            }
            (Plan::Columns(_) | Plan::Whole, _) => {
                let (fields, malformed) = parser.fields(line.bytes);
                for (slot, path) in (0..).zip(&*paths) {
                    if let Some(value) = fields.get(path) {
                        slots.tree((slot, 0), value);
                    }
                }
                return malformed.is_some();
            }
        };
        if !well {
            slots.clear(needed);
        }
        !well
    }

    fn time(&mut self, line: Line<'_>) -> Option<SystemTime> {
        let Self { parser, slots, times, joined, reference, .. } = self;
        let values = times.iter().map(|slot| slots.get(line, usize::from(*slot)));
        parser.times.find(values, joined, *reference)
    }
}

/// What was found in one line.
#[derive(Clone, Copy)]
pub struct Extracted<'a> {
    line: Line<'a>,
    slots: &'a Slots,
    asked: &'a [u16],
    timestamp: Option<SystemTime>,
    malformed: bool,
}

impl<'a> Extracted<'a> {
    /// The value of the asked field of this index; none if the line has no such field.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<ValueRef<'a>> {
        self.slots.get(self.line, usize::from(*self.asked.get(index)?))
    }

    /// The values of all asked fields, in the order in which they were asked for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<ValueRef<'a>>> {
        let Self { line, slots, asked, .. } = *self;
        asked.iter().map(move |slot| slots.get(line, usize::from(*slot)))
    }

    /// When the line itself says that it happened, if that was asked for.
    #[must_use]
    pub fn timestamp(&self) -> Option<SystemTime> {
        self.timestamp
    }

    /// Whether the line, as far as it was read, is not what the parser was told to expect.
    /// [`Parser::parse`] says why.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }
}

impl fmt::Debug for Extracted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{Delimited, KeyValue, Value};

    /// What the eager parser finds is what the extractor finds, whatever is asked for.
    fn agrees(parser: &Parser, paths: &[&str], line: &[u8]) {
        let reference = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
        let parsed = parser.parse_at(line, reference);
        let broken = parsed.malformed.is_some();
        // Two lines, so that the second meets what the first has left.
        for (mut extractor, asked_time) in
            [(parser.extractor(paths), false), (parser.extractor(paths).with_timestamp(), true)]
        {
            for _ in 0..2 {
                let found = extractor.reference(reference).extract(line);
                // Of broken JSON, what comes before the break may be found.
                if broken && parser.is_json(line) {
                    return;
                }
                let text = String::from_utf8_lossy(line);
                for (index, path) in paths.iter().enumerate() {
                    let value = found.get(index).map(ValueRef::to_value);
                    assert_eq!(value.as_ref(), parsed.fields.get(path), "{path} in {text:?}");
                }
                assert!(broken || !found.is_malformed(), "{text:?}");
                if asked_time {
                    assert_eq!(found.timestamp(), parsed.timestamp, "{text:?}");
                }
            }
        }
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => prop::sample::select(vec!["a", "b", "a.b", "b.a", "c", "ts", "time", "é", "\"\n"])
                .prop_map(str::to_owned),
            1 => "[a-c.]{0,4}",
        ]
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("1e400".to_owned()),
            Just("-0".to_owned()),
            Just("1795420800".to_owned()),
            Just(r#""2026-11-23T08:00:00Z""#.to_owned()),
            Just(r#""\u00e9\ud83d\ude00\/""#.to_owned()),
            Just(r#""\ud83d""#.to_owned()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<u64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| serde_json::to_string(&n).unwrap()),
            "\\PC{0,20}[\n\"\\\\]?".prop_map(|s| serde_json::to_string(&s).unwrap()),
        ];
        let inner = leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" , "))),
                object(inner),
            ]
        });
        object(inner)
    }

    /// Names repeat and are sometimes written with escapes.
    fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let member = (name(), any::<bool>(), value).prop_map(|(name, escape, value)| {
            let name = if escape && name.starts_with('a') {
                format!("\"\\u0061{}\"", &name[1..])
            } else {
                serde_json::to_string(&name).unwrap()
            };
            format!("{name} :{value}")
        });
        prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn json_is_read_as_serde_reads_it(
            line in json(),
            paths in prop::collection::vec(
                prop_oneof![name(), "(a|b)\\.(a|b|c)(\\.(a|b))?"], 0..5,
            ),
            cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
            byte in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut line = line.into_bytes();
            if let Some((at, byte)) = byte {
                let at = at.index(line.len());
                line[at] = byte;
            }
            if let Some(cut) = cut {
                line.truncate(cut.index(line.len()));
            }
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            agrees(&Parser::json(), &paths, &line);
            // With nothing found early, all of the line is read, and judged as serde does: but for
            // what is wrong with a value that nobody wants.
            let mut all = Parser::json().extractor(&["nowhere"]);
            let parsed = Parser::json().parse(&line);
            if parsed.malformed.is_none() {
                prop_assert!(!all.extract(&line).is_malformed());
            } else if serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_err() {
                prop_assert!(all.extract(&line).is_malformed());
            }
        }

        #[test]
        fn a_pattern_finds_what_its_groups_hold(
            line in "[a-z0-9é]{0,5} [-0-9.]{0,20} .{0,9}",
            broken in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        ) {
            let mut line = line.into_bytes();
            if let Some(at) = broken {
                let at = at.index(line.len());
                line[at] = 0xff;
            }
            let pattern = r"^(?P<word>\S*) (?P<n>[-0-9.]*)(?-u: (?P<b>.)(?P<c>.))?(?P<rest>.*)$";
            let parser = Parser::regex(pattern).unwrap();
            agrees(&parser, &["n", "rest", "word", "b", "nowhere", "n", "c"], &line);
        }

        #[test]
        fn every_format_is_read_lazily_as_it_is_eagerly(
            parts in prop::collection::vec(prop_oneof![
                4 => prop::sample::select(PARTS.to_vec()).prop_map(|part| part.as_bytes().to_vec()),
                1 => prop::collection::vec(any::<u8>(), 0..6),
                1 => "[a-z0-9=: ,;\"\\\\\\[\\]<>.-]{0,12}".prop_map(String::into_bytes),
            ], 0..14),
            paths in prop::collection::vec(prop::sample::select(PATHS.to_vec()), 0..5),
        ) {
            let line = parts.concat();
            for parser in every_parser() {
                agrees(&parser, &paths, &line);
            }
        }
    }

    /// The nearest float, whether a value is read from its line or, as below so many dots, from
    /// what was made of it.
    #[test]
    fn a_float_is_read_exactly_on_every_way() {
        let line = br#"{"a":[1503e71,2.2250738585072014e-308],"b":0.30000000000000004}"#;
        for paths in [&["a", "b"][..], &["a", "b", "a.a.a.a.a.a.a.a"]] {
            agrees(&Parser::json(), paths, line);
            let mut extractor = Parser::json().extractor(paths);
            let found = extractor.extract(line);
            let floats = [1503e71, f64::MIN_POSITIVE].map(Value::Float).to_vec();
            assert_eq!(found.get(0).map(ValueRef::to_value), Some(Value::List(floats)));
            assert_eq!(found.get(1), Some(ValueRef::Float(0.1 + 0.2)));
        }
    }

    /// What the formats are made of, so that random lines get deep into each.
    const PARTS: [&str; 44] = [
        " ",
        " ",
        " ",
        "\t",
        ",",
        ";",
        "\"",
        "-",
        "- ",
        "=",
        ":",
        "a=1",
        "b=\"x\\\"y\"",
        "a.b=2.5",
        "flag",
        "<34>",
        "<191>1 ",
        "<999>",
        "Nov 23 08:00:00 ",
        "2026-11-23T08:00:00.25Z ",
        "host ",
        "app[7]: ",
        "app: ",
        "[id@1 a=\"1\" b=\"x\\]y\"]",
        "[a.b c=\"2\"]",
        " - ID1 ",
        "10.0.0.1 - eve ",
        "[23/Nov/2026:08:00:00 +0000] ",
        "\"GET /a?b=1 HTTP/1.1\" ",
        "200 ",
        "512 ",
        "\"-\" ",
        "\"curl/8\"",
        "2026/11/23 08:00:00 [error] 3#4: *5 ",
        ", client: 10.0.0.1, request: \"GET / HTTP/1.1\"",
        "[Mon Nov 23 08:00:00 2026] ",
        "[core:error] ",
        "[pid 3:tid 4] ",
        "[client 10.0.0.1] ",
        "AH00035: ",
        "{\"a\":{\"b\":1},",
        "\"time\":\"2026-11-23\"}",
        "é",
        "}",
    ];

    const PATHS: [&str; 30] = [
        "a",
        "b",
        "a.b",
        "flag",
        "facility",
        "severity",
        "timestamp",
        "hostname",
        "appname",
        "procid",
        "msgid",
        "message",
        "structured_data",
        "structured_data.id@1",
        "structured_data.id@1.a",
        "structured_data.a.b",
        "structured_data.a.b.c",
        "client",
        "user",
        "method",
        "path",
        "query",
        "status",
        "size",
        "agent",
        "request",
        "level",
        "pid",
        "one",
        "a.b.c.d.e.f.g.h.i",
    ];

    fn every_parser() -> Vec<Parser> {
        let semicolons = KeyValue::new().pairs_end_with(";").values_begin_with(": ").quotes("'\"");
        let spaced = Delimited::new(["one", "a", "", "b"]).blanks().missing("-").rest();
        let pattern = r"^(?P<a>\S+) (?P<b>.*?)(?P<time>\S+Z)?$";
        let all = [
            Parser::raw(),
            Parser::json(),
            Parser::logfmt(),
            Parser::key_value(semicolons).unwrap(),
            Parser::regex(pattern).unwrap(),
            Parser::delimited(Delimited::new(["a", "b", "time"])).unwrap(),
            Parser::delimited(spaced).unwrap(),
            Parser::delimited(Delimited::new(["a", "one"]).delimiter(" - ").quote(None)).unwrap(),
            Parser::syslog(),
            Parser::combined(),
            Parser::nginx(),
            Parser::apache(),
            Parser::auto(),
        ];
        let all = all.into_iter().flat_map(|parser| {
            [
                parser.clone(),
                parser.clone().timestamp_field("a"),
                parser.timestamp_fields(["b", "a"]),
            ]
        });
        all.map(|parser| parser.time_zone("+01:00").unwrap()).collect()
    }
}
