//! Journal files, written by `systemd-journal-remote` from the export format.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use birl_logsource::conformance::{Fixture, run};
use birl_logsource::{
    Edge, Error, JournaldSource, LogSource, Parser, Position, Registry, SourceKind, async_trait,
};
use futures_util::StreamExt;
use tempfile::TempDir;

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// A journal file, and the number of entries in it.
struct Imported {
    dir: TempDir,
    written: u64,
}

impl Imported {
    fn new() -> Self {
        let imported = Self { dir: tempfile::tempdir().unwrap(), written: 0 };
        assert!(
            std::path::Path::new(REMOTE).exists(),
            "{REMOTE} is missing; install the package systemd-journal-remote"
        );
        imported
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("system.journal")
    }

    /// Adds entries; each is its fields in the export format, without those that we add.
    fn write(&mut self, entries: &[Vec<u8>]) {
        let mut export = Vec::new();
        for fields in entries {
            self.written += 1;
            let n = self.written;
            let realtime = 1_795_420_800_000_000 + n;
            write!(
                export,
                "__REALTIME_TIMESTAMP={realtime}\n__MONOTONIC_TIMESTAMP={n}\n\
                 _BOOT_ID=0123456789abcdef0123456789abcdef\n"
            )
            .unwrap();
            export.extend_from_slice(fields);
            export.push(b'\n');
        }
        let mut remote = Command::new(REMOTE)
            .args(["--split-mode=none", "-o"])
            .arg(self.journal())
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        remote.stdin.take().unwrap().write_all(&export).unwrap();
        let output = remote.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "systemd-journal-remote failed: {complaint}");
    }
}

fn message(text: &str) -> Vec<u8> {
    format!("MESSAGE={text}\n").into_bytes()
}

#[async_trait]
impl Fixture for Imported {
    async fn open(&mut self) -> Result<Box<dyn LogSource>, Error> {
        if self.written == 0 {
            // A journal that is not there cannot be followed, so an entry that is left out is.
            self.write(&[[message("first"), b"_PID=4242\n".to_vec()].concat()]);
        }
        let source = JournaldSource::builder()
            .file(self.journal())
            .exclude_pid(4242)
            .parser(Parser::raw())
            .offset_file(self.dir.path().join("state.offsets"))
            .build()?;
        Ok(Box::new(source))
    }

    async fn append(&mut self, lines: &[String]) -> Result<(), Error> {
        let entries: Vec<_> = lines.iter().map(|line| message(line)).collect();
        self.write(&entries);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_conforms() {
    run(Imported::new).await.unwrap();
}

#[tokio::test]
async fn every_field_survives_the_journal() {
    let mut imported = Imported::new();
    let binary = |name: &str, value: &[u8]| {
        let len = (value.len() as u64).to_le_bytes();
        [name.as_bytes(), b"\n", &len, value, b"\n"].concat()
    };
    let large = vec![b'x'; 1 << 20];
    imported.write(&[
        [binary("MESSAGE", b"a\nb\0\xff"), b"TAG=1\nTAG=2\n".to_vec()].concat(),
        [message("large"), binary("BLOB", &large)].concat(),
    ]);
    let file = imported.journal();
    let source = Registry::default().detect(file.to_str().unwrap()).unwrap();
    assert_eq!(source.origin().kind(), SourceKind::Journald);
    let mut stream = source.tail(Position::Resume { otherwise: Edge::Start });
    let mut seen = 0;
    while seen < 2 {
        let batch = tokio::time::timeout(Duration::from_secs(20), stream.next());
        let batch = batch.await.expect("nothing came").unwrap().unwrap();
        for entry in batch.entries() {
            seen += 1;
            if entry.line() == b"large" {
                assert_eq!(entry.field("BLOB"), Some(&large[..]));
                continue;
            }
            assert_eq!(entry.line(), b"a\nb\0\xff");
            // The journal keeps no order of fields.
            let named = |(name, value)| (name == b"TAG").then_some(value);
            let mut tags: Vec<&[u8]> = entry.source_fields().filter_map(named).collect();
            tags.sort();
            assert_eq!(tags, [b"1", b"2"]);
            let micros = entry.timestamp().duration_since(std::time::UNIX_EPOCH).unwrap();
            assert_eq!(micros.as_micros(), 1_795_420_800_000_001);
        }
    }
}
