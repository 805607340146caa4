//! Every file of `tests/data` against its `.expect`; `UPDATE_EXPECT=1` rewrites them.
//!
//! `err`: the rendered diagnostics. `ok`: what the compiler understood.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use birl_rules_dsl::{Format, RuleSet, SourceText};

#[test]
fn broken_rule_files_say_what_to_do() {
    let count = each("err", |source| match RuleSet::compile(&[source]) {
        Ok(_) => panic!("a case of `err` compiles"),
        Err(diagnostics) => diagnostics.to_string(),
    });
    assert!(count >= 25, "only {count} cases");
}

#[test]
fn good_rule_files_are_understood() {
    each("ok", |source| match RuleSet::compile(&[source]) {
        Ok(rules) => summary(&rules),
        Err(diagnostics) => panic!("{diagnostics}"),
    });
}

fn summary(rules: &RuleSet) -> String {
    let mut out = String::new();
    for rule in rules.rules() {
        writeln!(out, "{} (line {})", rule.name, rule.line).unwrap();
        writeln!(out, "  when {:?}", rule.when).unwrap();
        if let Some(scope) = &rule.scope {
            writeln!(out, "  where {scope:?}").unwrap();
        }
        for intent in &rule.intents {
            writeln!(out, "  then {intent}").unwrap();
        }
        writeln!(
            out,
            "  window {:?} by {:?} keep_firing_for {:?} labels {:?}",
            rule.window, rule.by, rule.keep_firing_for, rule.labels
        )
        .unwrap();
    }
    let fields: Vec<&str> = rules.fields().iter().map(|field| field.as_str()).collect();
    writeln!(out, "fields {fields:?}").unwrap();
    out
}

fn each(folder: &str, run: impl Fn(SourceText) -> String) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml" || ext == "json"))
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let format = if name.ends_with("json") { Format::Json } else { Format::Yaml };
        let actual = run(SourceText { name, text, format });
        let expect = path.with_extension(format!("{}.expect", path.extension().unwrap().display()));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&expect, &actual).unwrap();
        } else if std::fs::read_to_string(&expect).unwrap_or_default() != actual {
            wrong.push(format!("{}:\n{actual}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    files.len()
}

/// Whoever meets a code finds it in the reference, and here a file that leads to it.
#[test]
fn every_code_is_in_the_reference_and_has_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = std::fs::read_to_string(root.join("src/syntax.md")).unwrap();
    let (mut open, mut source) = (vec![root.join("src")], String::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                None => open.push(path),
                Some(extension) if extension == "rs" => {
                    source.push_str(&std::fs::read_to_string(path).unwrap());
                }
                Some(_) => {}
            }
        }
    }
    let mut cases = String::new();
    for entry in std::fs::read_dir(root.join("tests/data/err")).unwrap() {
        cases.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let is_code = |text: &&str| {
        text.len() == 5 && text.starts_with(['E', 'W']) && text[1..].parse::<u16>().is_ok()
    };
    let mut codes: Vec<&str> = source.split('"').filter(is_code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert!(codes.len() > 30, "{codes:?}");
    for code in codes {
        assert!(reference.contains(&format!("\n| {code} | ")), "{code} is not in the reference");
        let is_shown = cases.contains(&format!("error[{code}]")) || code.starts_with('W');
        assert!(is_shown, "no file of tests/data/err leads to {code}");
    }
}
