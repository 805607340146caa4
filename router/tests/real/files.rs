//! Alertmanager's own tool on the files of `tests/it/alertmanager`: what it takes and refuses, and whom it routes to.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use birl_router::{AlertmanagerFile, Labels, Matchers, RouteTree};

/// These have keys, or names, that Debian's 0.25 does not know yet.
const NEWER: [&str; 4] = ["birl", "deep", "every-kind", "utf8"];

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/alertmanager");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| NEWER.iter().all(|name| path.file_stem().unwrap() != *name)).collect();
    files.sort();
    assert!(files.len() >= 8);
    files
}

fn amtool(args: &[&str]) -> Output {
    Command::new("amtool").args(args).output().expect("amtool is in the path")
}

/// Each file with any one of its lines taken out: often still a configuration, and as often none.
#[test]
fn a_file_is_refused_when_alertmanager_refuses_it() {
    let folder = std::env::temp_dir().join(format!("birl-router-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for out in 0..=lines.len() {
            if lines.get(out).is_some_and(|line| line.starts_with("# ")) {
                continue;
            }
            let kept = lines.iter().enumerate().filter(|(i, _)| *i != out);
            let text = kept.map(|(_, line)| format!("{line}\n")).collect::<String>();
            let path = folder.join("alertmanager.yml");
            std::fs::write(&path, &text).unwrap();
            let theirs = amtool(&["check-config", path.to_str().unwrap()]);
            // A rule without a source is refused unless the rules are to be Alertmanager's.
            let json = lines.contains(&"{");
            let compat = if json { "" } else { "compat: alertmanager\n" };
            let ours = AlertmanagerFile::parse(&format!("{text}{compat}"));
            assert_eq!(
                ours.is_ok(),
                theirs.status.success(),
                "{} without line {}: {:?}\n{}{}",
                file.display(),
                out + 1,
                ours.err().map(|error| error.to_string()),
                String::from_utf8_lossy(&theirs.stdout),
                String::from_utf8_lossy(&theirs.stderr),
            );
            if theirs.status.success() { taken += 1 } else { refused += 1 }
        }
    }
    std::fs::remove_dir_all(&folder).ok();
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
}

#[test]
fn an_alert_goes_where_alertmanager_sends_it() {
    let mut asked = 0;
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let config = AlertmanagerFile::parse(&text).unwrap().config;
        let tree = RouteTree::new(&config).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("# told: ")) {
            let matchers = Matchers::parse(line.split(" -> ").next().unwrap()).unwrap();
            let labels: Labels = matchers.iter().map(|m| (m.name(), m.value())).collect();
            // The tool takes no alert without labels.
            if labels.is_empty() {
                continue;
            }
            let mut scratch = Default::default();
            let ours: Vec<&str> = tree
                .find_into(&labels, &mut scratch)
                .iter()
                .flat_map(|route| tree.routes()[*route as usize].receivers())
                .map(|receiver| config.receivers[*receiver].name.as_str())
                .collect();
            let config_file = format!("--config.file={}", file.display());
            let words: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            let mut args = vec!["config", "routes", "test", &config_file];
            args.extend(words.iter().map(String::as_str));
            let output = amtool(&args);
            let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(theirs.trim(), ours.join(","), "{}: {line}", file.display());
            asked += 1;
        }
    }
    assert!(asked >= 15, "{asked}");
}
