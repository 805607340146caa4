//! `birl decide`: what a scaler says to a file of observations. What it prints is in `decide/`; `BLESS=1` writes it anew,
//! to be looked at.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::birl;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/decide")
}

fn decide_in(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut command = birl();
    command.current_dir(folder).arg("decide").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn decide(args: &[&str], input: &str) -> Output {
    decide_in(&folder(), args, input)
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn ok(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    said(&output.stdout)
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let told = said(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    for word in words {
        assert!(told.contains(word), "`{word}` is not in:\n{told}");
    }
}

fn observations() -> String {
    std::fs::read_to_string(folder().join("observations.jsonl")).unwrap()
}

#[test]
fn each_decision_is_explained_with_inputs_ages_proposals_limits_and_winner() {
    let args = ["scaler.yaml", "observations.jsonl", "-o", "text", "--explain"];
    let found = ok(&decide(&args, ""));
    let path = folder().join("explain.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "explain.txt; BLESS=1 writes it anew");
    assert!(found.contains("scale_up workers 3 → 5"), "{found}");
    assert!(found.contains("signal cpu: 4 s old, 3 of 3 samples with a value"), "{found}");
}

#[test]
fn answers_are_data_a_line_each_and_the_same_from_a_file_and_from_a_pipe() {
    let piped = ok(&decide(&["scaler.yaml"], &observations()));
    assert_eq!(piped, ok(&decide(&["scaler.yaml", "observations.jsonl", "--format", "json"], "")));
    let answers: Vec<Value> =
        piped.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 8);
    let outcomes: Vec<_> = answers.iter().map(|answer| answer["to"].as_u64().unwrap()).collect();
    assert_eq!(outcomes, [3, 3, 5, 5, 5, 5, 5, 6]);
    assert_eq!(answers[5]["reason"], "unknown_signal");
    assert_eq!(answers[7]["trigger"]["asked_by"], "rule slow");
    let changes = ok(&decide(&["scaler.yaml", "--changes"], &observations()));
    assert_eq!(changes.lines().count(), 2);
    let explained = ok(&decide(&["scaler.yaml", "--explain"], &observations()));
    let first: Value = serde_json::from_str(explained.lines().next().unwrap()).unwrap();
    assert_eq!(first["inputs"]["ages"][0]["age_ms"], 4000);
    assert_eq!(first["inputs"]["seen"]["current"]["desired"], 3);
}

/// A piece at a time, over a file or a log, is the same as all at once.
#[test]
fn it_goes_on_from_a_state_file_and_from_a_log() {
    let whole = ok(&decide(&["scaler.yaml"], &observations()));
    let site = tempfile::tempdir().unwrap();
    std::fs::copy(folder().join("scaler.yaml"), site.path().join("scaler.yaml")).unwrap();
    for keep in ["--state=state.json", "--log=log"] {
        let pieces: String = observations()
            .lines()
            .map(|line| ok(&decide_in(site.path(), &["scaler.yaml", keep], line)))
            .collect();
        assert_eq!(pieces, whole, "{keep}");
    }
    let replay = ok(&decide_in(site.path(), &["--replay=log", "-o", "text"], ""));
    assert_eq!(replay, "8 the same, 0 otherwise, 0 cannot be told, 0 damaged\n");
}

#[test]
fn a_log_is_tried_with_an_edited_scaler_and_what_differs_is_told() {
    let site = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(folder().join("scaler.yaml")).unwrap();
    std::fs::write(site.path().join("scaler.yaml"), &text).unwrap();
    std::fs::write(site.path().join("edited.yaml"), text.replace("scaleUp: 30s", "scaleUp: 0s"))
        .unwrap();
    ok(&decide_in(site.path(), &["scaler.yaml", "--log=log"], &observations()));
    let output = decide_in(site.path(), &["edited.yaml", "--replay=log", "-o", "text"], "");
    refused(&output, 1, &["came otherwise"]);
    let told = said(&output.stdout);
    assert!(told.contains("2026-11-23T08:01:00Z differs\n  was: hold workers at 3"), "{told}");
    assert!(told.contains("\n  is:  scale_up workers 3 → 5"), "{told}");

    // A bit that has flipped is named, with its place.
    let path = site.path().join("log/decisions-00000001.jsonl");
    let text =
        std::fs::read_to_string(&path).unwrap().replacen("\"desired\":5", "\"desired\":4", 1);
    std::fs::write(&path, text).unwrap();
    let output = decide_in(site.path(), &["--replay=log", "-o", "text"], "");
    refused(&output, 1, &["1 entry damaged"]);
    let told = said(&output.stdout);
    assert!(
        told.contains("decisions-00000001.jsonl: line ") && told.contains("checksum"),
        "{told}"
    );
}

#[test]
fn a_scaler_is_a_spec_a_resource_or_one_of_birls_configuration() {
    let site = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(site.path().join(name), text).unwrap();
    write("spec.json", r#"{"targetRef": {"name": "a"}, "maxReplicas": 3}"#);
    let two = "sources: [{file: x.log}]\nscalers:\n  - spec: {targetRef: {name: a}, maxReplicas: 3}\n  \
               - spec: {targetRef: {name: b}, minReplicas: 2, maxReplicas: 3}\n";
    write("birl.yaml", two);
    let one = r#"{"at":"2026-11-23T08:00:00Z","seen":{"current":{"desired":1,"ready":1}}}"#;
    let decide = |args: &[&str]| decide_in(site.path(), args, one);
    assert!(ok(&decide(&["spec.json", "-o", "text"])).contains("hold a at 1"));
    assert!(ok(&decide(&["birl.yaml", "--name=b", "-o", "text"])).contains("scale_up b 1 → 2"));
    refused(&decide(&["birl.yaml"]), 2, &["birl.yaml has 2 scalers", "`--name` says which: a, b"]);
    refused(&decide(&["birl.yaml", "--name=bb"]), 2, &["no scaler `bb`", "did you mean `b`?"]);
    refused(&decide(&["spec.json", "--name=b"]), 2, &["is about `a`, not about `b`"]);
}

#[test]
fn mistakes_have_a_place_and_a_remedy() {
    let site = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(site.path().join(name), text).unwrap();
    let decide = |args: &[&str], input: &str| decide_in(site.path(), args, input);
    refused(&decide(&["none.yaml"], ""), 2, &["cannot read the scaler none.yaml"]);
    write("typo.yaml", "targetRef: {name: a}\nmaxReplica: 3\n");
    refused(&decide(&["typo.yaml"], ""), 2, &["typo.yaml:2:1", "maxReplica"]);
    write("order.yaml", "{targetRef: {name: a}, minReplicas: 5, maxReplicas: 3}");
    refused(
        &decide(&["order.yaml"], ""),
        2,
        &["order.yaml", "minReplicas (5) is above maxReplicas (3)"],
    );
    write("kind.yaml", "kind: Deployment\nspec: {targetRef: {name: a}, maxReplicas: 3}\n");
    refused(&decide(&["kind.yaml"], ""), 2, &["`kind` is `Deployment`", "kind.yaml"]);

    write("good.yaml", "{targetRef: {name: a}, maxReplicas: 3}");
    let good = r#"{"at":"2026-11-23T08:00:00Z","seen":{"current":{"desired":1,"ready":1}}}"#;
    let second = r#"{"at":"2026-11-23T08:00:00Z","seen":{"current":{"desired":1,"redy":1}}}"#;
    write("seen.jsonl", &format!("{good}\n\n{second}\n"));
    let output = decide(&["good.yaml", "seen.jsonl"], "");
    refused(&output, 2, &["unknown field `redy`", "seen.jsonl:3:", "= help: write `{\"at\""]);
    assert_eq!(said(&output.stdout).lines().count(), 1, "what came before it is answered");
    refused(&decide(&["good.yaml"], "[]"), 2, &["standard input:1:"]);
    write("bad.json", "{\"format\":1}");
    refused(
        &decide(&["good.yaml", "--state=bad.json"], good),
        2,
        &["bad.json is no state of a decider"],
    );
    refused(&decide(&["--replay=."], ""), 2, &["holds no decision log"]);
    refused(&decide(&[], ""), 2, &["SCALER"]);
    // A state of another target is not taken for this one's.
    ok(&decide(&["good.yaml", "--state=a.json"], good));
    write("other.yaml", "{targetRef: {name: b}, maxReplicas: 3}");
    refused(&decide(&["other.yaml", "--state=a.json"], good), 2, &["belongs to `a`, not to `b`"]);
}

#[test]
fn a_reading_without_a_time_is_one_of_now() {
    let site = tempfile::tempdir().unwrap();
    std::fs::write(site.path().join("a.yaml"), "{targetRef: {name: a}, maxReplicas: 3}").unwrap();
    let one = r#"{"seen":{"current":{"desired":1,"ready":1}}}"#;
    let answer: Value =
        serde_json::from_str(&ok(&decide_in(site.path(), &["a.yaml"], one))).unwrap();
    assert!(answer["at"].as_str().unwrap() > "2026-11-01", "{answer}");
}
