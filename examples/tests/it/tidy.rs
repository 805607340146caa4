//! Rules that matter are tests: lengths, dependency trees, no hidden sibling edges.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The packages that a library brings with its default features, itself not counted.
fn dependencies(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--offline", "--package", package, "--edges", "normal", "--prefix", "none"])
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned);
    names.filter(|name| name != package && !name.is_empty()).collect()
}

#[track_caller]
fn bounded(package: &str, limit: usize, never: &[&str]) {
    let found = dependencies(package);
    assert!(
        found.len() <= limit,
        "{package} brings {} crates, more than {limit}: {found:?}",
        found.len()
    );
    for name in never {
        assert!(!found.contains(*name), "{package} brings {name} by default");
    }
    let siblings: Vec<_> = found.iter().filter(|name| name.starts_with("birl")).collect();
    assert!(siblings.is_empty(), "{package} has sibling edges by default: {siblings:?}");
}

#[test]
fn logsource_is_light_and_alone() {
    bounded("birl-logsource", 60, &["kube", "prometheus"]);
}

#[test]
fn rules_dsl_is_light_and_alone_and_has_no_tokio() {
    bounded("birl-rules-dsl", 50, &["tokio", "mio", "prometheus"]);
}

#[test]
fn router_is_light_and_alone() {
    bounded("birl-router", 80, &["kube", "prometheus"]);
}

#[test]
fn scaler_is_light_and_alone_and_has_no_kube() {
    bounded("birl-scaler", 60, &["kube", "prometheus"]);
}

#[test]
fn the_closed_loop_stays_within_200_lines() {
    let text = std::fs::read_to_string(root().join("examples/closed_loop.rs")).unwrap();
    assert!(text.lines().count() <= 200, "closed_loop.rs has {} lines", text.lines().count());
}

#[test]
fn embed_programs_stay_within_30_lines_and_meet_one_library_each() {
    for library in
        ["logsource", "rules-dsl", "router", "router-webhook", "scaler", "scaler-processes"]
    {
        let folder = root().join("examples/embed").join(library);
        let text = std::fs::read_to_string(folder.join("src/main.rs")).unwrap();
        assert!(text.lines().count() <= 30, "{library}: {} lines", text.lines().count());
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let edges = manifest.lines().filter(|line| line.trim_start().starts_with("birl")).count();
        assert_eq!(edges, 1, "{library}: one birl crate, no more");
    }
}

#[test]
fn every_source_file_is_one_room() {
    for crate_folder in ["logsource", "rules-dsl", "router", "scaler", "examples", "benches"] {
        for file in rust_files(&root().join(crate_folder).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let lines = code.lines().count();
            assert!(lines <= 500, "{} has {lines} lines without its tests", file.display());
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_tests_that_the_tables_of_pains_name_exist() {
    pains("docs/logsource-pains.md", "logsource/tests", 1..=32);
    let router = (1..=13).chain(17..=22).chain(26..=28);
    pains("docs/router-pains.md", "router/tests", router);
    pains("docs/rules-pains.md", "rules-dsl/tests", (1..=10).chain([16, 17]).chain(24..=30));
    pains("docs/scaler-pains.md", "scaler/tests", (1..=20).chain([23, 24]));
}

fn pains(table: &str, tests: &str, expected: impl Iterator<Item = u8>) {
    let table = std::fs::read_to_string(root().join(table)).unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    let numbers = rows.iter().filter_map(|row| row.split('|').nth(1)?.trim().parse::<u8>().ok());
    assert!(numbers.eq(expected), "a row is missing");
    for row in rows {
        let named: Vec<_> = row.split('`').filter_map(|word| word.split_once("::")).collect();
        let says_why = row.contains("Open: ") || row.contains("No test: ");
        assert!(!named.is_empty() || says_why, "neither a test nor why there is none: {row}");
        for (file, test) in named {
            let path = root().join(tests).join(file);
            let code = std::fs::read_to_string(&path).unwrap();
            // The next character tells a name from the beginning of a longer one.
            let at = code.find(&format!("fn {test}("));
            let at = at.unwrap_or_else(|| panic!("{file} has no test {test}"));
            let before = code[..at].rsplit("\n\n").next().unwrap();
            assert!(before.contains("test]") || before.contains("::test("), "{test} is no test");
            assert!(!before.contains("#[ignore"), "{test} is not run");
        }
    }
}
