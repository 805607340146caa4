//! `birl route`: ask, check, test, show and draw. What it prints is in `route/`; `BLESS=1` writes it anew, to be looked at.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::birl;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/route")
}

/// Runs where the files are, so that what is printed has no paths of this machine.
fn route(args: &[&str], input: &str) -> Output {
    let mut command = birl();
    command.current_dir(folder()).arg("route").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn golden(name: &str, found: &str) {
    let path = folder().join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name}; BLESS=1 writes it anew");
}

const PAGE: [&str; 4] = ["team=web", "severity=page", "env=prod", "alertname=Slow"];

#[test]
fn an_alert_is_told_to_whom_by_what_and_why() {
    let ask = [&["-c", "alertmanager.yml", "-o", "text"][..], &PAGE].concat();
    let output = route(&ask, "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    golden("ask.txt", &said(&output.stdout));
}

#[test]
fn alerts_come_in_as_json_of_any_shape() {
    let input = r#"{"team": "db", "code": 5}
        {"labels": {"team": "api"}, "annotations": {"summary": "x"}, "startsAt": "2026-11-29T00:00:00Z"}

        [{"labels": {"team": "web"}}, {"severity": "page"}]
        {"status": "success", "data": {"alerts": [{"labels": {"env": "prod"}}]}}
        {"version": "4", "alerts": [{"labels": {"team": "api", "env": "staging"}}]}"#;
    let output = route(&["-c", "alertmanager.yml"], input);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    let answers: Vec<Value> =
        said(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let receivers: Vec<String> =
        answers.iter().map(|answer| answer["receivers"].to_string()).collect();
    let expected = [
        r#"["makers"]"#,
        r#"["makers"]"#,
        r#"["makers"]"#,
        r#"["pager"]"#,
        r#"["everybody"]"#,
        r#"["nobody-null"]"#,
    ];
    assert_eq!(receivers, expected);
    assert_eq!(answers[0]["labels"]["code"], "5");
    let told = &answers[0]["told"][0];
    assert_eq!(told["route"], "route.routes[2]");
    assert_eq!(told["ways"][0]["endpoint"], "makers/webhook_configs/0");
    assert_eq!(answers[0]["walk"][1]["verdict"], "differs");
    assert!(told["ways"][0]["reason"].as_str().unwrap().contains("route.routes[2] matches"));
}

#[test]
fn what_cannot_be_asked_is_told() {
    for (args, input, says) in [
        (&["team=api"][..], "", "no configuration"),
        (&["-c", "alertmanager.yml", "team"], "", "`team` is no label"),
        (&["-c", "alertmanager.yml", "a=1", "a=2"], "", "the label `a` is given twice"),
        (&["-c", "nowhere.yml", "a=1"], "", "cannot read the configuration nowhere.yml"),
        (&["-c", "tests.yaml", "a=1"], "", "the key `route` is missing"),
        (
            &["-c", "alertmanager.yml"],
            "{\"a\": 1}\n{\"a\": ",
            "line 2 of standard input is no alert",
        ),
        (
            &["-c", "alertmanager.yml"],
            "[1]",
            "line 1 of standard input is no alert: expected labels",
        ),
        (&["-c", "alertmanager.yml"], "3", "expected an object, or a list of them"),
        (&["-c", "alertmanager.yml"], "{\"labels\": {\"a\": [1]}}", "names, each with one value"),
    ] {
        let output = route(args, input);
        let error = said(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn the_tree_is_printed_and_drawn() {
    let show = ["show", "-c", "alertmanager.yml"];
    golden("show.txt", &said(&route(&show, "").stdout));
    golden("show-way.txt", &said(&route(&[&show[..], &PAGE].concat(), "").stdout));

    let drawing = tempfile::tempdir().unwrap();
    let path = drawing.path().join("way.svg");
    let output = route(&[&show[..], &["--svg", path.to_str().unwrap()], &PAGE].concat(), "");
    assert_eq!((output.status.code(), said(&output.stdout)), (Some(0), String::new()));
    let svg = std::fs::read_to_string(&path).unwrap();
    golden("way.svg", &svg);
    // Every box stands alone, and holds its text.
    let number = |text: &str, key: &str| -> f64 {
        text.split_once(&format!("{key}=\"")).unwrap().1.split('"').next().unwrap().parse().unwrap()
    };
    let boxes: Vec<(f64, f64)> = svg
        .lines()
        .filter(|line| line.starts_with("<rect x="))
        .map(|line| (number(line, "x"), number(line, "y")))
        .collect();
    assert_eq!(boxes.len(), 7);
    for (i, (x, y)) in boxes.iter().enumerate() {
        for (other_x, other_y) in &boxes[i + 1..] {
            assert!((x - other_x).abs() >= 330.0 || (y - other_y).abs() >= 58.0);
        }
    }
    for line in
        svg.lines().filter(|line| line.starts_with("<text class") && !line.contains("title"))
    {
        let text = line.split_once('>').unwrap().1.split("</text>").next().unwrap();
        let text = text
            .replace("&quot;", "q")
            .replace("&lt;", "l")
            .replace("&gt;", "g")
            .replace("&amp;", "a");
        assert!(text.chars().count() <= 38, "{line}");
    }
    // What was shortened is there for whoever points at it.
    assert!(svg.contains("…") && svg.contains("another-service-with-a-long-name|&lt;and&gt;&amp;"));
    let output = route(&["show", "-c", "alertmanager.yml", "--svg", "/nowhere/a.svg"], "");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn expectations_are_held_against_the_routes() {
    let output = route(&["test", "tests.yaml"], "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stdout));
    golden("tests.txt", &said(&output.stdout));

    let output = route(&["test", "-c", "alertmanager.yml", "failing.yaml"], "");
    assert_eq!(output.status.code(), Some(1));
    golden("failing.txt", &said(&output.stdout));
    assert_eq!(said(&output.stderr), "error: 1 test failed\n");

    let output = route(&["test", "-c", "alertmanager.yml", "failing.yaml", "-o", "json"], "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["tests"], &report["failures"][0]["line"]), (&2.into(), &2.into()));
    assert_eq!(report["coverage"][0]["reached"], 2);
}

#[test]
fn too_little_coverage_is_a_failure() {
    let enough = route(&["test", "tests.yaml", "--min-coverage", "57"], "");
    assert_eq!(enough.status.code(), Some(0), "{}", said(&enough.stderr));
    let output = route(&["test", "tests.yaml", "--min-coverage", "58"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output.stderr).contains("57.1 % of the routes of alertmanager.yml"),
        "{}",
        said(&output.stderr)
    );
    // Two files of one configuration count together.
    let both =
        ["test", "-c", "alertmanager.yml", "tests.yaml", "failing.yaml", "--min-coverage", "57"];
    assert!(said(&route(&both, "").stdout).contains("4 of 7 routes reached"));
}

#[test]
fn a_test_that_cannot_be_read_is_bad_input() {
    for (text, says) in [
        ("tests: [{labels: {a: b}, receivers: []}]", "names no configuration"),
        ("config: x.yml\ntests: [{labels: {a: b}, recievers: []}]", "did you mean `receivers`?"),
        ("config: nowhere.yml\ntests: []", "nowhere.yml"),
    ] {
        let site = tempfile::tempdir().unwrap();
        let path = site.path().join("tests.yaml");
        std::fs::write(&path, text).unwrap();
        let output = route(&["test", path.to_str().unwrap()], "");
        let error = said(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_configuration_is_checked() {
    let output = route(&["check", "alertmanager.yml"], "");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    let text = said(&output.stdout);
    golden("check.txt", &text);
    assert!(!text.contains("sEcReT"));
    let output = route(&["check", "alertmanager.yml", "--deny-warnings", "-o", "json"], "");
    assert_eq!(output.status.code(), Some(2));
    let reports: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reports[0]["lints"][0]["code"], "plain-regex");
    assert_eq!(
        (&reports[0]["lints"][0]["line"], &reports[0]["notices"][0]["line"]),
        (&18.into(), &2.into())
    );

    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("bad.yml");
    std::fs::write(&path, "route:\n  receiver: b\nreceivers: [{name: a}]\n").unwrap();
    let output = route(&["check", path.to_str().unwrap(), "alertmanager.yml"], "");
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output.stdout);
    assert!(
        text.starts_with("error: route: there is no receiver `b`: did you mean `a`?\n"),
        "{text}"
    );
    assert!(text.contains("bad.yml:1:1\n  |\n1 | route:\n  | ^^^^^"), "{text}");
    // The good one is still told of.
    assert!(text.contains("alertmanager.yml: 7 routes, 4 receivers, no mistakes"), "{text}");
}

/// birl's own file has routes, too.
#[test]
fn birls_own_file_is_asked_as_well() {
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("birl.yaml");
    let config = "sources: [{stdin: true}]\nroute: {receiver: a, routes: [{matchers: ['team:api'], receiver: b}]}\n\
                  receivers: [{name: a, stdout_configs: [{}]}, {name: b, stdout_configs: [{}]}]\n";
    std::fs::write(&path, config).unwrap();
    let output = route(&["-c", path.to_str().unwrap(), "-o", "text", "team=api"], "");
    let text = said(&output.stdout);
    assert!(
        text.contains("-> b by b/stdout_configs/0 (route.routes[0]"),
        "{text}{}",
        said(&output.stderr)
    );
    std::fs::write(&path, "sources: [{stdin: true}]\n").unwrap();
    let output = route(&["-c", path.to_str().unwrap(), "team=api"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains("has no `route`"));
}
