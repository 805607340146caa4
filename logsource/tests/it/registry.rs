//! From a description to a source.

use std::sync::Arc;

use birl_logsource::{
    Adapter, DetectOptions, Error, ErrorKind, Framing, LogSource, Parser, Position, Registry,
    SourceKind,
};

use crate::support::{Place, append, lines};

#[test]
fn descriptions_find_their_adapter() {
    let place = Place::new();
    append(&place.log, "");
    append(&place.path("system.journal"), "");
    let log = place.log.to_str().unwrap();
    let directory = place.dir.path().to_str().unwrap();
    let journal = format!("{directory}/system.journal");
    let cases = [
        (log, SourceKind::File),
        ("/no/such/file", SourceKind::File),
        ("later.log", SourceKind::File),
        ("logs/*.log", SourceKind::File),
        ("-", SourceKind::Stdout),
        ("stdin", SourceKind::Stdout),
        ("stdout:echo 'a b'", SourceKind::Stdout),
        ("cmd:dmesg -w", SourceKind::Stdout),
        ("journald", SourceKind::Journald),
        ("journald:unit=nginx.service,priority=err", SourceKind::Journald),
        ("journald:since=2026-11-23T08:00:00Z,directory=/x", SourceKind::Journald),
        (&journal, SourceKind::Journald),
        (directory, SourceKind::Journald),
    ];
    for (what, kind) in cases {
        let source = Registry::default().detect(what).unwrap();
        assert_eq!(source.origin().kind(), kind, "{what}");
        assert_eq!(source.origin().labels()["source"], kind.as_str());
    }
}

#[test]
fn a_wrong_description_names_the_remedy() {
    let cases = [
        ("", "a source is one of"),
        ("app", "did you mean ./app?"),
        ("journalctl", "did you mean journald?"),
        ("journal:unit=x", "did you mean journald:unit=x?"),
        ("stdout:", "name a program"),
        ("stdout", "`stdout:COMMAND ARGS`"),
        ("cmd:echo 'x", "never closed"),
        ("journald:color=red", "unit, priority, since"),
        ("journald:nginx", "key=value"),
        ("journald:priority=loud", "warning"),
        ("journald:since=noon", "since=2026"),
        ("/tmp", "/tmp/*.log"),
    ];
    for (what, remedy) in cases {
        let error = Registry::default().detect(what).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}");
        assert!(error.to_string().contains(remedy), "{what}: {error}");
    }
}

#[tokio::test]
async fn options_reach_the_source_whatever_it_is() {
    let place = Place::new();
    append(&place.log, "{\"a\":1}\n");
    let mut options = DetectOptions::default();
    options.parser = Parser::raw();
    options.labels.insert("env".to_owned(), "test".to_owned());
    options.state_dir = Some(place.dir.path().to_owned());
    options.id = Some("mine".to_owned());
    let file = place.log.to_str().unwrap();
    for what in [file, "cmd:echo x", "-", "journald"] {
        let source = Registry::default().detect_with(what, &options).unwrap();
        assert_eq!(source.origin().id(), "mine", "{what}");
        assert_eq!(source.origin().labels()["env"], "test", "{what}");
    }
    let source = Registry::default().detect_with(file, &options).unwrap();
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 1).await, ["{\"a\":1}"]);
    drop((stream, source));
    assert!(options.offset_file("mine").unwrap().exists());
    assert_ne!(options.offset_file("a/b"), options.offset_file("a_b"));
    assert!(options.metrics.source("mine").is_some());
}

#[tokio::test]
async fn framing_in_words_reaches_every_source_of_bytes() {
    let place = Place::new();
    append(&place.log, b"caf\xe9;\n next;z");
    let mut options = DetectOptions::default();
    options.framing = Framing::from_words([
        ("delimiter", r";"),
        ("encoding", "latin1"),
        ("flush_partial_after", "1ms"),
        ("multiline_continuation", r"^\s"),
    ])
    .unwrap();
    let file = place.log.to_str().unwrap();
    for what in [file, &format!("cmd:cat {file}")] {
        let source = Registry::default().detect_with(what, &options).unwrap();
        let mut stream = source.tail(Position::Start);
        assert_eq!(lines(&mut stream, 2).await, ["caf\u{e9}\n\n next", "z"], "{what}");
    }
}

#[derive(Debug)]
struct Memory;

impl Adapter for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn forms(&self) -> &[&'static str] {
        &["memory:TEXT"]
    }

    fn detect(&self, what: &str, _: &DetectOptions) -> Option<Result<Box<dyn LogSource>, Error>> {
        let text = what.strip_prefix("memory:")?.to_owned().into_bytes();
        let source = birl_logsource::StdinSource::of_reader(std::io::Cursor::new(text));
        Some(source.id("memory").build().map(|source| Box::new(source) as _))
    }
}

#[tokio::test]
async fn a_third_party_adapter_is_asked_first() {
    let registry = Registry::default().register(Box::new(Memory));
    let source: Arc<dyn LogSource> = registry.detect("memory:a/b").unwrap().into();
    assert_eq!(lines(&mut source.tail(Position::Start), 1).await, ["a/b"]);
    let error = registry.detect("nothing").unwrap_err();
    assert!(error.to_string().contains("memory:TEXT"), "{error}");
    assert!(Registry::empty().detect("-").is_err());
}
