//! One strategy, measured in a process of its own: what it allocates and holds is its alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use birl_benches::corpus::Corpus;
use birl_benches::figure::{ROUNDS, median};
use birl_benches::hash::LineHash;
use birl_benches::one_core::OneCore;
use birl_benches::{bare, stopwatch, usage};
use birl_logsource::{Batch, Extractor, FileSource, LogSource, Position, ValueRef};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::counting;
use crate::strategy::{ALL, Read, Strategy};

const MB: f64 = 1e6;

/// The hidden first argument.
const MARK: &str = "as-a-child";

/// What the table shows of a strategy.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// MB a second on one core, the median of the rounds.
    pub(crate) speed: f64,
    /// Nanoseconds of processor time, of all threads, for each line of the file, the median of the
    /// rounds.
    pub(crate) cpu: f64,
    /// Calls of the allocator for each line of the file, after the first round.
    pub(crate) allocations: f64,
    /// The most MB of memory that were resident.
    pub(crate) peak: f64,
    /// Bytes of a line, on the average.
    pub(crate) line: f64,
}

/// What the child is told.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    strategy: usize,
    path: PathBuf,
    lines: u64,
    bytes: u64,
}

/// Measures the strategy of that index over lines of its own.
pub(crate) fn measure(strategy: usize, folder: &Path, bytes: u64) -> anyhow::Result<Measured> {
    let path = folder.join("lines.log");
    let Corpus { path, lines, bytes } = Corpus::write(&path, bytes, ALL[strategy].line)?;
    let task = Task { strategy, path, lines, bytes };
    let child = Command::new(std::env::current_exe()?)
        .arg(MARK)
        .arg(serde_json::to_string(&task)?)
        .output()?;
    let complaint = String::from_utf8_lossy(&child.stderr);
    anyhow::ensure!(child.status.success(), "{}: {complaint}", ALL[strategy].name);
    Ok(serde_json::from_slice(&child.stdout)?)
}

/// Runs as that process when the command line says so.
pub(crate) fn take_over() -> anyhow::Result<Option<Measured>> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first != MARK) {
        return Ok(None);
    }
    let task = args.next().context("a child has a task")?;
    let task: Task = serde_json::from_slice(task.as_encoded_bytes())?;
    Ok(Some(task.run()?))
}

impl Task {
    fn run(&self) -> anyhow::Result<Measured> {
        let folder = tempfile::tempdir()?;
        let _core = OneCore::pin()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        bare::lines(&self.path, |_| {})?;
        let (mut speeds, mut times, mut allocations) = (Vec::new(), Vec::new(), 0);
        // The first one fills the pools, and is not counted.
        for round in 0..=ROUNDS {
            let offsets = folder.path().join(format!("offsets-{round}"));
            let (calls, cpu) = (counting::calls(), usage::cpu());
            let (took, done) = stopwatch::seconds(|| runtime.block_on(self.follow(&offsets)));
            done?;
            if round > 0 {
                speeds.push(self.bytes as f64 / MB / took);
                times.push((usage::cpu() - cpu).as_secs_f64() * 1e9 / self.lines as f64);
                allocations += counting::calls() - calls;
            }
        }
        Ok(Measured {
            speed: median(speeds.into_iter()),
            cpu: median(times.into_iter()),
            allocations: allocations as f64 / (self.lines * ROUNDS as u64) as f64,
            peak: usage::peak_resident() as f64 / MB,
            line: self.bytes as f64 / self.lines as f64,
        })
    }

    /// Reads to the end.
    async fn follow(&self, offsets: &Path) -> anyhow::Result<()> {
        let Strategy { name, framing, parser, read, entries: (of, lines), .. } =
            &ALL[self.strategy];
        // The last entry of all may be held back for a next line that belongs to it.
        let all = self.lines / lines * of;
        let wanted = all - u64::from(of < lines);
        let source = FileSource::builder(&self.path).framing(framing()?).parser(parser()?);
        let source = source.offset_file(offsets).build()?;
        let mut extractor = match read {
            Read::Some(fields) => Some(source.origin().parser().extractor(fields)),
            Read::Line | Read::Entry => None,
        };
        let mut batches = source.tail(Position::Start);
        let (mut hash, mut entries) = (LineHash::default(), 0);
        while entries < wanted {
            let batch = batches.next().await.context("the stream ended")??;
            take(&batch, &mut extractor, *read, &mut hash)?;
            entries += batch.len() as u64;
            batch.ack();
        }
        std::hint::black_box(hash);
        anyhow::ensure!(entries <= all, "{name}: {entries} entries where {all} were written");
        Ok(())
    }
}

fn take(
    batch: &Batch,
    extractor: &mut Option<Extractor>,
    read: Read,
    hash: &mut LineHash,
) -> anyhow::Result<()> {
    for entry in batch.entries() {
        match (read, &mut *extractor) {
            (Read::Some(_), Some(extractor)) => {
                let found = entry.extract(extractor);
                anyhow::ensure!(!found.is_malformed(), "malformed: {entry:?}");
                for value in found.iter() {
                    match value.with_context(|| format!("a field is missing: {entry:?}"))? {
                        ValueRef::Int(number) => hash.number(number),
                        value => hash.line(value.as_str().unwrap_or_default().as_bytes()),
                    }
                }
            }
            (Read::Entry, _) => {
                let entry = entry.to_entry();
                anyhow::ensure!(entry.malformed.is_none(), "malformed: {entry:?}");
                hash.line(&entry.line);
                hash.number(entry.fields.len() as i64);
            }
            _ => hash.line(entry.line()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// None is malformed, no field is missing, and there are as many as were written.
    #[test]
    fn every_strategy_reads_the_lines_that_are_made_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (strategy, row) in ALL.iter().enumerate() {
            let path = folder.path().join("lines.log");
            let Corpus { path, lines, bytes } = Corpus::write(&path, 100_000, row.line).unwrap();
            let task = Task { strategy, path, lines, bytes };
            let done = runtime.block_on(task.follow(&folder.path().join(strategy.to_string())));
            assert!(done.is_ok(), "{}: {done:?}", row.name);
        }
    }
}
