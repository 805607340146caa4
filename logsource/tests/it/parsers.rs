//! What lines become.

use std::time::{Duration, SystemTime};

use birl_logsource::{Delimited, Fields, KeyValue, Parsed, Parser, Value, ValueRef};

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
        (
            Parser::json(),
            r#"{"a":"x\ud83d y","b":1e400,"c":[-1e999,"\udc00\ud83d\ude00"],"\ud83d":1,"e":"1e400"}"#,
            "{\"a\":\"x\u{fffd} y\",\"b\":\"1e400\",\"c\":[\"-1e999\",\"\u{fffd}\u{1f600}\"],\
             \"\u{fffd}\":1,\"e\":\"1e400\"}",
        ),
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
    for broken in [r#"{"a":"\ud83d","b":01}"#, r#"{"a":1e400"#, r#"{"a":"\ud83d"#, "{\"a\":1e400,}"]
    {
        assert!(Parser::json().parse(broken.as_bytes()).malformed.is_some(), "{broken}");
    }
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
    assert!(error.to_string().contains("did you mean `json`? The parsers are auto"), "{error}");
    let error = Parser::from_name("frobnicate").unwrap_err();
    assert!(!error.to_string().contains("did you mean"), "{error}");
    for name in ["auto", "raw", "json", "logfmt", "ltsv", "syslog", "combined", "nginx", "apache"] {
        assert!(Parser::from_name(name).is_ok() && error.to_string().contains(name), "{name}");
    }
    let error = Parser::regex(r"\d+").unwrap_err();
    assert!(error.to_string().contains("(?P<field>"), "{error}");
    assert!(Parser::regex("(?P<a>x{1000}{1000})").is_err());
}

#[test]
fn an_extractor_reads_what_is_asked_for_and_nothing_else() {
    let mut json = Parser::json().extractor(&["user.id", "tags", "gone", "text"]).with_timestamp();
    let line = br#"{"time":1795420800,"user":{"id":7},"tags":["a","b"],"text":"a\tb"}"#;
    let found = json.extract(line);
    let expected = [
        Some(ValueRef::Int(7)),
        Some(ValueRef::Json(r#"["a","b"]"#)),
        None,
        Some(ValueRef::Str("a\tb")),
    ];
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    assert_eq!(
        found.timestamp(),
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800))
    );
    assert!(!found.is_malformed());
    // Nothing of one line is left in the next.
    let found = json.extract(b"{}");
    assert!(found.iter().all(|value| value.is_none()) && found.timestamp().is_none());
    assert!(json.extract(b"{\"text\":1").is_malformed());
    assert!(json.extract(b"{\"text\":\"\xff\"}").is_malformed());

    let pattern = r"^(?P<ip>\S+) (?P<status>\d+) (?P<rest>(?-u:.*))";
    let mut regex = Parser::regex(pattern).unwrap().extractor(&["status", "rest"]);
    let found = regex.extract(b"10.0.0.1 503 caf\xc3\xa9 \xff");
    assert_eq!(found.get(0), Some(ValueRef::Int(503)));
    assert_eq!(found.get(1), Some(ValueRef::Str("caf\u{e9} \u{fffd}")));
    assert!(regex.extract(b"-").is_malformed());
}

