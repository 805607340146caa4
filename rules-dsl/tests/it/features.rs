//! What features bring with them.

use std::process::Command;

/// Whether the library depends on the parser of YAML, with these features.
fn has_yaml(features: &[&str]) -> bool {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--offline", "--package", "birl-rules-dsl", "--edges", "normal"])
        .args(["--prefix", "none"])
        .args(features)
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("pest v"), "not the tree of this library: {tree}");
    // Whatever it may be called: no crate with YAML in its name, and not the one that is used.
    let mut names = tree.lines().filter_map(|line| line.split(' ').next());
    names.any(|name| name.contains("yaml") || name == "granit-parser")
}

#[test]
fn without_yaml_there_is_no_parser_of_it() {
    assert!(has_yaml(&[]));
    assert!(!has_yaml(&["--no-default-features"]));
    assert!(!has_yaml(&["--no-default-features", "--features", "json,reload,prometheus"]));
    assert!(has_yaml(&["--no-default-features", "--features", "yaml"]));
}
