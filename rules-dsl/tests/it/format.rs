//! One way of writing rule files: what changes, what stays, and that no meaning changes.

use std::fmt::Write as _;
use std::path::Path;

use birl_rules_dsl::{Format, RuleSet, SourceText, format};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use crate::generated;

#[track_caller]
fn check(source: impl Fn(String) -> SourceText, before: &str, after: &str) {
    let formatted = |text: &str| format(&source(text.to_owned())).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(formatted(before), after, "from {before:?}");
    assert_eq!(formatted(after), after, "a second time");
}

/// A value of `when`, as it stands in a file.
#[track_caller]
fn condition(before: &str, after: &str) {
    let file = |value: &str| format!("when: {value}\nthen: notify()\n");
    check(|text| SourceText::yaml("r.yaml", text), &file(before), &file(after));
}

#[track_caller]
fn yaml(before: &str, after: &str) {
    check(|text| SourceText::yaml("r.yaml", text), before, after);
}

#[track_caller]
fn json(before: &str, after: &str) {
    check(|text| SourceText::json("r.json", text), before, after);
}

#[test]
fn conditions_have_one_way_of_writing() {
    condition("a>1&&b<=-2 || ! c", "a > 1 && b <= -2 || !c");
    condition("a   not   in [1 ,'x',]", "a not in [1, 'x']");
    condition("not   ( a )", "not (a)");
    condition("((a>1)) && (((b)))", "(a > 1) && (b)");
    condition("len( a )>3 && count ( 10s )by x ,y>=2", "len(a) > 3 && count(10s) by x, y >= 2");
    condition("count(10s) by ( x,y )>2", "count(10s) by (x, y) > 2");
    condition("a ??- 1<2+3*4", "a ?? -1 < 2 + 3 * 4");
    condition(
        "a in [1 .. 5,- 2..3]&& any( tags [*]==1 )",
        "a in [1..5, -2..3] && any(tags[*] == 1)",
    );
    condition("a iequals'x'||b not  iin[ 'y' ]", "a iequals 'x' || b not iin ['y']");
    condition("a == 1_000 && b>10MiB && `b  c`.d", "a == 1_000 && b > 10MiB && `b  c`.d");
}

#[test]
fn each_scalar_keeps_its_style() {
    condition("a==\"x\"", "a == 'x'");
    condition("' a==\"x\" '", "'a == \"x\"'");
    condition("'a==''x'''", "'a == \"x\"'");
    condition("\"a==\\\"x\\\"&&b=='y'\"", "\"a == 'x' && b == 'y'\"");
    condition("|\n  a==\"x\"", "|\n  a == 'x'");
    condition(">-\n  a==\"x\"", ">-\n  a == 'x'");
    condition("\"\\u00e9==1\\n&& \\tb\"", "\"\\u00e9 == 1 && b\"");
    // What has quotes or backslashes in it keeps its quotes.
    condition("a == \"it's\"", "a == \"it's\"");
    condition("a=~\"^\\d+$\"", "a =~ \"^\\d+$\"");
    condition("'a == ''say \"x\"'''", "'a == ''say \"x\"'''");
    condition("\"a=='\\\\n'\"", "\"a == '\\\\n'\"");
    yaml(
        "- {when: a>1, then: [notify( ), \"scale( 'x',\\\"+2\\\" )\"]}",
        "- {when: a > 1, then: [notify(), \"scale('x', '+2')\"]}\n",
    );
}

