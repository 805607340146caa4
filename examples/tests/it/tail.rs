//! `birl tail`: entries on standard output, in each form.

use std::io::{BufRead as _, Write as _};
use std::process::{Output, Stdio};

use crate::support::birl;

fn tail(args: &[&str], input: &str) -> Output {
    let mut child = birl()
        .arg("tail")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Vec<serde_json::Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_is_printed_to_its_end_as_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    std::fs::write(&path, "{\"level\":\"info\",\"n\":1}\n\nplain text\nk=v other=\"two words\"\n")
        .unwrap();
    let entries = json(&tail(&["--no-follow", path.to_str().unwrap()], ""));
    assert_eq!(entries.len(), 3, "blank lines are dropped");
    assert_eq!(entries[0]["fields"]["n"], 1);
    assert_eq!(entries[0]["labels"]["source"], "file");
    assert_eq!(entries[1]["line"], "plain text");
    assert_eq!(entries[2]["fields"]["other"], "two words");
}

#[test]
fn a_large_file_is_printed_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.log");
    let text: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    std::fs::write(&path, text).unwrap();
    let entries = json(&tail(&["--no-follow", "--parse", "raw", path.to_str().unwrap()], ""));
    assert_eq!(entries.len(), 50_000);
    assert!(entries.iter().enumerate().all(|(n, entry)| entry["line"] == format!("line {n}")));
}

#[test]
fn framing_says_what_a_line_is() {
    let args = ["--parse", "raw", "--framing", "containers=true", "--framing", "multiline=java"];
    let time = "2026-11-23T08:00:00.5Z";
    let input = format!(
        "{time} stderr P java.lang.\n{time} stdout F up\n{time} stderr F Error: x\n\
         {time} stderr F \tat a.B.c(B.java:1)\n"
    );
    let entries = json(&tail(&[&args[..], &["-"]].concat(), &input));
    let lines: Vec<_> = entries.iter().map(|entry| entry["line"].as_str().unwrap()).collect();
    assert_eq!(lines, ["java.lang.Error: x\n\tat a.B.c(B.java:1)", "up"]);
}

#[test]
fn files_are_left_out_and_old_ones_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["a.log", "b.log", "old.log"] {
        std::fs::write(at(name), format!("{name}\n")).unwrap();
    }
    let hour = std::time::Duration::from_secs(3600);
    let old = std::fs::File::options().append(true).open(at("old.log")).unwrap();
    old.set_modified(old.metadata().unwrap().modified().unwrap() - 2 * hour).unwrap();
    let pattern = at("*.log");
    let args = ["--no-follow", "--exclude", "b.*", "--ignore-older", "1h"];
    let entries = json(&tail(&[&args[..], &[pattern.to_str().unwrap()]].concat(), ""));
    let lines: Vec<_> = entries.iter().map(|entry| entry["line"].as_str().unwrap()).collect();
    assert_eq!(lines, ["a.log"]);
}

#[test]
fn a_file_is_removed_once_it_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.log");
    std::fs::write(&path, "one\ntwo\n").unwrap();
    let mut child = birl()
        .args(["tail", "--output", "json", "--remove-after-ack=10ms"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    for word in ["one", "two"] {
        assert!(lines.next().unwrap().unwrap().contains(word));
    }
    let gone = (0..2000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        !path.exists()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(gone);
}

#[test]
fn a_command_is_run_and_its_output_read() {
    let entries = json(&tail(&["cmd:printf 'one\\ntwo\\n'"], ""));
    assert_eq!(
        entries.iter().map(|entry| entry["line"].as_str().unwrap()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(entries[0]["labels"]["source"], "stdout");
}

#[test]
fn no_follow_reads_a_command_to_its_end_too() {
    let entries = json(&tail(&["--no-follow", "cmd:seq 3"], ""));
    assert_eq!(entries.len(), 3);
}

#[test]
fn standard_input_is_read_to_its_end() {
    let entries = json(&tail(&["-"], "a=1\na=2\n"));
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["fields"]["a"], 2);
}

#[test]
fn a_regex_gives_fields() {
    let entries = json(&tail(&["--regex", r"^(?<ip>\S+) (?<status>\d+)", "-"], "10.0.0.1 200\n"));
    assert_eq!(entries[0]["fields"]["ip"], "10.0.0.1");
}

#[test]
fn yaml_and_text_are_forms_too() {
    let yaml = tail(&["-o", "yaml", "-"], "a=1\n");
    assert!(String::from_utf8_lossy(&yaml.stdout).starts_with("---\n"));
    let text = tail(&["-o", "text", "-"], "hello\n");
    assert!(String::from_utf8_lossy(&text.stdout).trim_end().ends_with("hello"));
}

#[test]
fn completions_and_the_manual_are_printed() {
    for (args, part) in [(["completions", "bash"].as_slice(), "_birl"), (&["man"], ".TH birl")] {
        let output = birl().args(args).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains(part));
    }
}
