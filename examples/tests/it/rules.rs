//! `birl rules`: check, fmt, eval and explain.

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
fn what_is_odd_is_told_and_may_be_denied() {
    let odd =
        folder(&[("a.yaml", "macros: {unused: x > 1}\nrules: [{when: y > 1, then: notify()}]")]);
    let output = rules(&odd, &["check"], "");
    let text = said(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with("warning[W0002]: no rule uses the macro `unused`"), "{text}");
    assert!(text.ends_with("1 rule, no mistakes, 1 warning\n"), "{text}");
    let output = rules(&odd, &["check", "--deny-warnings", "--format", "json"], "");
    assert_eq!(output.status.code(), Some(2));
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list[0]["code"], "W0002");
    assert!(said(&output.stderr).contains("1 warning about the rules"));
}

#[test]
fn what_cannot_be_judged_is_told() {
    let folder = folder(&[("a.yaml", "{name: r, when: x > 1, then: notify(), on_missing: error}")]);
    let output = rules(&folder, &["eval"], "{\"y\": 1}\n{\"x\": 0}\n{\"x\": \"a\"}\n");
    assert_eq!((output.status.code(), said(&output.stdout)), (Some(0), String::new()));
    let told = "rule r could not judge 2 events, the last one because a field is of a type that \
                gives no answer\n";
    assert_eq!(said(&output.stderr), told);
    let output = rules(&folder, &["explain", "--output", "text"], "{\"y\": 1}\n");
    assert!(said(&output.stdout).contains("does not match: unknown, and `on_missing: error`"));
    let empty = tempfile::tempdir().unwrap();
    let output = rules(&empty, &["check"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains("there are no rule files in"));
}

#[test]
fn an_event_without_a_readable_time_is_refused() {
    let folder =
        folder(&[("a.yaml", "{name: r, when: x > 0, then: notify(), keep_firing_for: 1m}")]);
    let input = "{\"x\": 1, \"ts\": \"2026-11-23T08:00:00Z\"}\n{\"x\": 1, \"ts\": 1795420830500}\n";
    let output = rules(&folder, &["eval", "--output", "json"], input);
    let lines: Vec<serde_json::Value> =
        said(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Thousandths of seconds are told from seconds, so both are of one minute.
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((&lines[1]["repeat"], &lines[0]["episode"]), (&true.into(), &lines[1]["episode"]));
    let output = rules(&folder, &["eval"], "{\"x\": 1, \"ts\": \"yesterday\"}\n");
    let error = said(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("line 1 of standard input: `ts` is no time: yesterday"), "{error}");
}

#[test]
fn the_schema_is_printed() {
    let output = birl().args(["rules", "schema"]).output().unwrap();
    assert_eq!(said(&output.stdout), birl_rules_dsl::JSON_SCHEMA);
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

const UNTIDY: &str = "when: cpu>90   # hot\nthen: notify( )";
const TIDY: &str = "when: cpu > 90   # hot\nthen: notify()\n";

/// The files of a folder with what they hold, hidden ones too.
fn held(folder: &tempfile::TempDir) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut held: Vec<_> =
        entries.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect();
    held.sort();
    held
}

#[test]
fn rule_files_are_formatted_in_place() {
    let json = "{\"when\": \"cpu>90\", \"then\": \"notify()\"}";
    let files = [
        ("a.yaml", UNTIDY),
        ("b.yml", TIDY),
        ("c.json", json),
        ("d.txt", UNTIDY),
        (".e.yaml", UNTIDY),
    ];
    let site = folder(&files);
    let path = |name: &str| site.path().join(name);
    let before = held(&site);

    let output = rules(&site, &["fmt", "--check"], "");
    let names = format!("{}\n{}\n", path("a.yaml").display(), path("c.json").display());
    assert_eq!((output.status.code(), said(&output.stdout)), (Some(1), names.clone()));
    assert_eq!(said(&output.stderr), "error: 2 files are not formatted\n");
    assert_eq!(held(&site), before, "a check changes nothing");

    #[cfg(unix)]
    let inode = {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        std::fs::set_permissions(path("a.yaml"), std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(path("a.yaml"), path("z.yaml")).unwrap();
        std::fs::metadata(path("a.yaml")).unwrap().ino()
    };
    let output = rules(&site, &["fmt"], "");
    assert_eq!((output.status.code(), said(&output.stdout)), (Some(0), names));
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let metadata = std::fs::metadata(path("a.yaml")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
        assert_ne!(metadata.ino(), inode, "written anew, so that nobody reads a half of it");
        assert!(std::fs::symlink_metadata(path("z.yaml")).unwrap().is_symlink());
        std::fs::remove_file(path("z.yaml")).unwrap();
    }
    let expected = [
        (".e.yaml", UNTIDY.to_owned()),
        ("a.yaml", TIDY.to_owned()),
        ("b.yml", TIDY.to_owned()),
        ("c.json", json.replace("cpu>90", "cpu > 90") + "\n"),
        ("d.txt", UNTIDY.to_owned()),
    ];
    assert_eq!(held(&site), expected.map(|(name, text)| (name.to_owned(), text)));

    for args in [&["fmt"][..], &["fmt", "--check"]] {
        let output = rules(&site, args, "");
        assert_eq!((output.status.code(), said(&output.stdout)), (Some(0), String::new()));
    }
}

#[test]
fn what_is_wrong_is_not_formatted() {
    let site = folder(&[("a.yaml", "when: cpu>\nthen: notify( )\n"), ("b.yaml", UNTIDY)]);
    for (args, b) in [(&["fmt", "--check"][..], UNTIDY), (&["fmt"], TIDY)] {
        let output = rules(&site, args, "");
        let text = said(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("error[E0201]") && text.contains("a.yaml:1:10"), "{text}");
        assert!(said(&output.stdout).ends_with("b.yaml\n"), "{}", said(&output.stdout));
        let held = held(&site);
        assert_eq!(held[0].1, "when: cpu>\nthen: notify( )\n");
        assert_eq!((held.len(), held[1].1.as_str()), (2, b));
    }
    let output = birl().args(["rules", "fmt", "/nowhere/rules.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains("/nowhere/rules.yaml"));
}

#[test]
#[cfg(unix)]
fn a_file_that_may_not_be_written_is_not_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = folder(&[("a.yaml", UNTIDY)]);
    let file = site.path().join("a.yaml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    let output = rules(&site, &["fmt"], "");
    let text = said(&output.stderr);
    assert_eq!((output.status.code(), said(&output.stdout)), (Some(1), String::new()), "{text}");
    assert!(text.contains("a.yaml: it is read-only"), "{text}");
    assert_eq!(held(&site), [("a.yaml".to_owned(), UNTIDY.to_owned())]);
}

#[test]
fn standard_input_is_formatted_to_standard_output() {
    let run = |args: &[&str], input: &str| {
        let mut command = birl();
        command.args(["rules", "fmt"]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), said(&output.stdout), said(&output.stderr))
    };
    assert_eq!(run(&["-"], UNTIDY), (Some(0), TIDY.into(), String::new()));
    assert_eq!(run(&["-"], TIDY), (Some(0), TIDY.into(), String::new()));
    assert_eq!(run(&["-", "--check"], TIDY), (Some(0), String::new(), String::new()));
    let (code, out, error) = run(&["-", "--check"], UNTIDY);
    assert_eq!((code, out.as_str()), (Some(1), "<stdin>\n"), "{error}");
    let (code, out, error) = run(&["-"], "when: a >\n");
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.starts_with("error[E0201]") && error.contains("<stdin>:1:9"), "{error}");
}
