//! What users of other collectors suffered, one test each. The numbers are those of
//! `docs/logsource-pains.md`, which says where each was told.

mod framing;
mod identity;
mod limits;
mod load;
mod rotation;

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use birl_logsource::{
    Count, DropReason, Edge, FileSource, FileSourceBuilder, LogSource, Position, SourceMetrics,
};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::far_end::END;
use crate::support::{Batches, Place, append, next};

const RESUME: Position = Position::Resume { otherwise: Edge::Start };

/// A log, and one run after another of the source that follows it.
struct Log {
    place: Place,
}

/// One run.
struct Run {
    source: FileSource,
    stream: Batches,
}

impl Log {
    fn new() -> Self {
        Self { place: Place::new() }
    }

    fn path(&self) -> &Path {
        &self.place.log
    }

    /// Another name in the directory.
    fn at(&self, name: &str) -> std::path::PathBuf {
        self.place.path(name)
    }

    fn write(&self, lines: &[String]) {
        append(self.path(), joined(lines));
    }

    fn end(&self) {
        append(self.path(), format!("{END}\n"));
    }

    fn builder(&self) -> FileSourceBuilder {
        FileSource::builder(self.path()).id("log").offset_file(&self.place.offsets)
    }

    /// A pattern that the log matches, and what it is renamed to.
    fn glob(&self) -> FileSourceBuilder {
        FileSource::builder(self.at("app.log*")).id("log").offset_file(&self.place.offsets)
    }

    fn run(&self) -> Run {
        Run::of(self.builder())
    }
}

impl Run {
    fn of(builder: FileSourceBuilder) -> Self {
        let source = builder.build().unwrap();
        let stream = source.tail(RESUME);
        Self { source, stream }
    }

    /// Takes and acknowledges lines until there are so many.
    async fn lines(&mut self, count: usize) -> Vec<String> {
        crate::support::lines(&mut self.stream, count).await
    }

    /// Takes and acknowledges lines up to the last line of the test, which is left out.
    async fn rest(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let batch = next(&mut self.stream).await.unwrap();
            found.extend(batch.entries().map(|entry| entry.text().into_owned()));
            batch.ack();
            if found.last().is_some_and(|line| line == END) {
                found.pop();
                return found;
            }
        }
    }

    fn metrics(&self) -> std::sync::Arc<SourceMetrics> {
        self.source.metrics().source("log").unwrap()
    }

    fn count(&self, count: Count) -> u64 {
        self.metrics().get(count)
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.metrics().dropped(reason)
    }

    /// Lines that were dropped, for whatever reason.
    fn all_dropped(&self) -> u64 {
        DropReason::ALL.into_iter().map(|reason| self.dropped(reason)).sum()
    }
}

/// Lines of a name and a number, so that each is written once.
fn numbered(name: &str, numbers: Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("{name} {n:06}")).collect()
}

fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// As `gzip` does: the packed file takes the place of the plain one.
fn gzip(plain: &Path, packed: &Path) {
    fs::write(packed, gzipped(&fs::read(plain).unwrap())).unwrap();
    // It keeps the time of the last writing.
    let modified = fs::metadata(plain).unwrap().modified().unwrap();
    File::options().append(true).open(packed).unwrap().set_modified(modified).unwrap();
    fs::remove_file(plain).unwrap();
}

pub(crate) fn gzipped(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// As logrotate's `copytruncate` does.
fn copy_and_truncate(log: &Path, copy: &Path) {
    fs::copy(log, copy).unwrap();
    File::create(log).unwrap();
}
