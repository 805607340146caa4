//! Configurations and labels by chance.

use serde_json::{Map, Value, json};

use crate::dice::Dice;

const NAMES: [&str; 7] = ["a", "env", "team", "service", "job:up", "_x", "Zone1"];
const VALUES: [&str; 29] = [
    // Digits, letters and spaces for Unicode, and not for Go; and letters that fold to ASCII.
    "\u{663}",
    "\u{212a}",
    "\u{17f}",
    "\u{a0}x",
    "straße",
    "prod",
    "PROD",
    "product",
    "web-1",
    "web-12",
    "web",
    "api",
    "API",
    "Api-2",
    "a b",
    "x\"y",
    "a\\d",
    "a\\b",
    "é☃",
    "",
    "a,b",
    "{x}",
    "1",
    "10",
    "line\nfeed",
    "pr\u{f6}d",
    " edge ",
    "=~",
    "K",
];
/// What people write.
const PATTERNS: [&str; 25] = [
    "api|web-.*",
    "(?i)api",
    "(?i)API|prod",
    "[a-z]+-\\d+",
    ".*",
    ".+",
    "",
    "a.b",
    "^prod$",
    "pro(d|x)?",
    "\\w+",
    "web-[0-9]{1,2}",
    "(?i:WEB)-1",
    "x\"y",
    "[^a]*",
    "é.",
    "\\S+",
    "a\\\\.*",
    "(a|b|)\\d?",
    "(?P<n>web)-1",
    "prod|^api",
    "(?s).*feed",
    ".*[dD]",
    "\\d\\d?|K",
    "[\\w-]+",
];

/// Children of a node, at most; levels below the root.
const WIDEST: u64 = 9;
const DEEPEST: u64 = 4;

/// A configuration whose receivers tell its routes apart, and label sets that have something to do with it.
pub(crate) struct Case {
    pub(crate) config: Value,
    pub(crate) label_sets: Vec<Vec<(String, String)>>,
}

impl Case {
    pub(crate) fn draw(dice: &mut Dice, label_sets: u64) -> Self {
        let mut receivers = vec!["root".to_owned()];
        let mut root = json!({ "receiver": "root" });
        let mut left = 30;
        children(&mut root, dice, 0, &mut left, &mut receivers);
        let receivers: Vec<Value> = receivers.iter().map(|name| json!({ "name": name })).collect();
        Self {
            config: json!({ "route": root, "receivers": receivers }),
            label_sets: (0..label_sets).map(|_| labels(dice)).collect(),
        }
    }
}

fn children(
    node: &mut Value,
    dice: &mut Dice,
    depth: u64,
    left: &mut u64,
    receivers: &mut Vec<String>,
) {
    let widest = if depth == 0 { WIDEST } else { 4 };
    let count = dice.between(u64::from(depth == 0), widest).min(*left);
    if depth == DEEPEST || count == 0 {
        return;
    }
    *left -= count;
    let mut routes = Vec::new();
    for _ in 0..count {
        let mut child = json!({});
        if dice.percent(75) {
            let name = format!("r{}", receivers.len());
            child["receiver"] = json!(name);
            receivers.push(name);
        }
        if dice.percent(35) {
            child["continue"] = json!(true);
        }
        conditions(&mut child, dice);
        if dice.percent(40) {
            children(&mut child, dice, depth + 1, left, receivers);
        }
        routes.push(child);
    }
    node["routes"] = json!(routes);
}

