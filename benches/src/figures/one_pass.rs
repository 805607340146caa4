//! A whole file on one core, once by hand and once through the public API.

use std::path::Path;

use birl_benches::corpus::Corpus;
use birl_benches::figure::ROUNDS;
use birl_benches::hash::LineHash;
use birl_benches::one_core::OneCore;
use birl_benches::{bare, stopwatch};
use birl_logsource::{FileSource, LogSource, Parser, Position};
use futures_util::StreamExt;

const MIB: f64 = 1024.0 * 1024.0;

/// MiB a second of us and of the bare reader, round by round. Acknowledgements and the offset file
/// are on; both must come to the same hash.
pub(crate) fn rounds(
    corpus: &Corpus,
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
            stopwatch::seconds(|| runtime.block_on(follow(corpus, &offsets, &mut ours)));
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

async fn follow(
    corpus: &Corpus,
    offsets: &Path,
    mut each: impl FnMut(&[u8], &mut LineHash) -> anyhow::Result<()>,
) -> anyhow::Result<LineHash> {
    let source =
        FileSource::builder(&corpus.path).parser(Parser::raw()).offset_file(offsets).build()?;
    let mut batches = source.tail(Position::Start);
    let (mut hash, mut lines) = (LineHash::default(), 0);
    while lines < corpus.lines {
        let batch = batches.next().await.ok_or_else(|| anyhow::anyhow!("the stream ended"))??;
        for entry in batch.entries() {
            each(entry.line(), &mut hash)?;
        }
        lines += batch.len() as u64;
        batch.ack();
    }
    Ok(hash)
}