#[test]
fn of_a_name_that_repeats_the_first_counts() {
    let line = br#"{"a":{"b":1},"a":{"b":2,"c":3},"d":4,"d":5}"#;
    assert_eq!(Parser::json().parse(line).fields, fields(r#"{"a":{"b":1},"d":4}"#));
    let mut extractor = Parser::json().extractor(&["a.b", "a.c", "d"]);
    let found = extractor.extract(line);
    assert_eq!((found.get(0), found.get(1)), (Some(ValueRef::Int(1)), None));
    assert_eq!(found.get(2), Some(ValueRef::Int(4)));
}

#[test]
fn columns_are_named_by_their_position() {
    let comma = || Delimited::new(["a", "b", "", "c"]);
    let cases = [
        (comma(), "1,x y,skipped,true", r#"{"a":1,"b":"x y","c":true}"#),
        (comma(), r#""1","say ""hi"", twice",,-"#, r#"{"a":"1","b":"say \"hi\", twice","c":"-"}"#),
        (comma().missing("-"), r#"-,"-",-,"#, r#"{"b":"-","c":""}"#),
        (comma().quote(None), "\"1,2\",3,4", r#"{"a":"\"1","b":"2\"","c":4}"#),
        (comma().quote(b'\''), "'1,2',3,4,5", r#"{"a":"1,2","b":3,"c":5}"#),
        (comma().delimiter(" | "), "1 | 2 | 3 | 4", r#"{"a":1,"b":2,"c":4}"#),
        (comma().delimiter("\t").rest(), "1\t2\t3\t4\t\"5", r#"{"a":1,"b":2,"c":"4\t\"5"}"#),
        (comma().blanks().rest(), "  1 2\t 3  4 5 ", r#"{"a":1,"b":2,"c":"4 5 "}"#),
        (comma().blanks(), "1 2 3 4  ", r#"{"a":1,"b":2,"c":4}"#),
    ];
    for (settings, line, expected) in cases {
        let parsed = Parser::delimited(settings).unwrap().parse(line.as_bytes());
        assert_eq!(parsed.fields, fields(expected), "{line}");
        assert_eq!(parsed.malformed, None, "{line}");
    }
    let malformed = [
        (comma(), "1,2", r#"{"a":1,"b":2}"#, "fewer columns"),
        (comma(), "1,2,3,4,5", r#"{"a":1,"b":2,"c":4}"#, "more columns"),
        (comma(), "1,\"open,3,4", r#"{"a":1,"b":"open,3,4"}"#, "never closed"),
        (comma(), "\"1\"x,2,3,4", r#"{"a":"1","b":2,"c":4}"#, "follows a closing quote"),
    ];
    for (settings, line, expected, why) in malformed {
        let parsed = Parser::delimited(settings).unwrap().parse(line.as_bytes());
        assert_eq!(parsed.fields, fields(expected), "{line}");
        assert!(parsed.malformed.as_ref().unwrap().contains(why), "{line}: {parsed:?}");
    }
    for wrong in [comma().delimiter(""), Delimited::new(["", ""]), Delimited::new(["a", "a"])] {
        assert!(Parser::delimited(wrong).is_err());
    }
}

#[test]
fn keys_and_values_take_the_separators_that_are_set() {
    let semicolons = || KeyValue::new().pairs_end_with(";").values_begin_with(":");
    let cases = [
        (semicolons(), "a: 1; b : x y ;c", r#"{"a":1,"b":"x y","c":true}"#),
        (semicolons(), r#"a:"1;2" ; b:'3"#, r#"{"a":"1;2","b":"'3"}"#),
        (semicolons().quotes("'"), "a:'1;\\'2';b:\"3", r#"{"a":"1;'2","b":"\"3"}"#),
        (semicolons().skip_bare_words(), "prose; a:1", r#"{"a":1}"#),
        (KeyValue::new().values_begin_with("=>"), "a=>1 b=2", r#"{"a":1,"b=2":true}"#),
        (KeyValue::new().pairs_end_with(", "), "a=b=c, d=", r#"{"a":"b=c","d":""}"#),
        (KeyValue::new(), r#"a="\u00e9\x41\n\"" a=2"#, r#"{"a":"éA\n\""}"#),
    ];
    for (settings, line, expected) in cases {
        let parsed = Parser::key_value(settings).unwrap().parse(line.as_bytes());
        assert_eq!(parsed.fields, fields(expected), "{line}");
        assert_eq!(parsed.malformed, None, "{line}");
    }
    for wrong in [semicolons().pairs_end_with(""), KeyValue::new().values_begin_with(" ")] {
        assert!(Parser::key_value(wrong).is_err());
    }
}

#[test]
fn syslog_is_read_as_it_is_met() {
    let cases = [
        (
            "<34>Nov 23 08:00:00 web1 su[42]: 'su root' failed",
            r#"{"facility":"auth","severity":"critical","timestamp":"Nov 23 08:00:00",
                "hostname":"web1","appname":"su","procid":42,"message":"'su root' failed"}"#,
        ),
        (
            "Nov 23 08:00:00 web1 sshd(pam_unix)[7]: bad: password",
            r#"{"timestamp":"Nov 23 08:00:00","hostname":"web1","appname":"sshd(pam_unix)",
                "procid":7,"message":"bad: password"}"#,
        ),
        (
            "<13>Nov 23 08:00:00 backup: done",
            r#"{"facility":"user","severity":"notice","timestamp":"Nov 23 08:00:00",
                "appname":"backup","message":"done"}"#,
        ),
        (
            "2026-11-23T09:00:00+01:00 web1 systemd[1]: Started x.",
            r#"{"timestamp":"2026-11-23T09:00:00+01:00","hostname":"web1","appname":"systemd",
                "procid":1,"message":"Started x."}"#,
        ),
        (
            "Nov 23 2026 08:00:00: fw %ASA-6-302016: Teardown",
            r#"{"timestamp":"Nov 23 2026 08:00:00","hostname":"fw","appname":"%ASA-6-302016",
                "message":"Teardown"}"#,
        ),
        (
            "Nov 23 08:00:00 web1 last message repeated 2 times",
            r#"{"timestamp":"Nov 23 08:00:00","hostname":"web1",
                "message":"last message repeated 2 times"}"#,
        ),
        (
            "<5>cron[9]: no time",
            r#"{"facility":"kern","severity":"notice","appname":"cron","procid":9,
                "message":"no time"}"#,
        ),
        (
            "<165>1 2026-11-23T08:00:00.000Z web1 shop 8710 ID47 \
             [a@1 x=\"3\" y=\"q\\\"\\]\\n\"][b.c z=\"\"] \u{feff}paid",
            r#"{"facility":"local4","severity":"notice","version":1,
                "timestamp":"2026-11-23T08:00:00.000Z","hostname":"web1","appname":"shop",
                "procid":8710,"msgid":"ID47",
                "structured_data":{"a@1":{"x":"3","y":"q\"]\\n"},"b.c":{"z":""}},
                "message":"paid"}"#,
        ),
        ("<0>1 - - - - - -", r#"{"facility":"kern","severity":"emergency","version":1}"#),
        (
            "<13>12 monkeys escaped",
            r#"{"facility":"user","severity":"notice","message":"12 monkeys escaped"}"#,
        ),
        ("<13>1 apple fell", r#"{"facility":"user","severity":"notice","message":"1 apple fell"}"#),
        (
            "<13>Nov 23 08:00:00 2001:db8::1 sshd[7]: x",
            r#"{"facility":"user","severity":"notice","timestamp":"Nov 23 08:00:00",
                "hostname":"2001:db8::1","appname":"sshd","procid":7,"message":"x"}"#,
        ),
        (
            "Nov 23 08:00:00 8080 app: x",
            r#"{"timestamp":"Nov 23 08:00:00","hostname":8080,"appname":"app","message":"x"}"#,
        ),
        (
            "Nov 23 08:00:00 2026-web app: x",
            r#"{"timestamp":"Nov 23 08:00:00","hostname":"2026-web","appname":"app",
                "message":"x"}"#,
        ),
        (
            "Mon Nov 23 08:00:00 2026 web1 app: x",
            r#"{"timestamp":"Mon Nov 23 08:00:00 2026","hostname":"web1","appname":"app",
                "message":"x"}"#,
        ),
    ];
    let parser = Parser::syslog().time_zone("UTC").unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
    for (line, expected) in cases {
        let parsed = parser.parse_at(line.as_bytes(), time + Duration::from_secs(60));
        assert_eq!(parsed.fields, fields(expected), "{line}");
        assert_eq!(parsed.malformed, None, "{line}");
        let stamped = parsed.fields.get("timestamp").is_some();
        assert_eq!(parsed.timestamp, stamped.then_some(time), "{line}");
    }
    let malformed = [
        ("prose", "neither a priority nor a time stamp"),
        ("<192>x", "0 to 191"),
        ("<>x", "0 to 191"),
        ("<13>1 2026-11-23T08:00:00Z h a p i [open x=\"1\" m", "structured data"),
        ("<13>1 yesterday h a p i - m", "time stamp"),
    ];
    for (line, why) in malformed {
        let parsed = parser.parse(line.as_bytes());
        assert!(parsed.malformed.as_ref().unwrap().contains(why), "{line}: {parsed:?}");
    }
}

#[test]
fn access_logs_are_taken_apart() {
    let common = r#"10.0.0.1 - eve [23/Nov/2026:09:00:00 +0100] "GET /a?b=1&c HTTP/1.1" 200 512"#;
    let base = r#""client":"10.0.0.1","user":"eve","timestamp":"23/Nov/2026:09:00:00 +0100",
        "method":"GET","path":"/a","query":"b=1&c","protocol":"HTTP/1.1","status":200,"size":512"#;
    let combined = format!(r#"{common} "http://x/" "Mozilla/5.0 (\x22q\x22)""#);
    let agent = r#""referrer":"http://x/","agent":"Mozilla/5.0 (\"q\")""#;
    let cases = [
        (common.to_owned(), format!("{{{base}}}")),
        (combined.clone(), format!("{{{base},{agent}}}")),
        (
            format!(r#"{combined} "10.9.9.9" rt=0.02 x"#),
            format!(r#"{{{base},{agent},"forwarded_for":"10.9.9.9","extra":"rt=0.02 x"}}"#),
        ),
        (format!("shop:443 {common}"), format!(r#"{{"vhost":"shop:443",{base}}}"#)),
        (
            r#"::1 - - [23/Nov/2026:08:00:00 +0000] "\x16\x03" 400 - "-" "-""#.to_owned(),
            r#"{"client":"::1","timestamp":"23/Nov/2026:08:00:00 +0000",
                "request":"\u0016\u0003","status":400}"#
                .to_owned(),
        ),
        (
            r#"::1 - - [23/Nov/2026:08:00:00 +0000] "-" 408 0 "-" "-""#.to_owned(),
            r#"{"client":"::1","timestamp":"23/Nov/2026:08:00:00 +0000","status":408,"size":0}"#
                .to_owned(),
        ),
        (
            r#"h - - [23/Nov/2026:08:00:00 +0000] "GET /" 000 1"#.to_owned(),
            r#"{"client":"h","timestamp":"23/Nov/2026:08:00:00 +0000","method":"GET","path":"/",
                "status":0,"size":1}"#
                .to_owned(),
        ),
    ];
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
    for (line, expected) in &cases {
        for parser in [Parser::combined(), Parser::nginx(), Parser::apache(), Parser::auto()] {
            let parsed = parser.parse(line.as_bytes());
            assert_eq!(parsed.fields, fields(expected), "{line}");
            assert_eq!((parsed.malformed, parsed.timestamp), (None, Some(time)), "{line}");
        }
    }
    for line in ["", "x", r#"h - - [t] "GET / HTTP/1.1" abc 1"#, r#"h - - [t] "GET"#] {
        assert!(Parser::combined().parse(line.as_bytes()).malformed.is_some(), "{line}");
    }
}

#[test]
fn error_logs_of_web_servers_are_taken_apart() {
    let cases = [
        (
            Parser::nginx(),
            "2026/11/23 08:00:00 [error] 31#32: *7 open() \"/x\" failed (2: No such file), \
             client: 10.0.0.1, server: shop, request: \"GET /x HTTP/1.1\", host: \"shop:80\"",
            r#"{"timestamp":"2026/11/23 08:00:00","level":"error","pid":31,"tid":32,
                "connection":7,"message":"open() \"/x\" failed (2: No such file)",
                "client":"10.0.0.1","server":"shop","request":"GET /x HTTP/1.1",
                "host":"shop:80"}"#,
        ),
        (
            Parser::nginx(),
            "2026/11/23 08:00:00 [notice] 1#1: start worker process 30",
            r#"{"timestamp":"2026/11/23 08:00:00","level":"notice","pid":1,"tid":1,
                "message":"start worker process 30"}"#,
        ),
        (
            Parser::apache(),
            "[Mon Nov 23 08:00:00.000000 2026] [core:error] [pid 3:tid 4] [client 10.0.0.1:5] \
             AH00035: access denied",
            r#"{"timestamp":"Mon Nov 23 08:00:00.000000 2026","module":"core","level":"error",
                "pid":3,"tid":4,"client":"10.0.0.1:5","code":"AH00035",
                "message":"access denied"}"#,
        ),
        (
            Parser::apache(),
            "[::1] - - [23/Nov/2026:08:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
            r#"{"client":"[::1]","timestamp":"23/Nov/2026:08:00:00 +0000","method":"GET",
                "path":"/","protocol":"HTTP/1.1","status":200,"size":5}"#,
        ),
        (
            Parser::apache(),
            "[Mon Nov 23 08:00:00 2026] [notice] mod_jk [x] ok",
            r#"{"timestamp":"Mon Nov 23 08:00:00 2026","level":"notice",
                "message":"mod_jk [x] ok"}"#,
        ),
    ];
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
    for (parser, line, expected) in cases {
        let parsed = parser.time_zone("UTC").unwrap().parse(line.as_bytes());
        assert_eq!(parsed.fields, fields(expected), "{line}");
        assert_eq!((parsed.malformed, parsed.timestamp), (None, Some(time)), "{line}");
    }
    assert!(Parser::nginx().parse(b"2026/11/23 prose").malformed.is_some());
    assert!(Parser::apache().parse(b"[prose] [x] y").malformed.is_some());
}

#[test]
fn auto_tells_the_formats_apart() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
    let parser = Parser::auto().time_zone("UTC").unwrap();
    let cases = [
        (
            "Nov 23 08:00:00 web1 app[1]: login user=eve",
            r#"{"timestamp":"Nov 23 08:00:00","hostname":"web1","appname":"app","procid":1,
                "message":"login user=eve","user":"eve"}"#,
        ),
        ("2026-11-23 08:00:00,000 - INFO user=eve", r#"{"user":"eve"}"#),
        ("[2026-11-23 08:00:00] prose", "{}"),
        ("[Mon Nov 23 08:00:00 2026] [notice] prose", "{}"),
        ("1795420800 prose", "{}"),
    ];
    for (line, expected) in cases {
        let parsed = parser.parse_at(line.as_bytes(), time);
        assert_eq!(parsed.fields, fields(expected), "{line}");
        assert_eq!(parsed.malformed, None, "{line}");
        let stamped = !line.starts_with("179");
        assert_eq!(parsed.timestamp, stamped.then_some(time), "{line}");
    }
    // Neither month nor priority: prose.
    for line in ["March is a month", "<html>", "Nov was cold", "a - - [b] \"c\" 200"] {
        assert_eq!(parser.parse(line.as_bytes()), Parsed::default(), "{line}");
    }
}

#[test]
fn a_time_may_stand_in_several_fields_and_any_format() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_420_800_250);
    let columns = Delimited::new(["date", "time", "", "level", "message"]).blanks().rest();
    let parser = Parser::delimited(columns).unwrap();
    let parser = parser.timestamp_fields(["date", "time"]).time_zone("+01:00").unwrap();
    let line = b"2026-11-23 09:00:00,250 - INFO [main] up";
    assert_eq!(parser.parse(line).timestamp, Some(time));
    let mut extractor = parser.extractor(&["level"]).with_timestamp();
    let found = extractor.extract(line);
    assert_eq!((found.get(0), found.timestamp()), (Some(ValueRef::Str("INFO")), Some(time)));
    assert!(extractor.extract(b"today 09:00 - INFO up").is_malformed());

    let formatted =
        Parser::json().timestamp_field("at").timestamp_format("%d.%m.%y %T%.f").unwrap();
    let formatted = formatted.time_zone("UTC").unwrap();
    assert_eq!(formatted.parse(br#"{"at":"23.11.26 08:00:00.25"}"#).timestamp, Some(time));
    assert!(Parser::json().timestamp_format("%!").is_err());
    assert!(Parser::json().time_zone("Mars/Olympus").is_err());
}