/// Matchers in the ways in which they can be written.
fn conditions(route: &mut Value, dice: &mut Dice) {
    let classic = dice.percent(25);
    if !classic || dice.percent(40) {
        let count = if dice.percent(4) { 0 } else { dice.between(1, 5).div_ceil(2) };
        let mut texts: Vec<String> = Vec::new();
        for _ in 0..count {
            let text = matcher(dice);
            match texts.last_mut() {
                // Several in one text.
                Some(last) if dice.percent(15) && !last.ends_with('}') => {
                    last.push_str([",", ", "][usize::from(dice.percent(50))]);
                    last.push_str(&text);
                }
                _ if dice.percent(10) => texts.push(format!("{{{text}}}")),
                _ => texts.push(text),
            }
        }
        route["matchers"] = json!(texts);
    }
    let old = |dice: &mut Dice, value: &dyn Fn(&mut Dice) -> String| {
        let count = dice.between(1, 2);
        let pairs = (0..count).map(|_| ((*dice.one_of(&NAMES)).to_owned(), json!(value(dice))));
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    if classic && dice.percent(70) {
        // A colon is no part of a name there.
        route["match"] = old(dice, &value);
    }
    if classic && dice.percent(70) {
        route["match_re"] = old(dice, &pattern);
    }
    for list in ["match", "match_re"] {
        if let Some(pairs) = route.get_mut(list).and_then(Value::as_object_mut) {
            pairs.remove("job:up");
        }
    }
}

/// Some are drawn often, so that conditions hold often.
fn value(dice: &mut Dice) -> String {
    if dice.percent(65) {
        return (*dice.one_of(&["prod", "web-1", "api", "API"])).to_owned();
    }
    (*dice.one_of(&VALUES)).to_owned()
}

/// One matcher, quoted or not.
pub(crate) fn matcher(dice: &mut Dice) -> String {
    let name = *dice.one_of(&NAMES);
    let op = *dice.one_of(&["=", "=", "!=", "=~", "=~", "!~"]);
    let value = if op.ends_with('~') { pattern(dice) } else { value(dice) };
    let space = if dice.percent(15) { " " } else { "" };
    let bare = !value.is_empty()
        && value.chars().all(|c| c.is_alphanumeric() || "-_.*+|()[]?:^$".contains(c));
    if bare && dice.percent(40) {
        return format!("{name}{space}{op}{space}{value}");
    }
    let mut quoted = String::new();
    let mut rest = value.chars().peekable();
    while let Some(c) = rest.next() {
        // A backslash that begins no escape may stand alone.
        let escapes = |next: Option<&char>| next.is_none_or(|c| matches!(c, 'n' | '"' | '\\'));
        match c {
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\\' if escapes(rest.peek()) || dice.percent(60) => quoted.push_str("\\\\"),
            other => quoted.push(other),
        }
    }
    format!("{name}{space}{op}{space}\"{quoted}\"")
}

/// What people write, or put together by chance.
pub(crate) fn pattern(dice: &mut Dice) -> String {
    if dice.percent(30) {
        return (*dice.one_of(&["(?i)api", "api|web-.*", "prod|^api", "[a-z]+-\\d+"])).to_owned();
    }
    if dice.percent(50) {
        return (*dice.one_of(&PATTERNS)).to_owned();
    }
    let mut text = if dice.percent(15) { "(?i)".to_owned() } else { String::new() };
    alternatives(&mut text, dice, 3);
    text
}

fn alternatives(text: &mut String, dice: &mut Dice, depth: u64) {
    let count = if dice.percent(35) { dice.between(2, 3) } else { 1 };
    for i in 0..count {
        if i > 0 {
            text.push('|');
        }
        for _ in 0..dice.between(u64::from(count == 1), 3) {
            atom(text, dice, depth);
            if dice.percent(25) {
                text.push_str(dice.one_of::<&str>(&["*", "+", "?", "*?", "{2}", "{1,3}", "{0,}"]));
            }
        }
    }
}

fn atom(text: &mut String, dice: &mut Dice, depth: u64) {
    const ATOMS: [&str; 35] = [
        "k",
        "s",
        "\\b",
        "\\B",
        "\\W",
        "a",
        "a",
        "b",
        "p",
        "r",
        "o",
        "d",
        "1",
        "-",
        "é",
        "web",
        "api",
        "prod",
        ".",
        ".",
        "\\d",
        "\\w",
        "\\s",
        "\\S",
        "\\D",
        "[a-z]",
        "[^a-m]",
        "[A-Z0-9]",
        "[\\w-]",
        "[[:alpha:]]",
        "\\.",
        "\\\"",
        "x",
        " ",
        "[é-☃]",
    ];
    if depth > 0 && dice.percent(20) {
        text.push_str(dice.one_of::<&str>(&["(", "(?:", "(?i:"]));
        alternatives(text, dice, depth - 1);
        text.push(')');
        return;
    }
    text.push_str(dice.one_of::<&str>(&ATOMS));
}

/// Up to as many labels as there are names, each once.
pub(crate) fn labels(dice: &mut Dice) -> Vec<(String, String)> {
    let names = NAMES.iter().filter(|_| dice.percent(70)).copied().collect::<Vec<_>>();
    names.into_iter().map(|name| (name.to_owned(), value(dice))).collect()
}