#[test]
fn the_table_of_the_manual_is_true() {
    let manual = include_str!("../../src/syntax.md");
    let rows = manual.split("| before | after |").nth(1).unwrap().lines().skip(2);
    let mut count = 0;
    for row in rows.take_while(|row| row.starts_with('|')) {
        let cells: Vec<_> =
            row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`'])).collect();
        let file = |text: &str| match text.starts_with("notify") {
            true => json!({"when": "a", "then": text}).to_string() + "\n",
            false => json!({"when": text, "then": "f()"}).to_string() + "\n",
        };
        json(&file(cells[0]), &file(cells[1]));
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn line_breaks_stay() {
    condition(
        "|\n\n   a>1&&\n     (b   ||\n       c)\n\n",
        "|\n\n   a > 1 &&\n     (b ||\n       c)\n\n",
    );
    condition("|2  # why\n    a>1\n   &&b\n", "|2  # why\n    a > 1\n   && b\n");
    condition("|+\n  a>1\n   \n\n", "|+\n  a > 1\n\n\n");
    condition(">\n  a>1   \n\n    &&b  \n  ||c\n", ">\n  a > 1\n\n    && b\n  || c\n");
    condition("a>1   \n    &&b", "a > 1\n    && b");
    condition("'a>1&&  \n\n    b '", "'a > 1 &&\n\n    b'");
    condition("\"a>1  \n    &&b==\\\"x\\\"\"", "\"a > 1\n    && b == 'x'\"");
    condition("\"a>1 \\\n    &&b \\\n    ||c\"", "\"a > 1 \\\n    && b \\\n    || c\"");
    condition("\"a>1\\ \n    &&b\\n\n    ||c\"", "\"a > 1\\ \n    && b\\n\n    || c\"");
    condition("|\n  a in [\n    1,\n    2,\n  ]", "|\n  a in [\n    1,\n    2\n  ]");
    condition("|\n  a in [\n    1\n    ,\n  ]", "|\n  a in [\n    1\n  ]");
    condition("|\n  a not\n  in [ 1 ]", "|\n  a not\n  in [1]");
    condition("|\n  ((\n    a\n  ))", "|\n  (\n    a\n  )");
    condition("|\r\n  a>1  \r\n  &&b\r", "|\r\n  a > 1\r\n  && b\r");
    yaml("when: a>1\r\nthen: notify( )", "when: a > 1\r\nthen: notify()\r\n");
    // A return alone is a line break as well, and what is behind it an empty line.
    yaml(
        "when: a > 1\nthen:\t\r\t \r\n  notify()\t\r\t\r\n",
        "when: a > 1\nthen:\r\n  notify()\r\n",
    );
}

#[test]
fn intents_have_one_way_of_writing() {
    yaml(
        "when: a\nthen: notify( \"team\" ) ;scale('x' ,+2);\n",
        "when: a\nthen: notify('team'); scale('x', +2)\n",
    );
    yaml(
        "when: a\nthen:\n  - notify( )\n  - |\n    keep_logs( 5m ) ;\n    notify('x',)\n",
        "when: a\nthen:\n  - notify()\n  - |\n    keep_logs(5m);\n    notify('x')\n",
    );
}

#[test]
fn what_is_named_elsewhere_is_an_expression_too() {
    yaml(
        "macros:\n  hot: cpu>90\n  cold: 'cpu<\"5\"'\nrules:\n- let: {x: a+1, y: \"(b)\"}\n  when: x>1\n  then: notify()\n",
        "macros:\n  hot: cpu > 90\n  cold: 'cpu < \"5\"'\nrules:\n- let: {x: a + 1, y: \"(b)\"}\n  when: x > 1\n  then: notify()\n",
    );
    yaml("macros: {hot: cpu>90}\n", "macros: {hot: cpu > 90}\n");
    // In another place the same key is nothing of the kind.
    yaml(
        "rules:\n- when: a>1\n  then: notify()\n  labels: {when: a>1, let: b>1}\n",
        "rules:\n- when: a > 1\n  then: notify()\n  labels: {when: a>1, let: b>1}\n",
    );
}

#[test]
fn everything_else_stays_byte_for_byte() {
    yaml(
        "# why  \n\nrules:\n\n  -   name:   \"x>1\"   # a  remark\t\n      when: &hot   cpu>90  # hot\n      \
         annotations: {summary: 'a>1'}\n      then : notify( )\n\n  # more\n  - then:   notify()\n    when: *hot\n\n\n# end  \n \n",
        "# why\n\nrules:\n\n  -   name:   \"x>1\"   # a  remark\n      when: &hot   cpu > 90  # hot\n      \
         annotations: {summary: 'a>1'}\n      then : notify()\n\n  # more\n  - then:   notify()\n    when: *hot\n\n\n# end\n",
    );
    yaml(
        "when: a\nthen: notify()\nannotations:\n  a: |\n    x  \n\n    y  \n  b: 'x  \n    y '  \n  c: x  \n    y\n  d: |  \n    z  \n\n\n",
        "when: a\nthen: notify()\nannotations:\n  a: |\n    x  \n\n    y  \n  b: 'x  \n    y '\n  c: x\n    y\n  d: |\n    z  \n",
    );
    // Empty lines that are a part of a text stay even at the end of the file.
    yaml(
        "when: a>1  \nthen: notify()\nannotations:\n  a: |+\n    x  \n\n \n",
        "when: a > 1\nthen: notify()\nannotations:\n  a: |+\n    x  \n\n \n",
    );
    yaml("rules: []", "rules: []\n");
    yaml("\u{feff}rules: []  \n...\n\n", "\u{feff}rules: []\n...\n");
}

#[test]
fn a_text_that_is_used_for_something_else_stays() {
    let file = "when: &x a>1\nthen: notify( )\nannotations: {summary: *x}\n";
    yaml(file, &file.replace("( )", "()"));
    // One spelling for two kinds of expression.
    yaml("when: &x 'f( )'\nthen: *x\n", "when: &x 'f()'\nthen: *x\n");
}

#[test]
fn json_is_written_properly() {
    json(
        "{\"when\":\"a==\\\"x\\\"&& b\\n||c =~ '\\\\d'\",  \n \"then\": [\"notify( \\\"t\\\" )\"], \"name\": \"a>1\"}",
        "{\"when\":\"a == 'x' && b || c =~ '\\\\d'\",\n \"then\": [\"notify('t')\"], \"name\": \"a>1\"}\n",
    );
    json("[{\"when\": true, \"then\": \"a( )\"}]\n\n", "[{\"when\": true, \"then\": \"a()\"}]\n");
    json(
        "{\"when\": \"\\u0061>1&&b=='\\ud83d\\ude00'\", \"then\": \"a()\"}\n",
        "{\"when\": \"\\u0061 > 1 && b == '\\ud83d\\ude00'\", \"then\": \"a()\"}\n",
    );
}

#[test]
fn what_cannot_be_read_is_refused_with_every_mistake() {
    for (text, codes) in [
        ("when: a >\nthen: notify(", vec!["E0201", "E0202"]),
        ("when: a = 1\nthen: notify", vec!["E0203", "E0201"]),
        ("when: !a\nthen: notify()", vec!["E0106"]),
        ("when: a > 1 #&& b\nthen: notify()", vec!["E0106"]),
        ("when: [a]\nthen: {a: b}", vec!["E0104", "E0104"]),
        ("macros: {a: 'x ='}\nrules: [{let: {b: ''}}]", vec!["E0201", "E0201"]),
        ("services: {web: {image: x}}", vec!["E0103"]),
        ("rules: {a: b}", vec!["E0104"]),
        ("rules: [a]", vec!["E0104"]),
        ("just text", vec!["E0104"]),
        ("a: [", vec!["E0101"]),
        ("", vec!["E0101"]),
    ] {
        let wrong = format(&SourceText::yaml("r.yaml", text)).unwrap_err();
        let found: Vec<_> = wrong.iter().map(|one| one.code).collect();
        assert_eq!(found, codes, "{text:?}: {wrong}");
    }
    let deep = format!("when: {}a{}\nthen: notify()", "(".repeat(100), ")".repeat(100));
    assert!(format(&SourceText::yaml("r.yaml", deep)).is_err());
    let mut many = String::from("rules:\n");
    (0..1_100).for_each(|_| many.push_str("- when: a >\n"));
    assert_eq!(format(&SourceText::yaml("r.yaml", many)).unwrap_err().len(), 1_000);
    // What it means is not looked at.
    yaml("when: a+1 #\nthn: x>1", "when: a + 1 #\nthn: x>1\n");
}

#[test]
fn the_files_of_the_other_tests_keep_their_meaning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ok");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let format = match path.extension().unwrap().to_str().unwrap() {
            "json" => Format::Json,
            "yaml" => Format::Yaml,
            _ => continue,
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let tight = text.replace(" == ", "==").replace(" && ", "  &&").replace("()", "(  )");
        for text in [text, tight] {
            same_meaning(&SourceText { name: "r".into(), text, format });
        }
        count += 1;
    }
    assert!(count >= 5, "only {count} files");
}

/// Formats, checks that this is stable and changes no rule, and returns the new text.
fn same_meaning(source: &SourceText) -> (RuleSet, RuleSet, String) {
    let new = format(source).unwrap_or_else(|wrong| panic!("{wrong}{}", source.text));
    let again = SourceText { text: new.clone(), ..source.clone() };
    assert_eq!(format(&again).unwrap(), new, "a second time, from {:?}", source.text);
    let compiled = |source: &SourceText| {
        RuleSet::compile(std::slice::from_ref(source))
            .unwrap_or_else(|wrong| panic!("{wrong}{}", source.text))
    };
    let (before, after) = (compiled(source), compiled(&again));
    let summary = |rules: &RuleSet| {
        let mut out = String::new();
        for rule in rules.rules() {
            let labels = (&rule.labels, &rule.by, rule.window, rule.keep_firing_for);
            writeln!(out, "{} {:?} {:?} {labels:?}", rule.name, rule.line, rule.intents).unwrap();
        }
        out
    };
    assert_eq!(summary(&before), summary(&after), "{} became {new}", source.text);
    (before, after, new)
}

/// A condition with other blanks: where there are some, and around signs that need none.
fn spaced(condition: &str, breaks: bool, choices: &[Index]) -> String {
    let blanks: &[&str] =
        if breaks { &[" ", "  ", "\n", " \n  ", "\n\n "] } else { &[" ", "  ", "   "] };
    let mut choices = choices.iter().cycle();
    let mut pick = |none: bool| {
        let all = blanks.len() + usize::from(none);
        let choice = choices.next().map_or(0, |index| index.index(all));
        blanks.get(choice).copied().unwrap_or_default()
    };
    let mut out = String::new();
    let mut quote = None;
    let chars: Vec<char> = condition.chars().collect();
    for (at, c) in chars.iter().copied().enumerate() {
        let before = at.checked_sub(1).map_or(' ', |at| chars[at]);
        match (quote, c) {
            (Some(open), c) => {
                out.push(c);
                if c == open && before != '\\' {
                    quote = None;
                }
            }
            (None, '\'' | '"') => {
                out.push(c);
                quote = Some(c);
            }
            (None, ' ') => {
                let behind = chars.get(at + 1).copied().unwrap_or(' ');
                let needed = |c: char| c.is_alphanumeric() || "_=<>!&|~-+".contains(c);
                out.push_str(pick(!(needed(before) && needed(behind))));
            }
            // `tags[*]` is one word.
            (None, '[') if chars.get(at + 1) == Some(&'*') => out.push(c),
            (None, ']') if before == '*' => out.push(c),
            (None, '.') if chars.get(at + 1) == Some(&'.') => {
                out.push_str(pick(true));
                out.push(c);
            }
            (None, '.') if before == '.' => {
                out.push(c);
                out.push_str(pick(true));
            }
            (None, '(' | '[' | ',') => {
                out.push(c);
                out.push_str(pick(true));
            }
            (None, ')' | ']') => {
                if before != '(' && before != '[' {
                    out.push_str(pick(true));
                }
                out.push(c);
            }
            (None, c) => out.push(c),
        }
    }
    out
}

/// A rule file with one condition, in each style that a scalar can have.
fn file(condition: &str, style: usize) -> SourceText {
    let indented = |lines: &str| lines.replace('\n', "\n      ");
    let value = match style {
        0 => json!(condition).to_string(),
        1 => format!("'{}'", indented(&condition.replace('\'', "''"))),
        2 => format!("|\n      {}", indented(condition)),
        3 => format!(">-\n      {}", indented(condition)),
        4 => format!("|2\n      {}", indented(condition)),
        5 => format!("\"{}\"", indented(&condition.replace('\\', "\\\\").replace('"', "\\\""))),
        6 => indented(condition),
        _ => {
            let rule = json!({"name": "r", "when": condition, "then": "notify( \"x\" )"});
            return SourceText::json("r.json", rule.to_string());
        }
    };
    SourceText::yaml("r.yaml", format!("- name: r  \n  when: {value}\n  then: notify( \"x\" )\n\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn formatting_is_stable_and_changes_no_meaning(
        condition in generated::condition(),
        style in 0..8_usize,
        breaks in any::<bool>(),
        doubled in any::<bool>(),
        choices in prop::collection::vec(any::<Index>(), 1..20),
        records in prop::collection::vec(generated::record(), 1..8),
    ) {
        let plain = generated::compiled(std::slice::from_ref(&condition));
        // Some conditions compare what can never be equal, and do not compile.
        if plain.is_empty() {
            return Ok(());
        }
        // Bare, a condition must not begin with a sign of YAML's.
        let bare = style == 6;
        let condition = if doubled || bare { format!("(({condition}))") } else { condition };
        let source = file(&spaced(&condition, breaks, &choices), style);
        let (before, after, new) = same_meaning(&source);
        // Nothing was left as it was, whatever the style.
        let when = after.rules().next().unwrap().when.to_string();
        let tight = |line: &str| !line.trim_start().contains("  ") && line.trim_end() == line;
        prop_assert!(when.lines().all(tight), "{new}");
        prop_assert_eq!(format(&file(&when, 7)).unwrap(), format(&file(&condition, 7)).unwrap());
        for record in &records {
            let verdict = |rules: &RuleSet| rules.explain("r", record).unwrap().verdict;
            prop_assert_eq!(verdict(&before), verdict(&after), "{}", new);
        }
    }

    #[test]
    fn blanks_make_no_difference(
        condition in generated::condition(),
        style in 0..8_usize,
        choices in prop::collection::vec(any::<Index>(), 1..20),
    ) {
        let bare = style == 6;
        let condition = if bare { format!("({condition})") } else { condition };
        let formatted = |condition: &str| format(&file(condition, style)).map_err(|e| e.to_string());
        prop_assert_eq!(formatted(&spaced(&condition, false, &choices)), formatted(&condition));
    }

    #[test]
    fn whatever_is_in_a_file_formatting_is_stable_and_keeps_it_whole(
        which in 0..SEEDS.len(),
        changes in prop::collection::vec((any::<Index>(), prop::sample::select(PIECES.to_vec()), 0..3_usize), 0..6),
    ) {
        let mut text = SEEDS[which].to_owned();
        for (at, piece, removed) in changes {
            let starts: Vec<usize> =
                text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let at = at.index(starts.len());
            let end = (at + removed).min(starts.len() - 1);
            text.replace_range(starts[at]..starts[end], piece);
        }
        for source in [SourceText::yaml("r", text.as_str()), SourceText::json("r", text.as_str())] {
            let Ok(new) = format(&source) else { continue };
            let again = SourceText { text: new.clone(), ..source.clone() };
            prop_assert_eq!(format(&again).unwrap(), new.as_str(), "from {:?}", text);
            let codes = |source: &SourceText| match RuleSet::compile(std::slice::from_ref(source)) {
                Ok(rules) => (rules.rules().map(|rule| rule.name.to_string()).collect(), Vec::new()),
                Err(wrong) => (Vec::new(), wrong.iter().map(|one| one.code).collect()),
            };
            prop_assert_eq!(codes(&source), codes(&again), "{:?} became {:?}", text, new);
        }
    }
}

/// Files to make odd ones of, and what to put into them.
const SEEDS: [&str; 6] = [
    include_str!("../data/ok/everything.yaml"),
    include_str!("../data/ok/list.yaml"),
    include_str!("../data/ok/r1.json"),
    "when: &x |2+  # c\n\n   a > 1 &&\n    b\n\n\nthen:\n- 'f()'\n- >-\n  g(1);\n  h()\n",
    "- when: \"a == \\\"x\\\" \\\n    && b\"\n  then: 'f(''x'')'\n  annotations: {a: \"b  \n   c\"}\n",
    "rules:\n- when: (a\n   in [1,\n   2])\n  then: f()\n  labels:\n    x: |+\n     y  \n\n",
];
const PIECES: [&str; 34] = [
    "", " ", "  ", "\n", "\n  ", "\r\n", "\t", "(", ")", "((", "))", "[", "]", ",", ";", "'", "''",
    "\"", "\\", "\\\n", "\\n", "!", "-", " not ", " in ", "|", ">", "+", "# x", ": ", "&x ", "*x",
    "\u{e9}", "\u{feff}",
];
