//! Which configurations are accepted: those that `amtool check-config` accepts.

use birl_router::{AlertmanagerFile, Matchers, Router};
use serde_json::{Value, json};

use crate::alertmanager::{Amtool, Directory};
use crate::dice::Dice;
use crate::generated;
use crate::soak;

/// The configuration is read as an `alertmanager.yml`: JSON is YAML.
fn ours(config: &Value) -> Result<(), String> {
    let file = AlertmanagerFile::parse(&config.to_string()).map_err(|e| e.to_string())?;
    Router::new(file.config).map(drop).map_err(|e| e.to_string())
}

/// A change of a configuration, as a pointer and the value there, and who accepts the result.
type Change = (&'static str, &'static str, &'static str);

const BOTH: &str = "both";
const NEITHER: &str = "neither";
/// Below each, the reason why the other does not.
const ONLY_BIRL: &str = "birl: ";
const ONLY_ALERTMANAGER: &str = "alertmanager: ";

#[rustfmt::skip] // a table
const CHANGES: &[Change] = &[
    ("/route/group_by", r#"["a"]"#, BOTH),
    ("/route/group_by", r#"[]"#, BOTH),
    ("/route/group_by", r#"["..."]"#, BOTH),
    ("/route/group_by", r#"["a","a"]"#, NEITHER),
    ("/route/group_by", r#"["...","a"]"#, NEITHER),
    ("/route/group_by", r#"[""]"#, NEITHER),
    ("/route/group_by", r#""a""#, NEITHER),
    ("/route/group_by", r#"["a-b"]"#, "birl: any name is a label's, as since Alertmanager 0.27"),
    ("/route/group_by", "null", BOTH),
    ("/route/group_wait", r#""0s""#, BOTH),
    ("/route/group_wait", r#""1h30m""#, BOTH),
    ("/route/group_wait", r#""1.5h""#, NEITHER),
    ("/route/group_wait", r#""-5s""#, NEITHER),
    ("/route/group_wait", r#""""#, NEITHER),
    ("/route/group_wait", "30", NEITHER),
    ("/route/group_interval", r#""0s""#, NEITHER),
    ("/route/group_interval", r#""1y2w3d4h5m6s7ms""#, BOTH),
    ("/route/group_interval", r#""7ms6s""#, NEITHER),
    ("/route/repeat_interval", r#""0s""#, NEITHER),
    ("/route/receiver", r#""nobody""#, NEITHER),
    ("/route/receiver", "null", NEITHER),
    ("/route/receiver", r#""""#, NEITHER),
    ("/route/continue", "true", NEITHER),
    ("/route/continue", "false", BOTH),
    ("/route/matchers", r#"["a=b"]"#, NEITHER),
    ("/route/match", r#"{"a":"b"}"#, NEITHER),
    ("/route/match_re", r#"{"a":"b"}"#, NEITHER),
    ("/route/contine", "true", NEITHER),
    ("/route/mute_time_intervals", r#"["hours"]"#, NEITHER),
    ("/route/active_time_intervals", r#"["hours"]"#, NEITHER),
    ("/route/routes", "null", BOTH),
    ("/route/routes/0/receiver", r#""nobody""#, NEITHER),
    ("/route/routes/0/receiver", r#""""#, BOTH),
    ("/route/routes/0/mute_time_intervals", r#"["hours"]"#, BOTH),
    ("/route/routes/0/mute_time_intervals", r#"["days"]"#, NEITHER),
    ("/route/routes/0/active_time_intervals", r#"["hours","hours"]"#, BOTH),
    ("/route/routes/0/active_time_intervals", r#"["days"]"#, NEITHER),
    ("/route/routes/0/repeat_interval", r#""0s""#, NEITHER),
    ("/route/routes/0/matchers", r#"[""]"#, BOTH),
    ("/route/routes/0/matchers", r#"["{}"]"#, BOTH),
    ("/route/routes/0/matchers", r#""a=b""#, "birl: one text is a list of one"),
    ("/route/routes/0/matchers", r#"["\"a-b\"=c"]"#, "birl: the syntax since Alertmanager 0.27"),
    ("/route/routes/0/matchers", r#"["a:b"]"#, "birl: its shorthand"),
    ("/route/routes/0/matchers", r#"["a=~("]"#, NEITHER),
    ("/route/routes/0/matchers", r#"["a=~b**"]"#, "birl: b** is b*"),
    ("/route/routes/0/matchers", r#"["a=~[[:foo:]]"]"#, NEITHER),
    ("/route/routes/0/matchers", r#"["a=~(?)b"]"#, BOTH),
    ("/route/routes/0/matchers", r#"["a=~(?ii)b"]"#, BOTH),
    ("/route/routes/0/matchers", r#"["a=~(?i-i)b"]"#, BOTH),
    ("/route/routes/0/matchers", r#"["a=~(?i-)b"]"#, NEITHER),
    ("/route/routes/0/matchers", r#"["a=~(?i--s)b"]"#, NEITHER),
    ("/route/routes/0/matchers", r#"["a=~(?-)b"]"#, NEITHER),
    ("/route/routes/0/matchers", r#"["a=~\"(?P<n>a)(?P<n>b)\""]"#, BOTH),
    ("/route/routes/0/matchers", r#"["a=~(?=b)"]"#, NEITHER),
    ("/route/routes/0/matchers", r#"["a=~\"b{1001}\""]"#, NEITHER),
    ("/route/routes/0/matchers", r#"["a=~\"b{1000}\""]"#, BOTH),
    ("/route/routes/0/match", r#"{"a-b":"c"}"#, NEITHER),
    ("/route/routes/0/match", r#"{"":"c"}"#, NEITHER),
    ("/route/routes/0/match", r#"{"a":"("}"#, BOTH),
    ("/route/routes/0/match_re", r#"{"a":"("}"#, NEITHER),
    ("/route/routes/0/match_re", r#"{"a":"b)|(c"}"#, "alertmanager: it wraps the pattern in parentheses before it reads it"),
    ("/receivers", "[]", NEITHER),
    ("/receivers", r#"[{"name":"root"},{"name":"hook"},{"name":"hook"}]"#, NEITHER),
    ("/receivers", r#"[{"name":"root"},{"name":"hook"},{"name":""}]"#, NEITHER),
    ("/receivers/1/webhook_configs", r#"[{"url":"https://h.example/x"}]"#, BOTH),
    ("/receivers/1/webhook_configs", r#"[{"url":"h.example/x"}]"#, "birl: an address is checked by who delivers there"),
    ("/receivers/1/webhook_configs", r#"[{"url":"ftp://h.example"}]"#, "birl: an address is checked by who delivers there"),
    ("/receivers/1/webhook_configs", r#"[{"url":"http://"}]"#, "birl: an address is checked by who delivers there"),
    ("/receivers/1/webhook_configs", r#"[{"url":""}]"#, "birl: an address is checked by who delivers there"),
    ("/receivers/1/webhook_configs", "[{}]", NEITHER),
    ("/receivers/1/webhook_configs", r#"[{"url":"http://h.example","send_resolved":false}]"#, BOTH),
    ("/receivers/1/webhook_configs", r#"[{"url":"http://h.example","send_resolved":"yes"}]"#, "birl: a yes in quotes is one, too"),
    ("/receivers/1/webhook_configs", r#"[{"url":"http://h.example","timeout":"1s"}]"#, "birl: as since Alertmanager 0.28"),
    ("/global", r#"{"resolve_timeout":"5m"}"#, BOTH),
    ("/global", r#"{"resolve_timeout":"x"}"#, NEITHER),
    ("/global", r#"{"resolve_timeut":"5m"}"#, NEITHER),
    ("/time_intervals/0/name", r#""""#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"times":[{"start_time":"00:00","end_time":"24:00"}]}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"times":[{"start_time":"17:00","end_time":"09:00"}]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"times":[{"start_time":"09:00","end_time":"09:00"}]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"times":[{"start_time":"9:00","end_time":"10:00"}]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"times":[{"start_time":"09:00"}]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"times":[]}]"#, "alertmanager: it keeps in silence what never holds"),
    ("/time_intervals/0/time_intervals", "[{}]", BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"weekdays":["monday:friday","SATURDAY"]}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"weekdays":["friday:monday"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"weekdays":["mon"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"days_of_month":["1:-1","-3:-1","31"]}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"days_of_month":["0"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"days_of_month":["32"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"days_of_month":["-1:-3"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"days_of_month":["-1:1"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"days_of_month":["5:1"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"days_of_month":[1]}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"months":["january:3","12"]}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"months":["13"]}]"#, "alertmanager: it keeps in silence what never holds"),
    ("/time_intervals/0/time_intervals", r#"[{"months":["dec"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"months":["3:1"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"years":["2024:2026"]}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"years":["2026:2024"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"years":["x"]}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"years":["-1"]}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"location":"Europe/Berlin"}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"location":"UTC"}]"#, BOTH),
    ("/time_intervals/0/time_intervals", r#"[{"location":"Nowhere/X"}]"#, NEITHER),
    ("/time_intervals/0/time_intervals", r#"[{"location":"Local"}]"#, "alertmanager: it decides differently on two machines"),
];

fn base() -> Value {
    json!({
        "route": { "receiver": "root", "routes": [{ "receiver": "hook" }] },
        "receivers": [{ "name": "root" }, { "name": "hook" }],
        "time_intervals": [{ "name": "hours", "time_intervals": [{ "months": ["may"] }] }]
    })
}

fn changed(pointer: &str, value: &Value) -> Value {
    let mut config = base();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = config.pointer_mut(parent).expect("there is such a place");
    parent[key] = value.clone();
    config
}

#[test]
fn what_is_accepted_is_what_amtool_accepts_but_for_these() {
    let (amtool, directory) = (Amtool::new(), Directory::new());
    let mut wrong = Vec::new();
    for (pointer, value, expected) in CHANGES {
        let config = changed(pointer, &serde_json::from_str(value).expect("JSON"));
        let theirs = amtool.check(&directory.write("accepted.yml", &config));
        let (mine, theirs) = (ours(&config), theirs);
        let is_so = match (mine.is_ok(), theirs.is_ok()) {
            (true, true) => *expected == BOTH,
            (false, false) => *expected == NEITHER,
            (true, false) => expected.starts_with(ONLY_BIRL),
            (false, true) => expected.starts_with(ONLY_ALERTMANAGER),
        };
        if !is_so {
            wrong.push(format!("{pointer} = {value}\n    expected {expected}\n    birl {mine:?}\n    amtool {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Matchers with a character too few, too many, or another one: read or refused alike.
///
/// Where Alertmanager 0.25 refuses, a later one (any name, in quotes) or birl's shorthand may still have a meaning for
/// it; the other way round nothing is excused.
#[test]
fn damaged_matchers_are_read_or_refused_as_by_amtool() {
    let (cases, seed) = soak::cases(150);
    let (amtool, directory) = (Amtool::new(), Directory::new());
    let (mut accepted, mut refused, mut newer) = (0, 0, 0);
    for number in 0..cases {
        let mut dice = Dice::new(seed, number ^ 0x6d61_7463_6865_7273);
        let mut text = generated::matcher(&mut dice);
        if dice.percent(30) {
            text = format!("{{{text},{}}}", generated::matcher(&mut dice));
        }
        for _ in 0..dice.between(1, 2) {
            text = damaged(&text, &mut dice);
        }
        let mut config = base();
        config["route"]["routes"][0]["matchers"] = json!([text]);
        let file = directory.write("damaged.yml", &config);
        let (mine, theirs) = (ours(&config), amtool.check(&file));
        match (&mine, &theirs) {
            (Ok(()), Ok(())) => {
                let mut read = Matchers::parse(&text).expect("it was accepted");
                read.sort();
                let shown = if read.is_empty() { "default-route".into() } else { read.to_string() };
                assert_eq!(amtool.matchers(&file), [shown], "REAL_SEED={seed}, {number}: {text:?}");
                accepted += 1;
            }
            (Err(_), Err(_)) => refused += 1,
            (Ok(()), Err(why)) => {
                let read = Matchers::parse(&text).expect("it was accepted");
                // The classic syntax takes a brace behind a space for a part of the first name.
                let newer_syntax = text.contains(['"', ':', '\\', '\u{a0}'])
                    || (!text.starts_with('{') && text.trim_start().starts_with('{'))
                    || !read.iter().all(|matcher| is_plain(matcher.name()));
                assert!(newer_syntax, "REAL_SEED={seed}, {number}: {text:?}: amtool: {why}");
                newer += 1;
            }
            (Err(why), Ok(())) => panic!("REAL_SEED={seed}, {number}: {text:?}: {why}"),
        }
    }
    assert!(accepted * 4 > cases && refused * 10 > cases, "{accepted}, {refused} of {cases}");
    soak::keep(&format!(
        "matchers: {cases} damaged ones, seed {seed}: 0 differences to `amtool check-config`; {accepted} read alike, {refused} \
         refused by both, {newer} in a syntax of today"
    ));
}

/// A label's name before UTF-8.
fn is_plain(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

fn damaged(text: &str, dice: &mut Dice) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = dice.between(0, chars.len() as u64) as usize;
    let new = *dice.one_of(&[
        '"', '\\', '=', '!', '~', '{', '}', ',', ' ', 'n', '(', ':', '\'', '\u{a0}', 'é', '\n',
    ]);
    match dice.between(0, 2) {
        0 if at < chars.len() => drop(chars.remove(at)),
        1 if at < chars.len() => chars[at] = new,
        _ => chars.insert(at, new),
    }
    chars.into_iter().collect()
}
