use birl_router::{ErrorKind, Labels, MatchOp, Matcher};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

#[test]
fn alertmanagers_matchers_hold_when_they_should() {
    let api = labels(&[("env", "prod"), ("team", "api")]);
    let bare = labels(&[]);
    for (text, on_api, on_bare) in [
        ("env=\"prod\"", true, false),
        ("env=prod", true, false),
        ("  env  =  \"prod\"  ", true, false),
        ("env!=\"prod\"", false, true),
        ("env=~\"pro|prod\"", true, false),
        ("env=~\"pro\"", false, false), // anchored at both ends
        ("env=~\"pro.*\"", true, false),
        ("env!~\"pro.*\"", false, true),
        // A missing label is the empty string.
        ("rack=\"\"", true, true),
        ("rack!=\"\"", false, false),
        ("rack=~\".*\"", true, true),
        ("rack=~\".+\"", false, false),
        ("rack!=\"r1\"", true, true),
    ] {
        let matcher = Matcher::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(matcher.matches(&api), on_api, "{text} on {api}");
        assert_eq!(matcher.matches(&bare), on_bare, "{text} on {bare}");
    }
}

#[test]
fn values_and_names_can_hold_anything() {
    for (text, name, op, value) in [
        (r#"a="x\"y""#, "a", MatchOp::Equal, "x\"y"),
        (r#"a="x\\y""#, "a", MatchOp::Equal, "x\\y"),
        (r#"a="x\ny""#, "a", MatchOp::Equal, "x\ny"),
        (r#"a=~"\d+""#, "a", MatchOp::Regex, "\\d+"),
        (r"a=", "a", MatchOp::Equal, ""),
        (r"a=x=y", "a", MatchOp::Equal, "x=y"),
        (r#""service.name"="api""#, "service.name", MatchOp::Equal, "api"),
        (r#"a="{}/,""#, "a", MatchOp::Equal, "{}/,"),
    ] {
        let matcher = Matcher::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((matcher.name(), matcher.op(), matcher.value()), (name, op, value), "{text}");
        assert_eq!(Matcher::parse(&matcher.to_string()).unwrap(), matcher, "printed, read again");
    }
}

proptest::proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(name in "\\PC{1,8}|[\\x00-\\x7f]{1,8}", value in "\\PC{0,8}|[\\x00-\\x7f]{0,8}") {
        if let Ok(matcher) = Matcher::new(name, MatchOp::NotEqual, value) {
            proptest::prop_assert_eq!(Matcher::parse(&matcher.to_string()).unwrap(), matcher);
        }
    }
}

#[test]
fn a_bad_matcher_says_what_was_expected() {
    for (text, expected) in [
        ("", "matcher ``: expected =, !=, =~ or !~ after the label's name, as in env=\"prod\""),
        (
            "env",
            "matcher `env`: expected =, !=, =~ or !~ after the label's name, as in env=\"prod\"",
        ),
        ("env=\"prod", "matcher `env=\"prod`: the closing quote is missing"),
        ("env=\"prod\"x", "matcher `env=\"prod\"x`: there is text after the closing quote"),
        ("env=pr\"od", "matcher `env=pr\"od`: a double quote inside the value is written \\\""),
        ("a.b=c", "matcher `a.b=c`: `a.b` is not a plain label name: write it in double quotes"),
    ] {
        let error = Matcher::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidMatcher);
        assert_eq!(error.to_string(), expected);
    }
    let error = Matcher::parse("env=~\"(\"").expect_err("an open group");
    assert!(error.to_string().contains("unclosed group"), "{error}");
}

#[test]
fn labels_are_a_sorted_set_without_empty_values() {
    let one = labels(&[("b", "2"), ("a", "1"), ("c", "")]);
    assert_eq!(one, labels(&[("a", "1"), ("b", "2")]));
    assert_eq!(one.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    assert_eq!(one.get("c"), "");
    assert!(!one.contains("c"));
    assert_eq!(one.to_string(), r#"{a="1", b="2"}"#);
    assert_eq!(serde_json::to_string(&one).unwrap(), r#"{"a":"1","b":"2"}"#);
    assert_eq!(serde_json::from_str::<Labels>(r#"{"b":"2","a":"1","c":""}"#).unwrap(), one);
}

/// The values are what Alertmanager 0.25 shows for these labels; the real-parts test asks it again.
#[test]
fn the_fingerprint_is_alertmanagers() {
    // FNV-1a's own start value, for no labels at all.
    assert_eq!(labels(&[]).fingerprint().to_string(), "cbf29ce484222325");
    let fingerprint = labels(&[("alertname", "HighLatency"), ("service", "api")]).fingerprint();
    assert_eq!(fingerprint.to_string(), "93eac4546640fef5");
}
