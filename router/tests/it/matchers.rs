use birl_router::{ErrorKind, Labels, MatchOp, Matcher, Matchers};
use proptest::prelude::*;

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

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(
        parts in prop::collection::vec(("\\PC{1,8}|[\\x00-\\x7f]{1,8}|[a-c:!\"\\\\]{1,3}", any::<bool>(), "\\PC{0,8}|[\\x00-\\x7f]{0,8}|[a,{}+*!\"\\\\]{0,5}"), 0..4)
    ) {
        let op = |equal: bool| if equal { MatchOp::Equal } else { MatchOp::NotEqual };
        let matchers: Matchers =
            parts.into_iter().map(|(name, equal, value)| Matcher::new(name, op(equal), value).unwrap()).collect();
        for matcher in &matchers {
            prop_assert_eq!(&Matcher::parse(&matcher.to_string()).unwrap(), matcher);
        }
        prop_assert_eq!(Matchers::parse(&matchers.to_string()).unwrap(), matchers.clone());
        let json = serde_json::to_string(&matchers).unwrap();
        prop_assert_eq!(serde_json::from_str::<Matchers>(&json).unwrap(), matchers);
    }

    #[test]
    fn no_text_panics(text in "[a:\"\\\\=~!{},*+ x0u🙂\n]{0,16}|\\PC{0,16}") {
        let _ = Matcher::parse(&text);
        if let Ok(matchers) = Matchers::parse(&text) {
            prop_assert_eq!(Matchers::parse(&matchers.to_string()).unwrap(), matchers);
        }
    }
}

