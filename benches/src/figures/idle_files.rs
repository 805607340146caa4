//! `idle_files`: what it costs to follow ten thousand files to which nobody writes.

use std::time::Duration;

use birl_benches::figure::Figure;

use crate::scale::Scale;
use crate::subject::{How, Subject, percent_of_a_core};

const FILES: u64 = 10_000;

/// Percent of one core.
const BUDGET: f64 = 0.1;

/// Where no event can be had, each of them is looked at every few seconds.
const POLLED_BUDGET: f64 = 5.0;

/// What was just read may be looked at more often for a while.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn measure(scale: Scale) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    for number in 0..FILES {
        let path = folder.path().join(format!("service-{number}.log"));
        std::fs::write(path, format!("2026-01-01T00:00:00Z info service {number} is up\n"))?;
    }
    let path = folder.path().join("*.log");
    let start = |how| Subject { path: path.clone(), how, pace: None }.start();
    let (mut watching, mut polling) = (start(How::Watching)?, start(How::Polling)?);
    watching.wait_for(FILES, Duration::from_secs(120))?;
    polling.wait_for(FILES, Duration::from_secs(120))?;
    std::thread::sleep(SETTLE);
    let [watched, polled] = percent_of_a_core([&mut watching, &mut polling], scale.interval)?;
    Ok(vec![
        Figure::of_budget("idle_files", "% core", watched, BUDGET),
        Figure::of_budget("idle_files_polled", "% core", polled, POLLED_BUDGET),
    ])
}
