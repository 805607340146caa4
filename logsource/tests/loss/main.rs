//! Does the file source lose a line, or give one twice?
//!
//! Writers put numbered lines into log files. The files are renamed, copied and cut, compressed,
//! truncated, removed and created anew under them. A reader, in a process of its own, follows the
//! files through the public API and writes down what it is handed before it acknowledges it; it
//! is stalled, blinded, and killed with SIGKILL. In the end every line is accounted for:
//!
//! - What is still on disk under a name of the log has come. So has what was destroyed after a
//!   reader had had time enough to read it.
//! - What was destroyed before anybody could read it is counted, with its cause: a file for a file
//!   where the reader could tell them apart, and nothing is counted that did not happen.
//! - What came twice was not acknowledged when the reader was killed, or so lately that its place
//!   was not yet on disk.
//! - Every line is whole, was written by somebody, and comes in its writer's order within a life.
//!
//! `make loss` plays every scenario, once without a kill, and with 20 kills; `make soak` plays on until there are 200. The
//! seed is printed, and with it the same is done again, though at the speed of the machine:
//! `make loss SEED=… SCENARIO=… KILLS=…`. When something fails, its folder is kept: the files, and
//! the reader's ledger. `cargo test` plays one short scenario.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells its story"
)]

mod clock;
mod counted;
mod dice;
mod ledger;
mod line;
mod log;
mod model;
mod reader;
mod scenario;
mod spans;
mod stage;
mod turns;
mod verdict;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::scenario::Scenario;
use crate::verdict::Verdict;

/// More kills than this are not put into one play: its files would grow large.
const KILLS_PER_PLAY: u32 = 6;

/// What is asked for on the command line.
#[derive(Debug)]
struct Asked {
    seed: u64,
    scenarios: Vec<Scenario>,
    kills: u32,
    /// Every scenario is played without a kill as well.
    calm: bool,
    jobs: usize,
    keep: bool,
    write: Option<PathBuf>,
}

/// One scenario, to be played once.
#[derive(Debug, Clone, Copy)]
struct Play {
    scenario: Scenario,
    seed: u64,
    kills: u32,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = args.split_first()
        && first == "reader"
    {
        reader::run(rest);
        return ExitCode::SUCCESS;
    }
    let asked = match ask(&args) {
        Ok(Some(asked)) => asked,
        Ok(None) => return ExitCode::SUCCESS,
        Err(what) => {
            println!("{what}");
            return ExitCode::from(2);
        }
    };
    let plays = plays(&asked);
    println!("loss: {} plays, seed {}", plays.len(), asked.seed);
    let verdicts = play_all(&asked, &plays);
    let failed = verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count();
    let report = report(&asked, &plays, &verdicts);
    println!("\n{report}");
    if let Some(path) = &asked.write {
        std::fs::write(path, report).expect("cannot write the result");
    }
    // As the runner of other tests says it, for who sums them up.
    let (word, passed) = (if failed == 0 { "ok" } else { "FAILED" }, plays.len() - failed);
    println!("test result: {word}. {passed} passed; {failed} failed; seed {}", asked.seed);
    ExitCode::from(u8::from(failed > 0))
}

/// Reads the arguments. `None`: nothing is asked for, by a filter that means other tests.
fn ask(args: &[String]) -> Result<Option<Asked>, String> {
    let mut asked = Asked {
        seed: clock::now(),
        scenarios: scenario::ALL.to_vec(),
        kills: 2,
        calm: true,
        jobs: 2,
        keep: false,
        write: None,
    };
    let mut is_plain = true;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (arg.as_str(), None),
        };
        let mut value = || {
            value.clone().or_else(|| args.next().cloned()).ok_or(format!("{name} needs a value"))
        };
        let number = |text: String| text.parse().map_err(|_| format!("`{text}` is no number"));
        is_plain &= !["--scenario", "--kills"].contains(&name);
        match name {
            "--seed" => asked.seed = number(value()?)?,
            "--kills" => asked.kills = u32::try_from(number(value()?)?).unwrap_or(u32::MAX),
            "--jobs" => asked.jobs = usize::try_from(number(value()?)?).unwrap_or(1).max(1),
            "--keep" => asked.keep = true,
            "--write" => asked.write = Some(value()?.into()),
            "--scenario" => {
                let names = value()?;
                let named = |name: &&str| scenario::ALL.iter().find(|s| s.name == *name).copied();
                asked.scenarios = names.split(',').filter_map(|name| named(&name)).collect();
                if asked.scenarios.len() != names.split(',').count() {
                    let all: Vec<&str> = scenario::ALL.iter().map(|s| s.name).collect();
                    return Err(format!("no such scenario; there are {}", all.join(", ")));
                }
            }
            // What `cargo test -- …` says to every test program.
            "--test-threads" | "--skip" | "--color" | "--format" => drop(value()?),
            "--nocapture" | "--no-capture" | "--quiet" | "-q" | "--exact" | "--show-output" => {}
            "--list" => return Ok(None),
            filter if !filter.starts_with('-') && !"loss".contains(filter) => return Ok(None),
            filter if !filter.starts_with('-') => {}
            _ => return Err(format!("unknown argument `{arg}`")),
        }
    }
    if is_plain {
        asked.calm = false;
        asked.scenarios.retain(|scenario| scenario.name == "rename");
    }
    Ok(Some(asked))
}