/// What Alertmanager prints for what it has read.
fn printed(text: &str) -> String {
    match Matchers::parse(text) {
        Ok(matchers) => matchers.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_classic_syntax_is_as_tolerant_as_alertmanagers() {
    for (text, expected) in [
        ("", "{}"),
        ("{}", "{}"),
        ("{foo=bar}", r#"{foo="bar"}"#),
        (r#"{foo = "bar", dings != "bums", }"#, r#"{foo="bar",dings!="bums"}"#),
        ("foo=bar,dings!=bums", r#"{foo="bar",dings!="bums"}"#),
        (r#"{foo="bar,quux", job="job1"}"#, r#"{foo="bar,quux",job="job1"}"#),
        (r#"{quote="She said: \"Hi, ladies!\""}"#, r#"{quote="She said: \"Hi, ladies!\""}"#),
        (r#"statuscode=~"5..""#, r#"{statuscode=~"5.."}"#),
        ("tricky=~~~", r#"{tricky=~"~~"}"#),
        (r#"trickier==\\=\=\""#, r#"{trickier="=\\=\\=\""}"#),
        (r#"q != "\"" , c !~ "foo,bar" , "#, r#"{q!="\"",c!~"foo,bar"}"#),
        // A brace too much belongs to the value, one too few is not missed.
        ("{foo=bar}}", r#"{foo="bar}"}"#),
        ("{foo=bar}},}", r#"{foo="bar}}"}"#),
        ("{foo=,bar=}}", r#"{foo="",bar="}"}"#),
        ("{foo=", r#"{foo=""}"#),
        ("{foo=}b", r#"{foo="}b"}"#),
        ("{foo=bar} ", r#"{foo="bar}"}"#),
        ("foo=bar}", r#"{foo="bar"}"#),
        ("{foo='}", r#"{foo="'"}"#),
        ("{foo=`}", r#"{foo="`"}"#),
        (r#"{foo=\"}"#, r#"{foo="\""}"#),
        // Escapes that there are not stand for themselves, even where the newer syntax knows them.
        (r"{foo=bar\t}", r#"{foo="bar\\t"}"#),
        (r#"foo="\x41""#, r#"{foo="\\x41"}"#),
        (r"{foo=bar\n}", r#"{foo="bar\n"}"#),
        (r"{foo=bar\}", r#"{foo="bar\\"}"#),
        (r#"foo=~"\d+""#, r#"{foo=~"\\d+"}"#),
        ("a:b=c", r#"{a:b="c"}"#),
        ("foo=\u{b}x", "{foo=\"\u{b}x\"}"), // not a space to Go's \s
    ] {
        assert_eq!(printed(text), expected, "{text}");
    }
}

#[test]
fn the_newer_syntax_takes_any_name_and_gos_escapes() {
    for (text, expected) in [
        (r#"{"foo"="bar",}"#, r#"{foo="bar"}"#),
        ("foo🙂=bar", r#"{foo🙂="bar"}"#),
        (r#""foo bar"!="x""#, r#"{"foo bar"!="x"}"#),
        (r#""foo!"="t\tx""#, r#"{"foo!"="t\tx"}"#),
        (r#""service.name"="api""#, r#"{service.name="api"}"#),
        ("name-with-dashes = x", r#"{name-with-dashes="x"}"#),
        (r#""a"=~"\\d+""#, r#"{a=~"\\d+"}"#),
        (r#""a"="\xf0\x9f\x99\x82\U0001f642\u00e9\101""#, r#"{a="🙂🙂éA"}"#),
        (r#""a\u00ad!"="\a\x7f\u00ad\U000e0001""#, r#"{"a\u00ad!"="\a\x7f\u00ad\U000e0001"}"#),
        (r#" {"a"="b"} "#, r#"{a="b"}"#),
        (r#"{foo=bar,"a"!~[a-z]+}"#, r#"{foo="bar",a!~"[a-z]+"}"#),
    ] {
        assert_eq!(printed(text), expected, "{text}");
        assert_eq!(printed(&printed(text)), expected, "printed, read again");
    }
}

#[test]
fn what_neither_syntax_can_read_is_refused() {
    for (text, expected) in [
        (",", "matcher `,`: expected a label's name, found `,`"),
        ("{,}", "matcher `{,}`: expected a label's name, found `,`"),
        // As in Alertmanager, the comma does not end the escape, so the quote behind it is escaped.
        (
            r#"foo="a\,",b="c""#,
            r#"matcher `foo="a\,",b="c"`: there is text after the closing quote"#,
        ),
        ("job=\"value", "matcher `job=\"value`: the closing quote is missing"),
        ("job=value\"", "matcher `job=value\"`: a double quote inside the value is written \\\""),
        ("a=b,=c", "matcher `=c`: the label's name is missing: write name=\"value\""),
        (r#""foo"="bar"#, r#"matcher `"foo"="bar`: the closing quote is missing"#),
        (
            r#""foo"=~"\d+""#,
            r#"matcher `"foo"=~"\d+"`: there is no escape `\d`: in double quotes a backslash is written `\\`"#,
        ),
        (
            r#""foo"="\xf0\x9f""#,
            r#"matcher `"foo"="\xf0\x9f"`: the escapes in quotes are not UTF-8"#,
        ),
        (
            r#""foo"="\u12""#,
            r#"matcher `"foo"="\u12"`: `\u` needs 4 digits of a character behind it"#,
        ),
        ("{foo-bar=x", "matcher `{foo-bar=x`: the closing brace is missing"),
        ("foo-bar=x}", "matcher `foo-bar=x}`: there is a closing brace without an opening one"),
        ("foo-bar=", "matcher `foo-bar=`: expected a value in double quotes at the end"),
        ("{{foo=", "matcher `{foo=`: `{foo` is not a plain label name"),
        (
            r#"{foo=~"invalid[regexp"}"#,
            r#"matcher `foo=~"invalid[regexp"`: the closing `]` is missing"#,
        ),
    ] {
        let error = Matchers::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidMatcher);
        assert!(error.to_string().starts_with(expected), "{text}: {error}");
    }
    // One matcher is no list, but the classic syntax takes commas for a part of the value.
    assert_eq!(Matcher::parse("a=b,c=d").unwrap().value(), "b,c=d");
    let error = Matcher::parse("a-b=b,c=d").expect_err("two");
    assert_eq!(error.to_string(), "matcher `a-b=b,c=d`: expected one matcher, found 2");
    let error = Matcher::parse("{a=b}").expect_err("braces");
    assert_eq!(error.to_string(), "matcher `{a=b}`: one matcher has no braces: write env=\"prod\"");
    assert!(Matcher::parse(" ").is_err());
}

#[test]
fn the_shorthand_says_the_same_in_fewer_signs() {
    for (text, expected) in [
        ("env:prod", r#"{env="prod"}"#),
        ("env:prod+team:api", r#"{env="prod",team="api"}"#),
        (" env: prod + team :api ", r#"{env="prod",team="api"}"#),
        ("team:*", r#"{team!=""}"#),
        ("host:web-*", r#"{host=~"web-.*"}"#),
        ("host:*.example.com", r#"{host=~".*\\.example\\.com"}"#),
        ("host:w*b**1", r#"{host=~"w.*b.*1"}"#),
        ("instance:10.0.0.1:9100", r#"{instance="10.0.0.1:9100"}"#),
        (r#"env:"a + b*"+x:y"#, r#"{env="a + b*",x="y"}"#),
        (r#""job:up":1"#, r#"{job:up="1"}"#),
        (r#"env:"""#, r#"{env=""}"#),
        ("env:(x)", r#"{env="(x)"}"#),
        // What Alertmanager can read is not a shorthand.
        ("env:prod+team=api", r#"{env:prod+team="api"}"#),
        ("a:b=c", r#"{a:b="c"}"#),
    ] {
        assert_eq!(printed(text), expected, "{text}");
    }
    for (text, expected) in [
        (
            "env:",
            "matcher `env:`: the value is missing: write `name:value`, or `name:\"\"` for a label that is not there",
        ),
        ("env:prod+", "matcher `env:prod+`: the label's name is missing: write `name:value`"),
        (
            "env:prod+team",
            "matcher `env:prod+team`: expected `name:value` on both sides of each `+`",
        ),
        (
            "env:prod team:api",
            "matcher `env:prod team:api`: expected `+` and another `name:value` before `team:api`; a value that holds a space, a comma, a quote or a `+` is written in double quotes",
        ),
        (
            "env:prod,team:api",
            "matcher `env:prod,team:api`: expected `+` and another `name:value` before `,team:api`; a value that holds a space, a comma, a quote or a `+` is written in double quotes",
        ),
        (
            ":prod",
            "matcher `:prod`: expected =, !=, =~ or !~ after the label's name, as in env=\"prod\"",
        ),
    ] {
        assert_eq!(printed(text), expected, "{text}");
    }
    assert_eq!(Matcher::parse("team:*").unwrap().op(), MatchOp::NotEqual);
    assert!(Matcher::parse("a:b+c:d").is_err());
}

#[test]
fn a_list_in_a_configuration_may_hold_lists() {
    let read = |json| serde_json::from_str::<Matchers>(json);
    let expected = Matchers::parse("a=b,c=d,e:f*").unwrap_err();
    assert_eq!(expected.kind(), ErrorKind::InvalidMatcher, "a text is in one syntax");
    let matchers = read(r#"["a=b,c=\"d\"", "e:f*+g:h", "{i!=j}"]"#).unwrap();
    assert_eq!(matchers.to_string(), r#"{a="b",c="d",e=~"f.*",g="h",i!="j"}"#);
    assert_eq!(read(r#""a=b,c=d""#).unwrap().len(), 2);
    assert!(read("null").unwrap().is_empty());
    assert!(read("[1]").is_err());
    assert_eq!(
        serde_json::to_string(&matchers).unwrap(),
        r#"["a=\"b\"","c=\"d\"","e=~\"f.*\"","g=\"h\"","i!=\"j\""]"#
    );
    let error = read(r#"["a=b", "c"]"#).unwrap_err().to_string();
    assert!(error.contains("matcher `c`: expected ="), "{error}");
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
        (
            "env=\"prod\"x",
            "matcher `env=\"prod\"x`: there is text after the closing quote; a double quote inside the value is written \\\"",
        ),
        ("env=pr\"od", "matcher `env=pr\"od`: a double quote inside the value is written \\\""),
        ("a.b='c'", "matcher `a.b='c'`: expected a value in double quotes, found `'`"),
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
