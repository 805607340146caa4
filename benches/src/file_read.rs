//! `file_read`: raw lines through the public API, acknowledgements and offsets on, beside `read` and
//! `memchr` over the same file; both hash every byte.

use std::fs::File;
use std::hash::Hasher;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use birl_logsource::{FileSource, LogSource, Parser, Position};
use futures_util::StreamExt;

use crate::ROUNDS;
use crate::figure::{Figure, Target};
use crate::stopwatch::seconds;

const MIB: f64 = 1024.0 * 1024.0;
const BYTES: usize = 512 * 1024 * 1024;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("lines.log");
    let lines = write_lines(&path)?;
    let size = std::fs::metadata(&path)?.len() as f64 / MIB;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let (bare, bare_sum) = seconds(|| read_bare(&path));
        let offsets = folder.path().join(format!("offsets-{round}"));
        let (ours, our_sum) = seconds(|| runtime.block_on(follow(&path, &offsets, lines)));
        anyhow::ensure!(bare_sum? == our_sum?, "both must have seen the same lines");
        rounds.push((size / ours, size / bare));
    }
    Ok(vec![Figure::of_rounds(
        "file_read",
        "MiB/s",
        "read + memchr + the same hash",
        Target::RatioAtLeast(0.5),
        &rounds,
    )])
}

/// Lines of about 200 bytes, of mixed lengths.
fn write_lines(path: &Path) -> std::io::Result<u64> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let padding = "x".repeat(300);
    let (mut written, mut lines) = (0, 0_u64);
    while written < BYTES {
        let length = 100 + (lines as usize * 7919) % 200;
        let line =
            format!("2026-01-01T00:00:00Z info request {lines} {}\n", &padding[..length - 50]);
        file.write_all(line.as_bytes())?;
        written += line.len();
        lines += 1;
    }
    file.flush()?;
    Ok(lines)
}

/// Order-sensitive over all lines, cheap enough not to be what is measured.
#[derive(Debug, Default)]
struct LineHash {
    lines: u64,
    sum: u64,
}

impl LineHash {
    fn line(&mut self, line: &[u8]) {
        let mut hasher = Fold::default();
        hasher.write(line);
        self.sum = self.sum.rotate_left(5) ^ hasher.finish();
        self.lines += 1;
    }
}

/// Eight bytes at a time, multiply and fold: near memory speed, and every byte counts.
#[derive(Debug, Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        }
        for byte in chunks.remainder() {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn read_bare(path: &Path) -> anyhow::Result<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut held = 0;
    let mut hash = LineHash::default();
    loop {
        let read = file.read(&mut buffer[held..])?;
        if read == 0 {
            return Ok(hash.sum);
        }
        let filled = held + read;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &buffer[..filled]) {
            hash.line(&buffer[start..end]);
            start = end + 1;
        }
        buffer.copy_within(start..filled, 0);
        held = filled - start;
    }
}

async fn follow(path: &Path, offsets: &Path, lines: u64) -> anyhow::Result<u64> {
    let source = FileSource::builder(path).parser(Parser::raw()).offset_file(offsets).build()?;
    let mut stream = source.tail(Position::Start);
    let mut hash = LineHash::default();
    while hash.lines < lines {
        let batch = stream.next().await.ok_or_else(|| anyhow::anyhow!("the stream ended"))??;
        for entry in batch.entries() {
            hash.line(entry.line());
        }
        batch.ack();
    }
    Ok(hash.sum)
}
