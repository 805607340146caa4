//! A line of a log: every parser takes any bytes, and an extractor finds what the parser finds. And the
//! path of a log, whose labels are parts of it.
#![no_main]

use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime};

use birl_logsource::{Delimited, Extractor, KeyValue, Parser, Value, kubernetes_labels};
use libfuzzer_sys::fuzz_target;

/// Paths that the formats have, and some that meet by chance.
const PATHS: [&str; 15] = [
    "a", "a.b", "b", "message", "structured_data", "structured_data.a", "structured_data.a.b",
    "status", "path", "severity", "procid", "client", "level", "ts", "a.a.a.a.a.a.a.a",
];

thread_local! {
    static PARSERS: RefCell<Vec<(Parser, Extractor)>> = RefCell::new(parsers().collect());
}

fn parsers() -> impl Iterator<Item = (Parser, Extractor)> {
    let semicolons = KeyValue::new().pairs_end_with(";").values_begin_with(": ").quotes("'\"");
    let columns = Delimited::new(["a", "b", "ts"]);
    let all = [
        Parser::raw(),
        Parser::json(),
        Parser::json().timestamp_field("ts"),
        Parser::logfmt(),
        Parser::key_value(semicolons).unwrap(),
        Parser::key_value(KeyValue::new().skip_bare_words()).unwrap(),
        Parser::from_name("ltsv").unwrap(),
        Parser::regex("^(?P<a>[^ ]*) (?P<b>.*?)(?P<ts>[^ ]*Z)?$").unwrap(),
        Parser::delimited(columns.clone()).unwrap(),
        Parser::delimited(columns.delimiter("::").quote(None).rest()).unwrap(),
        Parser::delimited(Delimited::new(["a", "", "b"]).blanks().missing("-")).unwrap(),
        Parser::logfmt().timestamp_fields(["a", "b"]),
        Parser::logfmt().timestamp_field("ts").timestamp_format("%b %e %H:%M:%S").unwrap(),
        Parser::syslog(),
        Parser::combined(),
        Parser::nginx(),
        Parser::apache(),
        Parser::auto(),
        Parser::auto().timestamp_field("ts"),
    ];
    all.into_iter().map(|parser| {
        let parser = parser.time_zone("+01:00").unwrap();
        let extractor = parser.extractor(&PATHS).with_timestamp();
        (parser, extractor)
    })
}

fuzz_target!(|line: &[u8]| {
    for (name, value) in kubernetes_labels(OsStr::from_bytes(line)).unwrap_or_default() {
        let is_part = line.windows(value.len().max(1)).any(|part| part == value.as_bytes());
        assert!(is_part && !value.contains('/'), "{name}: {value:?} of {}", line.escape_ascii());
    }
    let reference = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
    PARSERS.with_borrow_mut(|parsers| {
        for (parser, extractor) in parsers {
            let parsed = parser.parse_at(line, reference);
            let _ = serde_json::to_string(&parsed.fields).unwrap();
            let found = extractor.reference(reference).extract(line);
            // Of broken JSON, what comes before the break may be found.
            let is_object = line.trim_ascii_start().first() == Some(&b'{');
            if parsed.malformed.is_some() && is_object {
                continue;
            }
            assert!(parsed.malformed.is_some() || !found.is_malformed());
            assert_eq!(found.timestamp(), parsed.timestamp);
            for (path, value) in PATHS.iter().zip(found.iter()) {
                let value = value.map(|value| value.to_value());
                // A float that is no number is not equal to itself.
                let same = value.as_ref() == parsed.fields.get(path)
                    || matches!(value, Some(Value::Float(float)) if float.is_nan());
                assert!(same, "{path}: {value:?} is not {:?}", parsed.fields.get(path));
            }
        }
    });
});
