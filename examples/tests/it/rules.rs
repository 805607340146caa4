//! `birl rules`: check, eval and explain.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::support::birl;

const RULES: &str = "rules:\n  - name: hot\n    when: cpu > 90\n    where: env == 'prod'\n    then: notify('team')\n";

/// A folder of rule files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn rules(folder: &tempfile::TempDir, args: &[&str], input: &str) -> Output {
    let mut command = birl();
    command.arg("rules").args(args).arg(folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_folder_is_checked_and_every_mistake_is_told() {
    let good = folder(&[("a.yaml", RULES)]);
    let output = rules(&good, &["check"], "");
    assert_eq!(
        (output.status.code(), said(&output.stdout)),
        (Some(0), "1 rule, no mistakes\n".into())
    );

    let many: String =
        (0..40).map(|n| format!("- {{name: r{n}, when: x >, then: notify()}}\n")).collect();
    let bad = folder(&[("a.yaml", "{whn: x, then: notify()}"), ("b.yml", &many), ("c.json", "{")]);
    let output = rules(&bad, &["check"], "");
    let text = said(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.matches("error[").count(), 42, "{text}");
    assert!(text.contains("did you mean `when`?") && text.contains("b.yml:40:"), "{text}");
    assert!(said(&output.stderr).contains("42 mistakes in the rules"));

    let output = rules(&bad, &["check", "--format", "json"], "");
    assert_eq!(output.status.code(), Some(2));
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list.len(), 42);
    assert_eq!(
        (&list[0]["code"], &list[0]["line"], &list[0]["column"]),
        (&"E0102".into(), &1.into(), &2.into())
    );
}

#[test]
fn events_are_judged_and_explained() {
    let good = folder(&[("a.yaml", RULES)]);
    let events = "{\"ts\": \"2026-11-28T10:00:00Z\", \"cpu\": 97, \"env\": \"prod\"}\n\n\
                  {\"ts\": 1, \"cpu\": 97.5, \"env\": \"dev\"}\n{\"cpu\": \"97\", \"env\": \"prod\"}\n";
    let output = rules(&good, &["eval"], events);
    let fired: Vec<serde_json::Value> =
        said(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    assert_eq!(
        (fired[0]["rule"].as_str(), fired[0]["status"].as_str()),
        (Some("hot"), Some("firing"))
    );

    let output = rules(&good, &["explain", "--rule", "hot", "--output", "text"], events);
    let text = said(&output.stdout);
    assert!(
        text.contains("rule hot matches\n") && text.contains("rule hot does not match"),
        "{text}"
    );
    assert!(text.contains("[env=dev]") && text.contains("convert with num()"), "{text}");
}

#[test]
fn what_is_wrong_with_the_input_is_told() {
    let good = folder(&[("a.yaml", RULES)]);
    for (args, input, says) in [
        (&["eval"][..], "{\"a\": 1}\n{\"a\": \n", "line 2 of standard input is no JSON object"),
        (&["eval"], "[1]\n", "line 1 of standard input is no JSON object: expected an object"),
        (&["explain", "--rule", "hto"], "", "did you mean `hot`?"),
    ] {
        let output = rules(&good, args, input);
        let text = said(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(says), "{text}");
    }
    let output = birl().args(["rules", "check", "/nowhere/rules.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains("/nowhere/rules.yaml"));
}
