//! `steady_10mb`: what it costs to follow a log that grows by 10 MB a second, and then what it costs
//! a reader by hand that looks as often, asks nothing, and knows nothing of rotation. Each is a
//! process of its own, and has the machine for itself but for the writer. They take turns: what
//! waking and reading costs drifts by a third within minutes, on a machine that others use as well.

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
    let (mut cpu, mut peak) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (our_cpu, our_peak) = follow(How::Watching, scale.interval / 2)?;
        let (bare_cpu, bare_peak) = follow(How::Bare, scale.interval / 2)?;
        cpu.push((our_cpu, bare_cpu));
        peak.push((our_peak, bare_peak));
    }
    let reference = "nap → read → memchr, hash in another thread, by turns";
    Ok(vec![
        Figure::of_rounds("steady_10mb", "% core", reference, Target::ValueBelow(1.5), &cpu),
        Figure::of_rounds("steady_10mb_rss", "MB", reference, Target::ValueBelow(20.0), &peak),
    ])
}

/// The percentage of a core that following takes, and the most memory in megabytes.
fn follow(how: How, interval: Duration) -> anyhow::Result<(f64, f64)> {
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
    Ok((cpu, subject.used()?.peak as f64 / MB))
}
