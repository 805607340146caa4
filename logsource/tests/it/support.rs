//! What several tests need.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use birl_logsource::{Batch, Error};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tempfile::TempDir;

pub(crate) type Batches = BoxStream<'static, Result<Batch, Error>>;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a log in it, and room for an offset file.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) log: PathBuf,
    pub(crate) offsets: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (log, offsets) = (dir.path().join("app.log"), dir.path().join("state.offsets"));
        Self { dir, log, offsets }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

pub(crate) fn append(path: &Path, text: impl AsRef<[u8]>) -> File {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
    file
}

/// Has a file look as if nobody had written to it for a while.
pub(crate) fn made_older(path: &Path, by: Duration) {
    let file = File::options().append(true).open(path).unwrap();
    let now = file.metadata().unwrap().modified().unwrap();
    file.set_modified(now - by).unwrap();
}

/// The next batch; fails the test if none comes.
pub(crate) async fn next(stream: &mut Batches) -> Result<Batch, Error> {
    let item = tokio::time::timeout(PATIENCE, stream.next()).await;
    item.expect("nothing came").expect("the stream ended")
}

/// Takes lines, and acknowledges them, until there are so many.
pub(crate) async fn lines(stream: &mut Batches, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        let batch = next(stream).await.unwrap();
        found.extend(batch.entries().map(|entry| entry.text().into_owned()));
        batch.ack();
    }
    found
}

/// Waits for something that takes a moment; fails the test if it never happens.
pub(crate) async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let tries = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, tries).await.is_ok(), "never: {what}");
}
