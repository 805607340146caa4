//! A whole file on one core, once by hand and once through the public API.

use std::path::Path;

use anyhow::Context;
use birl_benches::corpus::Corpus;
use birl_benches::figure::ROUNDS;
use birl_benches::hash::LineHash;
use birl_benches::one_core::OneCore;
use birl_benches::{bare, stopwatch};
use birl_logsource::{Batch, FileSource, LogSource, Parser, Position};
use futures_util::StreamExt;
use tokio::runtime::Runtime;

const MIB: f64 = 1024.0 * 1024.0;

/// How batches are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// The stream of a `tail`, on a current-thread runtime.
    Stream,
    /// `tail_blocking`.
    Caller,
}

/// MiB a second of us and of the bare reader, round by round. Acknowledgements and the offset file
/// are on; both must come to the same hash.
pub(crate) fn rounds(
    corpus: &Corpus,
    by: By,
    mut bare: impl FnMut(&[u8], &mut LineHash) -> anyhow::Result<()>,
    mut ours: impl FnMut(&[u8], &mut LineHash) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<(f64, f64)>> {
    let folder = tempfile::tempdir()?;
    let _core = OneCore::pin()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let size = corpus.bytes as f64 / MIB;
    // Brings the file into the page cache, if it did not stay there.
    bare::lines(&corpus.path, |_| {})?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let offsets = folder.path().join(format!("offsets-{round}"));
        let (bare_took, theirs) = stopwatch::seconds(|| by_hand(&corpus.path, &mut bare));
        let (our_took, ours) =
            stopwatch::seconds(|| follow(corpus, by, &runtime, &offsets, &mut ours));
        anyhow::ensure!(theirs? == ours?, "both must have seen the same lines");
        rounds.push((size / our_took, size / bare_took));
    }
    Ok(rounds)
}

fn by_hand(
    path: &Path,
    mut each: impl FnMut(&[u8], &mut LineHash) -> anyhow::Result<()>,
) -> anyhow::Result<LineHash> {
    let (mut hash, mut all) = (LineHash::default(), Ok(()));
    bare::lines(path, |line| {
        if all.is_ok() {
            all = each(line, &mut hash);
        }
    })?;
    all.map(|()| hash)
}

fn follow(
    corpus: &Corpus,
    by: By,
    runtime: &Runtime,
    offsets: &Path,
    mut each: impl FnMut(&[u8], &mut LineHash) -> anyhow::Result<()>,
) -> anyhow::Result<LineHash> {
    let source =
        FileSource::builder(&corpus.path).parser(Parser::raw()).offset_file(offsets).build()?;
    let (mut hash, mut lines) = (LineHash::default(), 0);
    let mut take = |batch: Batch| {
        batch.entries().try_for_each(|entry| each(entry.line(), &mut hash))?;
        lines += batch.len() as u64;
        batch.ack();
        anyhow::Ok(lines >= corpus.lines)
    };
    match by {
        By::Stream => {
            runtime.block_on(async {
                let mut batches = source.tail(Position::Start);
                while !take(batches.next().await.context("the stream ended")??)? {}
                anyhow::Ok(())
            })?;
        }
        By::Caller => {
            let mut batches = source.tail_blocking(Position::Start)?;
            while !take(batches.next().context("it never ends")??)? {}
        }
    }
    Ok(hash)
}