/// Every scenario once without a kill, once with some, and again until there are enough kills.
fn plays(asked: &Asked) -> Vec<Play> {
    let scenarios = asked.scenarios.len();
    let enough = usize::try_from(asked.kills.div_ceil(KILLS_PER_PLAY)).unwrap_or(1);
    let count = enough.div_ceil(scenarios).max(1) * scenarios;
    let share = |index: usize| {
        let (kills, count) = (asked.kills as usize, count);
        u32::try_from(kills * (index + 1) / count - kills * index / count).unwrap_or(0)
    };
    let play = |index: usize| Play {
        scenario: asked.scenarios[index % scenarios],
        seed: asked.seed + (index / scenarios) as u64,
        kills: share(index),
    };
    let calm = |scenario: &Scenario| Play { scenario: *scenario, seed: asked.seed, kills: 0 };
    let calm = asked.scenarios.iter().filter(|_| asked.calm).map(calm);
    calm.chain((0..if asked.kills > 0 { count } else { 0 }).map(play)).collect()
}

fn play_all(asked: &Asked, plays: &[Play]) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..asked.jobs.min(plays.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Relaxed);
                    let Some(play) = plays.get(index) else { return };
                    let verdict = play_one(asked, *play);
                    verdicts.lock().unwrap().insert(index, verdict);
                }
            });
        }
    });
    verdicts.into_inner().unwrap().into_values().collect()
}

fn play_one(asked: &Asked, play: Play) -> Verdict {
    let Play { scenario, seed, kills } = play;
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "loss-{}-{}-{seed}-{kills}",
        std::process::id(),
        scenario.name
    ));
    let begun = clock::now();
    let played = std::panic::catch_unwind(|| stage::play(scenario, seed, kills, &folder));
    let verdict = played.unwrap_or_else(|_| Verdict {
        failures: vec!["the harness itself failed, see above".to_owned()],
        ..Verdict::default()
    });
    let mut text = String::new();
    let took = clock::now() - begun;
    writeln!(text, "{:13} {} in {:.1} s", scenario.name, verdict.line(), took as f64 / 1e3).ok();
    for failure in &verdict.failures {
        writeln!(text, "    {failure}").ok();
    }
    if !verdict.failures.is_empty() {
        let name = scenario.name;
        writeln!(text, "    again: make loss SEED={seed} SCENARIO={name} KILLS={kills}").ok();
        writeln!(text, "    counted: {:?}", verdict.counts).ok();
    }
    if asked.keep || !verdict.failures.is_empty() {
        writeln!(text, "    kept: {}", folder.display()).ok();
    } else {
        std::fs::remove_dir_all(&folder).ok();
    }
    print!("{text}");
    verdict
}

/// What is committed of a soak.
fn report(asked: &Asked, plays: &[Play], verdicts: &[Verdict]) -> String {
    let mut by_name: BTreeMap<&str, Verdict> = BTreeMap::new();
    let mut all = Verdict::default();
    for (play, verdict) in plays.iter().zip(verdicts) {
        by_name.entry(play.scenario.name).or_default().add(verdict);
        all.add(verdict);
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count();
    let verdict = if failed == 0 {
        "ok: nothing lost that could be read, nothing again that was acknowledged"
    } else {
        "FAILED"
    };
    let mut text = String::new();
    writeln!(text, "verdict: {verdict}; {} plays, {failed} of them failed", plays.len()).ok();
    writeln!(text, "seed: {}, kills asked for: {}", asked.seed, asked.kills).ok();
    for scenario in &asked.scenarios {
        writeln!(text, "{:13} {}", scenario.name, by_name[scenario.name].line()).ok();
    }
    writeln!(text, "{:13} {}", "all", all.line()).ok();
    text
}

impl Verdict {
    fn line(&self) -> String {
        let word = if self.failures.is_empty() { "ok    " } else { "FAILED" };
        format!(
            "{word} {:3} kills, {:4} rotations, {:7} lines written, {:7} came, {:5} of them again, \
             {:5} destroyed unread, {:2} halves; read in {:4} ms, kept in {:3} ms, counted in {:4} ms",
            self.kills,
            self.cuts,
            self.written,
            self.delivered,
            self.duplicates,
            self.destroyed,
            self.halves,
            self.read_in,
            self.kept_in,
            self.counted_in
        )
    }

    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.written += other.written;
        self.delivered += other.delivered;
        self.duplicates += other.duplicates;
        self.destroyed += other.destroyed;
        self.halves += other.halves;
        self.read_in = self.read_in.max(other.read_in);
        self.kept_in = self.kept_in.max(other.kept_in);
        self.counted_in = self.counted_in.max(other.counted_in);
        self.failures.extend(other.failures.iter().cloned());
    }
}
