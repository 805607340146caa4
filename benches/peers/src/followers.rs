//! How each crate reads a file from its start to its end, as its documentation shows it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use birl_benches::corpus::Corpus;
use birl_benches::hash::LineHash;
use birl_logsource::{Batch, FileSource, LogSource, Parser, Position};
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};

/// With acknowledgements and an offset file, as the others are without.
pub(crate) fn birl(corpus: &Corpus) -> anyhow::Result<LineHash> {
    let folder = tempfile::tempdir()?;
    let mut batches = source(corpus, folder.path())?.tail_blocking(Position::Start)?;
    let mut hash = LineHash::default();
    while hash.lines < corpus.lines {
        take(batches.next().context("it never ends")??, &mut hash);
    }
    Ok(hash)
}

/// The same as a stream, beside streams.
pub(crate) fn birl_stream(corpus: &Corpus) -> anyhow::Result<LineHash> {
    let folder = tempfile::tempdir()?;
    let source = source(corpus, folder.path())?;
    runtime()?.block_on(async {
        let mut batches = source.tail(Position::Start);
        let mut hash = LineHash::default();
        while hash.lines < corpus.lines {
            take(batches.next().await.context("the stream ended")??, &mut hash);
        }
        Ok(hash)
    })
}

fn source(corpus: &Corpus, folder: &Path) -> anyhow::Result<FileSource> {
    let source = FileSource::builder(&corpus.path).parser(Parser::raw());
    Ok(source.offset_file(folder.join("offsets")).build()?)
}

fn take(batch: Batch, hash: &mut LineHash) {
    batch.entries().for_each(|entry| hash.line(entry.line()));
    batch.ack();
}

pub(crate) fn linemux(corpus: &Corpus) -> anyhow::Result<LineHash> {
    runtime()?.block_on(async {
        let mut lines = linemux::MuxedLines::new()?;
        lines.add_file_from_start(&corpus.path).await?;
        let mut hash = LineHash::default();
        while hash.lines < corpus.lines {
            let line = lines.next_line().await?.context("the stream ended")?;
            hash.line(line.line().as_bytes());
        }
        Ok(hash)
    })
}

pub(crate) fn chase(corpus: &Corpus) -> anyhow::Result<LineHash> {
    let mut hash = LineHash::default();
    let followed = chase::Chaser::new(&corpus.path).run(|line, _, _| {
        hash.line(line.as_bytes());
        let is_last = hash.lines == corpus.lines;
        Ok(if is_last { chase::Control::Stop } else { chase::Control::Continue })
    });
    followed.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok(hash)
}

/// It begins at the end, so it begins with an empty file, and the real one takes its place.
pub(crate) fn staart(corpus: &Corpus) -> anyhow::Result<LineHash> {
    let folder = tempfile::tempdir_in(corpus.path.parent().context("a folder")?)?;
    let (path, other) = (folder.path().join("lines.log"), folder.path().join("other"));
    std::fs::write(&path, "")?;
    let mut file = staart::TailedFile::new(&path).map_err(|error| anyhow::anyhow!("{error}"))?;
    std::fs::hard_link(&corpus.path, &other)?;
    std::fs::rename(&other, &path)?;
    let (mut hash, mut held) = (LineHash::default(), Vec::new());
    while hash.lines < corpus.lines {
        let read = file.read().map_err(|error| anyhow::anyhow!("{error}"))?;
        anyhow::ensure!(!read.is_empty(), "it ended before its end");
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &read) {
            if held.is_empty() {
                hash.line(&read[start..end]);
            } else {
                held.extend_from_slice(&read[start..end]);
                hash.line(&held);
                held.clear();
            }
            start = end + 1;
        }
        held.extend_from_slice(&read[start..]);
    }
    Ok(hash)
}

/// It keeps every line until it is told how many to keep, and then only after all of them were read.
pub(crate) fn poll_tail(corpus: &Corpus) -> anyhow::Result<LineHash> {
    let as_it_is = |line: &str, _| (chrono::DateTime::UNIX_EPOCH, line.to_owned());
    let mut file = poll_tail::FileListener::builder(&corpus.path).parser(as_it_is).build()?;
    let mut hash = LineHash::default();
    while hash.lines < corpus.lines {
        file.tick()?;
        let lines = file.lines().iter().skip(hash.lines as usize);
        lines.for_each(|(_, line)| hash.line(line.trim_end_matches('\n').as_bytes()));
        if hash.lines < corpus.lines {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(hash)
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
