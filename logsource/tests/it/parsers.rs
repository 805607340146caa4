//! What lines become.

use std::time::{Duration, SystemTime};

use birl_logsource::{Fields, Parser, Value};

fn fields(json: &str) -> Fields {
    serde_json::from_str(json).unwrap()
}

#[test]
fn each_format_gives_typed_fields() {
    let regex = r"^(?P<ip>\S+) (?P<status>\d+) (?P<took>[\d.]+) (?P<zip>\d+)";
    let regex = Parser::regex(regex).unwrap();
    let cases = [
        (Parser::raw(), "a=1 {", "{}"),
        (Parser::json(), r#"{"a":{"b":[1,null,true]}}"#, r#"{"a":{"b":[1,null,true]}}"#),
        (
            Parser::json(),
            r#"{"big":18446744073709551615,"f":0.5}"#,
            r#"{"big":18446744073709551615,"f":0.5}"#,
        ),
        (
            Parser::logfmt(),
            r#"a=1 b="x y" c=-2.5 d=1e5 flag e="#,
            r#"{"a":1,"b":"x y","c":-2.5,"d":"1e5","flag":true,"e":""}"#,
        ),
        (
            regex,
            "10.0.0.1 500 0.25 00501 rest",
            r#"{"ip":"10.0.0.1","status":500,"took":0.25,"zip":"00501"}"#,
        ),
        (Parser::auto(), r#"  {"a":1}"#, r#"{"a":1}"#),
        (Parser::auto(), "user logged in id=5 from=10.0.0.1", r#"{"id":5,"from":"10.0.0.1"}"#),
        (Parser::auto(), "GET /search?q=1 HTTP/1.1", "{}"),
    ];
    for (parser, line, expected) in cases {
        let parsed = parser.parse(line.as_bytes());
        assert_eq!(parsed.fields, fields(expected), "{line}");
        assert_eq!(parsed.malformed, None, "{line}");
    }
}

#[test]
fn a_line_that_does_not_fit_is_malformed_and_still_a_line() {
    let cases = [
        (Parser::json(), "not json", "not a JSON object"),
        (Parser::json(), "[1]", "not a JSON object"),
        (Parser::auto(), r#"{"a":"#, "not a JSON object"),
        (Parser::logfmt(), r#"a="open"#, "never closed"),
        (Parser::regex("^(?P<n>x)").unwrap(), "y", "does not match"),
        (Parser::json().timestamp_field("at.t"), r#"{"at":{"t":"noon"}}"#, "`at.t`"),
    ];
    for (parser, line, expected) in cases {
        let malformed = parser.parse(line.as_bytes()).malformed.unwrap();
        assert!(malformed.contains(expected), "{line}: {malformed}");
    }
    assert!(Parser::json().parse(b"{\"a\":\"\xff\"}").malformed.is_some());
    assert!(Parser::json().parse("[".repeat(100_000).as_bytes()).malformed.is_some());
}

#[test]
fn the_time_of_a_line_is_its_own() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_420_800_250);
    let named = Parser::json().timestamp_field("at.t");
    let cases = [
        (Parser::json(), r#"{"timestamp":"2026-11-23T08:00:00.25Z"}"#),
        (Parser::json(), r#"{"ts":1795420800.25}"#),
        (Parser::auto(), r#"{"time":1795420800250}"#),
        (Parser::logfmt(), "ts=2026-11-23T09:00:00.25+01:00 a=1"),
        (Parser::auto(), "2026-11-23T08:00:00.25Z starting"),
        (named, r#"{"timestamp":"1999-01-01T00:00:00Z","at":{"t":1795420800250000000}}"#),
    ];
    for (parser, line) in cases {
        assert_eq!(parser.parse(line.as_bytes()).timestamp, Some(time), "{line}");
    }
    assert_eq!(Parser::raw().parse(b"2026-11-23T08:00:00Z").timestamp, None);
}

#[test]
fn dotted_paths_find_nested_and_dotted_names() {
    let fields = fields(r#"{"a":{"b":{"c":1},"x.y":2},"a.b":3,"l":[4]}"#);
    assert_eq!(fields.get("a.b.c"), Some(&Value::Int(1)));
    assert_eq!(fields.get("a.x.y"), Some(&Value::Int(2)));
    assert_eq!(fields.get("a.b"), Some(&Value::Int(3)));
    for missing in ["", ".", "a.", "a..b", "l.0", "b"] {
        assert_eq!(fields.get(missing), None, "{missing}");
    }
}

#[test]
fn a_wrong_parser_says_what_would_be_right() {
    let error = Parser::from_name("jsn").unwrap_err();
    assert!(error.to_string().contains("raw, json, logfmt and auto"), "{error}");
    let error = Parser::regex(r"\d+").unwrap_err();
    assert!(error.to_string().contains("(?P<field>"), "{error}");
    assert!(Parser::regex("(?P<a>x{1000}{1000})").is_err());
}
