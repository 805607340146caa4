//! Edits of rule files, made in every way that editors and platforms make them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use birl_rules_dsl::reload::{LoadErrorKind, ReloadEvent, RuleFiles, Watcher};
use birl_rules_dsl::{Engine, EngineConfig, RuleSet};
use serde_json::json;
use tempfile::TempDir;

use crate::common::{at, hits, short};

fn rule(threshold: u32) -> String {
    format!("rules:\n  - {{name: cpu, when: cpu > {threshold}, then: notify()}}\n")
}

struct Watched {
    folder: TempDir,
    files: RuleFiles,
    events: Receiver<ReloadEvent>,
    _watcher: Watcher,
}

impl Watched {
    /// Watches `path` inside a fresh folder that `prepare` has filled.
    fn new(path: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let files = RuleFiles::open([folder.path().join(path)]).unwrap();
        let (sender, events) = channel();
        let watcher = files.watch(Duration::from_millis(20), move |event| {
            let _ = sender.send(event);
        });
        Self { folder, files, events, _watcher: watcher.unwrap() }
    }

    fn single() -> Self {
        Self::new("rules.yaml", |folder| fs::write(folder.join("rules.yaml"), rule(90)).unwrap())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Waits, with a bound that only a hung watcher reaches.
    fn event(&self) -> ReloadEvent {
        self.events.recv_timeout(Duration::from_secs(20)).expect("an edit was not seen")
    }

    fn loaded(&self) -> String {
        match self.event() {
            ReloadEvent::Loaded { rules, generation, .. } => {
                assert_eq!(self.files.current().generation(), generation);
                assert!(Arc::ptr_eq(&self.files.current(), &rules));
                rules.rules().map(|rule| rule.when.to_string()).collect::<Vec<_>>().join("; ")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_way_of_editing_is_seen() {
    let watched = Watched::single();
    let path = watched.path("rules.yaml");

    fs::write(&path, rule(80)).unwrap();
    assert_eq!(watched.loaded(), "cpu > 80", "written in place");

    fs::write(watched.path("new"), rule(70)).unwrap();
    fs::rename(watched.path("new"), &path).unwrap();
    assert_eq!(watched.loaded(), "cpu > 70", "renamed over");

    fs::remove_file(&path).unwrap();
    fs::write(&path, rule(60)).unwrap();
    let seen = watched.event();
    let seen = match seen {
        // The gap may or may not be long enough to be noticed.
        ReloadEvent::Rejected { error, .. } => {
            assert_eq!(error.kind(), LoadErrorKind::NotFound);
            watched.loaded()
        }
        ReloadEvent::Loaded { rules, .. } => rules.rules().next().unwrap().when.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(seen, "cpu > 60", "deleted and made again");
    assert_eq!(watched.files.current().generation(), 4);
}

#[cfg(unix)]
#[test]
fn a_swapped_link_is_seen() {
    // As Kubernetes mounts a ConfigMap: rules.yaml -> ..data/rules.yaml, ..data -> a dated folder.
    let watched = Watched::new("", |folder| {
        fs::create_dir(folder.join("..1")).unwrap();
        fs::write(folder.join("..1/rules.yaml"), rule(90)).unwrap();
        std::os::unix::fs::symlink("..1", folder.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/rules.yaml", folder.join("rules.yaml")).unwrap();
    });
    assert_eq!(watched.files.current().len(), 1, "hidden entries are not read twice");
    fs::create_dir(watched.path("..2")).unwrap();
    fs::write(watched.path("..2/rules.yaml"), rule(50)).unwrap();
    std::os::unix::fs::symlink("..2", watched.path("..new")).unwrap();
    fs::rename(watched.path("..new"), watched.path("..data")).unwrap();
    assert_eq!(watched.loaded(), "cpu > 50");
}

#[test]
fn files_may_come_and_go_in_a_folder() {
    let watched = Watched::new("", |folder| fs::write(folder.join("a.yaml"), rule(90)).unwrap());
    let second =
        "{\"rules\": [{\"name\": \"mem\", \"when\": \"mem > 5\", \"then\": \"notify()\"}]}";
    fs::write(watched.path("b.json"), second).unwrap();
    match watched.event() {
        ReloadEvent::Loaded { added, changed, removed, .. } => {
            assert_eq!((added.len(), changed.len(), removed.len()), (1, 0, 0));
            assert_eq!(&*added[0], "mem");
        }
        other => panic!("{other:?}"),
    }
    fs::write(watched.path("a.yaml"), "rules: []\n").unwrap();
    match watched.event() {
        ReloadEvent::Loaded { removed, .. } => assert_eq!(&*removed[0], "cpu"),
        other => panic!("{other:?}"),
    }
    fs::write(watched.path("notes.txt"), "not rules").unwrap();
    fs::write(watched.path(".b.json.swp"), "not rules").unwrap();
    fs::remove_file(watched.path("b.json")).unwrap();
    assert_eq!(watched.loaded(), "", "the other files did not count");
}

#[test]
fn a_broken_edit_keeps_the_old_rules_and_says_why() {
    let watched = Watched::single();
    fs::write(watched.path("rules.yaml"), rule(90).replace("cpu >", "cpu >>")).unwrap();
    match watched.event() {
        ReloadEvent::Rejected { error, kept_generation, .. } => {
            assert_eq!((error.kind(), kept_generation), (LoadErrorKind::Rules, 1));
            assert_eq!(error.diagnostics().unwrap().iter().next().unwrap().line, 2);
            let text = error.to_string();
            assert!(text.contains("rules.yaml:2:27") && text.contains('^'), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(watched.files.current().generation(), 1);
    fs::write(watched.path("rules.yaml"), "").unwrap();
    match watched.event() {
        ReloadEvent::Rejected { error, .. } => assert!(error.to_string().contains("empty")),
        other => panic!("an emptied file must not empty the rules: {other:?}"),
    }
    fs::write(watched.path("rules.yaml"), rule(40)).unwrap();
    assert_eq!(watched.loaded(), "cpu > 40");
    let stats = watched.files.metrics().stats();
    assert_eq!((stats.reloads_loaded, stats.reloads_rejected, stats.generation), (1, 2, 2));
}

#[test]
fn windows_outlive_a_reload_of_unchanged_rules() {
    let text = |other: u32| {
        "rules:\n  - {name: many, when: count(10s) >= 3, then: notify()}\n".to_owned()
            + &format!("  - {{name: other, when: x > {other}, then: notify()}}\n")
    };
    let watched =
        Watched::new("rules.yaml", |folder| fs::write(folder.join("rules.yaml"), text(1)).unwrap());
    let first = watched.files.current();
    let mut engine = Engine::new(Arc::clone(&first), EngineConfig::default());
    let feed = |engine: &mut Engine, rules: &Arc<RuleSet>, time: f64| {
        short(&engine.advance(hits(rules, &[(time, json!({}))]), at(time)))
    };
    assert!(feed(&mut engine, &first, 0.0).is_empty());
    assert!(feed(&mut engine, &first, 1.0).is_empty());
    fs::write(watched.path("rules.yaml"), text(2)).unwrap();
    match watched.event() {
        ReloadEvent::Loaded { rules, changed, .. } => {
            assert_eq!(changed.iter().map(|name| &**name).collect::<Vec<_>>(), ["other"]);
            engine.replace(rules);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(feed(&mut engine, &watched.files.current(), 2.0), ["+many{}"]);
}

#[test]
fn without_a_watcher_one_may_look_oneself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    fs::write(&path, rule(90)).unwrap();
    let files = RuleFiles::open([&path]).unwrap();
    assert!(files.reload().is_none(), "nothing changed");
    fs::write(&path, rule(10)).unwrap();
    assert!(matches!(files.reload(), Some(ReloadEvent::Loaded { generation: 2, .. })));
    assert!(files.reload().is_none());
    fs::remove_file(&path).unwrap();
    assert!(matches!(files.reload(), Some(ReloadEvent::Rejected { kept_generation: 2, .. })));
    assert!(files.reload().is_none(), "one failure is told once");
}

#[test]
fn opening_what_is_not_there_names_it() {
    let missing = RuleFiles::open(["/nonexistent/rules.yaml"]).unwrap_err();
    assert_eq!(missing.kind(), LoadErrorKind::NotFound);
    assert!(missing.to_string().contains("/nonexistent/rules.yaml"), "{missing}");
    assert_eq!(format!("{missing:?}"), missing.to_string());
}

#[test]
fn dropping_the_watcher_ends_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), rule(90)).unwrap();
    let files = RuleFiles::open([folder.path()]).unwrap();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    // An hour between looks: dropping must not wait for the next one.
    let watcher = files.watch(Duration::from_secs(3600), move |_| drop(Arc::clone(&held))).unwrap();
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(watcher);
    assert_eq!(Arc::strong_count(&alive), 1, "the thread is joined and its closure gone");
}
