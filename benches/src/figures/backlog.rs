//! `backlog_rss`: the memory of a consumer that takes 1 MB a second of a large backlog, beside the same
//! consumer of a small one. Each is a process of its own; its memory is looked at every second.

use std::time::{Duration, Instant};

use birl_benches::corpus::Corpus;
use birl_benches::figure::{Figure, Target};
use birl_benches::lines;

use crate::setup::{Setup, room_for};
use crate::subject::{How, Subject};

const BYTES_PER_SECOND: u64 = 1_000_000;

/// More than is taken in the time, and little.
const SMALL: u64 = 64_000_000;

const WARM_UP: Duration = Duration::from_secs(5);
const MB: f64 = 1e6;

/// Flat: it may move by so many MB, a few slabs of a read.
const GROWTH: f64 = 1.0;

pub(crate) fn measure(setup: &Setup) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    room_for(folder.path(), setup.scale.backlog)?;
    let start = |name, bytes| {
        let path = folder.path().join(name);
        Corpus::write(&path, bytes, lines::text)?;
        Subject { path, how: How::Watching, pace: Some(BYTES_PER_SECOND) }.start()
    };
    let mut large = start("large.log", setup.scale.backlog)?;
    let mut small = start("small.log", SMALL)?;
    std::thread::sleep(WARM_UP);
    let (begun, first) = (Instant::now(), large.used()?);
    let (mut least, mut most) = (first.resident, first.resident);
    while begun.elapsed() < setup.scale.interval {
        std::thread::sleep(Duration::from_secs(1));
        let resident = large.used()?.resident;
        (least, most) = (least.min(resident), most.max(resident));
    }
    let (last, beside) = (large.used()?, small.used()?);
    let pace = (last.bytes - first.bytes) as f64 / begun.elapsed().as_secs_f64();
    anyhow::ensure!(
        pace < 1.5 * BYTES_PER_SECOND as f64 && pace > 0.5 * BYTES_PER_SECOND as f64,
        "the consumer was to be slow, and took {pace} bytes a second"
    );
    let peaks = [(last.peak as f64 / MB, beside.peak as f64 / MB)];
    let reference = "the same consumer of a backlog of 64 MB";
    Ok(vec![
        Figure::of_rounds("backlog_rss", "MB", reference, Target::ValueBelow(20.0), &peaks),
        Figure::of_budget("backlog_rss_growth", "MB", (most - least) as f64 / MB, GROWTH),
    ])
}
