//! `many_files`: what the first start over many files costs, each with a number in its name.

use std::path::Path;
use std::time::Duration;

use birl_benches::figure::{Figure, ROUNDS, Target};

use crate::subject::{How, Running, Subject};

const FILES: u64 = 16_000;

/// The fewer ones.
const PART: u64 = FILES / 4;

/// Times what a walk costs that remembers nothing.
const TIMES: f64 = 20.0;

/// Four times as many files are to cost four times as much, and not sixteen times.
const GROWTH: f64 = 1.5;

/// KiB of memory a file; a quarter of them are open.
const MEMORY: f64 = 4.0;

/// Everything is acknowledged and written down by then.
const SETTLE: Duration = Duration::from_secs(2);

const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let [many, part, one] = [("many", FILES), ("part", PART), ("one", 1)].map(|(name, files)| {
        let folder = folder.path().join(name);
        write(&folder, files).map(|()| folder)
    });
    let (many, part, one) = (many?, part?, one?);
    let (mut beside_walk, mut beside_part) = (Vec::new(), Vec::new());
    let mut memory = 0;
    for _ in 0..ROUNDS {
        let (mut ours, used) = started(&many, FILES, How::Watching)?;
        beside_walk.push((used, started(&many, FILES, How::Walking)?.1));
        beside_part.push((used, started(&part, PART, How::Watching)?.1));
        std::thread::sleep(SETTLE);
        memory = memory.max(ours.used()?.resident);
    }
    let mut alone = started(&one, 1, How::Watching)?.0;
    std::thread::sleep(SETTLE);
    let grown = memory.saturating_sub(alone.used()?.resident);
    let walk = "a bare walk, open and read of the same";
    let most = Target::RatioAtMost(TIMES);
    let straight = Target::RatioAtMost(GROWTH);
    let memory = grown as f64 / 1024.0 / FILES as f64;
    Ok(vec![
        Figure::of_rounds("many_files", "µs", walk, most, &beside_walk),
        Figure::of_rounds("many_files_growth", "µs", "a quarter of them", straight, &beside_part),
        Figure::of_budget("many_files_rss", "KiB", memory, MEMORY),
    ])
}

fn write(folder: &Path, files: u64) -> anyhow::Result<()> {
    std::fs::create_dir(folder)?;
    for number in 0..files {
        let path = folder.join(format!("service-{number:06}.log"));
        std::fs::write(path, format!("2026-01-01T00:00:00Z info service {number} is up\n"))?;
    }
    Ok(())
}

/// Starts one, and waits until it has read all there is. Gives the microseconds of processor time
/// that this took, for each file.
fn started(folder: &Path, files: u64, how: How) -> anyhow::Result<(Running, f64)> {
    let mut running = Subject { path: folder.join("*.log"), how, pace: None }.start()?;
    running.wait_for(files, PATIENCE)?;
    let cpu = running.cpu()?;
    Ok((running, cpu.as_secs_f64() * 1e6 / files as f64))
}
