//! `steady_10mb`: what it costs to follow a log that grows by 10 MB a second, on the consumer's own
//! thread and through a stream, and what it costs a reader by hand that looks as often, asks nothing,
//! and knows nothing of rotation. Each is a process of its own, and has the machine for itself but
//! for the writer. They take turns: what waking and reading costs drifts by half within minutes, on a
//! machine that others use as well.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use birl_benches::figure::{Figure, Target};

use crate::pace;
use crate::scale::Scale;
use crate::subject::{How, Subject, percent_of_a_core};

const BYTES_PER_SECOND: u64 = 10_000_000;
const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(3);
const MB: f64 = 1e6;

pub(crate) fn measure(scale: Scale) -> anyhow::Result<Vec<Figure>> {
    let (mut pulled, mut peak, mut streamed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let turn = |how| follow(how, scale.interval / 2);
        let (ours, alone) = (turn(How::Pulling)?, turn(How::Alone)?);
        pulled.push((ours.cpu, alone.cpu));
        let (ours, bare) = (turn(How::Watching)?, turn(How::Bare)?);
        streamed.push((ours.cpu, bare.cpu));
        peak.push((ours.peak, bare.peak));
    }
    let alone = "nap → read → memchr → hash, by turns";
    let bare = "nap → read → memchr, hash in another thread, by turns";
    Ok(vec![
        Figure::of_rounds("steady_10mb", "% core", alone, Target::ValueBelow(1.5), &pulled),
        Figure::of_rounds("steady_10mb_stream", "% core", bare, Target::ValueBelow(2.0), &streamed),
        Figure::of_rounds("steady_10mb_rss", "MB", bare, Target::ValueBelow(20.0), &peak),
    ])
}

/// What following took.
struct Took {
    /// Percent of a core.
    cpu: f64,
    /// The most memory, in megabytes.
    peak: f64,
}

fn follow(how: How, interval: Duration) -> anyhow::Result<Took> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("app.log");
    File::create(&path)?;
    let mut subject = Subject { path: path.clone(), how, pace: None }.start()?;
    let over = AtomicBool::new(false);
    let ([cpu], written) = std::thread::scope(|scope| {
        let writer = scope
            .spawn(|| pace::append(&path, BYTES_PER_SECOND, |_| !over.load(Ordering::Relaxed)));
        std::thread::sleep(WARM_UP);
        let shares = percent_of_a_core([&mut subject], interval);
        over.store(true, Ordering::Relaxed);
        let written = writer.join().map_err(|_| anyhow::anyhow!("the writer failed"))??;
        anyhow::Ok((shares?, written))
    })?;
    anyhow::ensure!(
        written.bytes as f64 > 0.95 * BYTES_PER_SECOND as f64 * interval.as_secs_f64(),
        "the machine was too busy to write {BYTES_PER_SECOND} bytes a second"
    );
    subject.wait_for(written.lines, Duration::from_secs(10))?;
    Ok(Took { cpu, peak: subject.used()?.peak as f64 / MB })
}
