//! Offsets on a file system of a few pages: it fills up, and there is room again.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use birl_logsource::{Edge, FileSource, HealthState, LogSource, Position};
use futures_util::StreamExt;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);
const RESUME: Position = Position::Resume { otherwise: Edge::Start };

/// A tmpfs, as long as it lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success(), "mount failed: needs to be root");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.path()).status().ok();
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn reading_goes_on_while_the_disk_with_the_offsets_is_full() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), SmallDisk::new());
    let (log, offsets) = (dir.path().join("app.log"), disk.path().join("offsets"));
    let source = || FileSource::builder(&log).offset_file(&offsets).build().unwrap();
    let first = source();
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![b'x'; 1 << 20]).unwrap_err();

    let mut stream = first.tail(RESUME);
    let (mut lines, mut troubles) = (0, Vec::new());
    let full = async {
        while lines < 5 || troubles.is_empty() {
            append(&log, "line\n");
            match stream.next().await.unwrap() {
                Ok(batch) => {
                    lines += batch.len();
                    batch.ack();
                }
                Err(error) => troubles.push(error),
            }
        }
    };
    tokio::time::timeout(PATIENCE, full).await.expect("neither lines nor trouble");
    assert!(troubles[0].is_retryable(), "{:?}", troubles[0]);
    assert!(troubles[0].to_string().contains("offsets"), "{}", troubles[0]);
    let health = first.health_check().await.unwrap();
    assert_eq!(health.state, HealthState::Degraded, "{health:?}");

    fs::remove_file(&filler).unwrap();
    let written = async {
        while first.health_check().await.unwrap().state != HealthState::Ready {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.expect("it does not recover");
    drop((stream, first));
    append(&log, "after\n");
    // What was not taken from the stream was not acknowledged.
    let second = source();
    let mut stream = second.tail(RESUME);
    let last = async {
        let mut rest = Vec::new();
        while rest.last().is_none_or(|line| line != "after") {
            let batch = stream.next().await.unwrap().unwrap();
            rest.extend(batch.entries().map(|entry| entry.text().into_owned()));
        }
        rest.len()
    };
    let rest = tokio::time::timeout(PATIENCE, last).await.expect("the last line does not come");
    let written = fs::read_to_string(&log).unwrap().lines().count();
    assert_eq!(lines + rest, written);
}
