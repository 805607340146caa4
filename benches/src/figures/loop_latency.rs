//! `loop_latency`: from a line written by another process to the acknowledged scale call.
//!
//! 1 MB/s of other lines flow beside it, 100 rules look at each, all windows are zero. The reference
//! is what nobody can beat: the bare write → inotify → read of the same lines in the same run.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use birl_benches::figure::{Figure, Target, percentile};
use birl_logsource::{FileSource, LogSource, Parser, Position, Value};
use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch};
use birl_scaler::{Decider, MemoryTarget, Observation, ScaleIntent, ScaleTarget, ScalerSpec};
use futures_util::StreamExt;
use rustix::fs::inotify;
use serde::{Deserialize, Serialize};

use crate::ROUNDS;
use crate::child::Role;
use crate::monotonic::{milliseconds_since, now};
use crate::scale::Scale;

/// One incident every so many milliseconds, so that no two are under way at once.
const EVERY: u32 = 5;

pub(crate) fn measure(scale: Scale) -> anyhow::Result<Vec<Figure>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let count = scale.incidents;
        let bare = incidents(count, |path| bare(path, count))?;
        let ours = incidents(count, |path| runtime.block_on(through_the_loop(path, count)))?;
        p50.push((percentile(ours.iter().copied(), 0.5), percentile(bare.iter().copied(), 0.5)));
        p99.push((percentile(ours.iter().copied(), 0.99), percentile(bare.iter().copied(), 0.99)));
    }
    let reference = "write → inotify → read";
    Ok(vec![
        Figure::of_rounds("loop_latency_p50", "ms", reference, Target::ValueBelow(100.0), &p50),
        Figure::of_rounds("loop_latency", "ms", reference, Target::ValueBelow(100.0), &p99),
    ])
}

/// Starts the writer, lets `watch` see its lines, and returns the milliseconds of each incident.
fn incidents(
    count: usize,
    watch: impl FnOnce(&Path) -> anyhow::Result<Vec<f64>>,
) -> anyhow::Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("app.log");
    File::create(&path)?;
    let mut writer = Role::Incidents(Incidents { path: path.clone(), count }).start()?;
    let latencies = watch(&path)?;
    writer.wait()?;
    Ok(latencies)
}

/// What the writer writes to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Incidents {
    path: PathBuf,
    count: usize,
}

impl Incidents {
    /// Is the writer.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let mut file = File::options().append(true).open(&self.path)?;
        // The watcher needs a moment to be there; it measures nothing before the first incident.
        std::thread::sleep(Duration::from_millis(300));
        let other = format!(
            "{{\"level\":\"info\",\"service\":\"s7\",\"latency_ms\":12,\"pad\":\"{}\"}}\n",
            "x".repeat(140)
        );
        let mut written = 0;
        let mut millisecond = 0;
        while written < self.count {
            millisecond += 1;
            file.write_all(other.repeat(1000 / other.len()).as_bytes())?;
            if millisecond % EVERY == 0 {
                let line = format!(
                    "{{\"level\":\"error\",\"incident\":\"i-{written}\",\"written\":{}}}\n",
                    now()
                );
                file.write_all(line.as_bytes())?;
                written += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// The floor: a blocking read of inotify, a read of the file, a search for the incident.
fn bare(path: &Path, count: usize) -> anyhow::Result<Vec<f64>> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY)?;
    let mut file = File::open(path)?;
    let (mut events, mut buffer) = ([0; 4096], Vec::with_capacity(1 << 20));
    let finder = memchr::memmem::Finder::new("\"written\":");
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        rustix::io::read(&watch, &mut events)?;
        buffer.clear();
        file.read_to_end(&mut buffer)?;
        for at in finder.find_iter(&buffer) {
            let digits = buffer[at + 10..].iter().take_while(|byte| byte.is_ascii_digit());
            let written = digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
            latencies.push(milliseconds_since(written));
        }
    }
    Ok(latencies)
}

/// The loop: tail, parse, 100 rules, episodes, decider, acknowledged scale call.
async fn through_the_loop(path: &Path, count: usize) -> anyhow::Result<Vec<f64>> {
    let source = FileSource::builder(path)
        .parser(Parser::json())
        .offset_file(path.with_extension("offset"))
        .build()?;
    let rules = Arc::new(RuleSet::from_yaml("rules.yaml", &a_hundred_rules())?);
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let mut scratch = Scratch::default();
    let mut spec = ScalerSpec::new("api", 1, 1_000_000);
    spec.brake.max_actions_per_hour = 3600; // the most that a specification may ask for
    let mut decider = Decider::new(spec)?;
    let target = MemoryTarget::new(1);
    let mut lines = source.tail(Position::Start);
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        let batch = lines.next().await.ok_or_else(|| anyhow::anyhow!("the stream ended"))??;
        let now = SystemTime::now();
        let entries: Vec<_> = batch.entries().map(|entry| entry.to_entry()).collect();
        let events = entries.iter().map(|entry| Event::new(entry, entry.timestamp));
        for firing in engine.advance(rules.matches(events, &mut scratch), now) {
            for (_, intent) in ScaleIntent::from_firing(&firing) {
                let observation = Observation::new(target.replicas().await?).intent(intent);
                let decision = decider.decide(&observation, now);
                anyhow::ensure!(decision.is_change(), "held: {}", decision.explain());
                target.scale_to(decision.to, &decision).await?;
                decider.applied(&decision, Ok(()), now);
            }
            let written = entries.iter().find_map(|entry| {
                match (entry.fields.get("incident"), entry.fields.get("written")) {
                    (Some(Value::Str(incident)), Some(Value::Int(written)))
                        if Some(incident) == firing.group.get("incident") =>
                    {
                        Some(*written)
                    }
                    _ => None,
                }
            });
            latencies.extend(written.map(milliseconds_since));
        }
        batch.ack();
    }
    Ok(latencies)
}

/// 99 that look and do not hold, and one that asks for capacity.
fn a_hundred_rules() -> String {
    let mut rules = String::from("rules:\n");
    for number in 0..99 {
        rules.push_str(&format!(
            "  - name: quiet_{number}\n    where: service == 's{number}'\n    when: latency_ms > {}\n    then: notify('team')\n",
            500 + number
        ));
    }
    rules.push_str("  - name: incident\n    when: level == 'error'\n    by: [incident]\n    then: scale('api', '+1')\n");
    rules
}
