//! `loop_latency`: from a line written by another process to the acknowledged scale call.
//!
//! 1 MB/s of other lines flow beside it, 100 rules look at each, all windows are zero. The reference
//! is what nobody can beat: the bare write → inotify → read of the same lines in the same run.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use birl_logsource::{FileSource, LogSource, Parser, Position, Value};
use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch};
use birl_scaler::{Decider, MemoryTarget, Observation, ScaleIntent, ScaleTarget, ScalerSpec};
use futures_util::StreamExt;
use rustix::fs::inotify;
use rustix::time::{ClockId, clock_gettime};

use crate::ROUNDS;
use crate::figure::{Figure, Target, percentile};

const INCIDENTS: usize = 1000;
/// One incident every so many milliseconds, so that no two are under way at once.
const EVERY: u32 = 5;
const WRITER: &str = "write-incidents";

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let bare = incidents(bare)?;
        let ours = incidents(|path| runtime.block_on(through_the_loop(path)))?;
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
fn incidents(watch: impl FnOnce(&Path) -> anyhow::Result<Vec<f64>>) -> anyhow::Result<Vec<f64>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("app.log");
    File::create(&path)?;
    let writer = Command::new(std::env::current_exe()?).arg(WRITER).arg(&path).spawn()?;
    let mut writer = Reaped(writer);
    let latencies = watch(&path)?;
    writer.0.wait()?;
    Ok(latencies)
}

/// Ends the writer however the measurement ends.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs as the writer when the command line says so.
pub(crate) fn take_over() -> anyhow::Result<Option<ExitCode>> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|mode| mode != WRITER) {
        return Ok(None);
    }
    let path = PathBuf::from(args.next().unwrap_or_default());
    let mut file = File::options().append(true).open(path)?;
    // The watcher needs a moment to be there; it measures nothing before the first incident.
    std::thread::sleep(Duration::from_millis(300));
    let other = format!(
        "{{\"level\":\"info\",\"service\":\"s7\",\"latency_ms\":12,\"pad\":\"{}\"}}\n",
        "x".repeat(140)
    );
    let mut written = 0;
    let mut millisecond = 0;
    while written < INCIDENTS {
        millisecond += 1;
        file.write_all(other.repeat(1000 / other.len()).as_bytes())?;
        if millisecond % EVERY == 0 {
            let line = format!(
                "{{\"level\":\"error\",\"incident\":\"i-{written}\",\"written\":{}}}\n",
                monotonic()
            );
            file.write_all(line.as_bytes())?;
            written += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(Some(ExitCode::SUCCESS))
}

/// Nanoseconds of the clock that all processes of a machine share.
fn monotonic() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn milliseconds_since(written: i64) -> f64 {
    (monotonic() - written) as f64 / 1e6
}

/// The floor: a blocking read of inotify, a read of the file, a search for the incident.
fn bare(path: &Path) -> anyhow::Result<Vec<f64>> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY)?;
    let mut file = File::open(path)?;
    let (mut events, mut buffer) = ([0; 4096], Vec::with_capacity(1 << 20));
    let finder = memchr::memmem::Finder::new("\"written\":");
    let mut latencies = Vec::with_capacity(INCIDENTS);
    while latencies.len() < INCIDENTS {
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
async fn through_the_loop(path: &Path) -> anyhow::Result<Vec<f64>> {
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
    let mut latencies = Vec::with_capacity(INCIDENTS);
    while latencies.len() < INCIDENTS {
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
