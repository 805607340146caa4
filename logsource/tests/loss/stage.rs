//! One scenario, played: writers and rotations on threads of this process, the reader in processes
//! of its own, one after the other.

use std::fs::{self, File};
use std::io::Write;
use std::mem;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock::{now, sleep, wait};
use crate::dice::Dice;
use crate::ledger::{Event, LedgerReader, Record};
use crate::log::{Log, WRITERS};
use crate::model::Ms;
use crate::scenario::{Follow, Scenario};
use crate::turns::Turns;
use crate::verdict::{Case, Life, Verdict};

/// How long a reader may take to begin, to end, and to do nothing while there is something to do: of
/// the time in which it could have run.
const PATIENCE: Ms = 20_000;

/// How long a play without a kill takes at least.
const CALM: Ms = 5_000;

/// How long everything that was written may take to come in the end, of the same time.
const DRAIN: Ms = 60_000;

/// Plays a scenario in a folder, and judges what came of it.
pub(crate) fn play(scenario: Scenario, seed: u64, kills: u32, folder: &Path) -> Verdict {
    let directory = folder.join("logs");
    fs::create_dir_all(&directory).expect("cannot make a folder");
    let seed = Dice::new(seed, scenario.name).next();
    let numbers = 0..scenario.logs;
    let logs: Vec<Log> = numbers
        .clone()
        .map(|number| Log::new(&directory, &log_name(scenario, number), number, scenario))
        .collect();
    let mut stage = Stage::new(scenario, seed, folder);
    stage.start();
    // Before the first place in a log is written down there is nothing to resume.
    let is_settled = || {
        let offsets = fs::read(folder.join("offsets")).unwrap_or_default();
        numbers.clone().all(|number| {
            let name = log_name(scenario, number);
            offsets.windows(name.len()).any(|at| at == name.as_bytes())
        })
    };
    if !stage.turns().wait(PATIENCE, is_settled) {
        stage.troubles.push("the offset file was never written".to_owned());
    }
    std::thread::scope(|scope| {
        for (log, number) in logs.iter().zip(numbers) {
            for index in 0..WRITERS {
                let dice = Dice::new(seed, &format!("writer {number} {index}"));
                scope.spawn(move || log.write(number * 10 + index, index as usize, dice));
            }
            let dice = Dice::new(seed, &format!("rotation {number}"));
            scope.spawn(move || log.rotate(dice));
        }
        stage.act(kills);
        logs.iter().for_each(|log| log.stop.store(true, Relaxed));
    });
    stage.drain(&logs);
    stage.stop();
    let (lives, blind) = (mem::take(&mut stage.lives), mem::take(&mut stage.blind));
    let (records, troubles) = (mem::take(&mut stage.records), mem::take(&mut stage.troubles));
    let states: Vec<_> = logs.iter().map(Log::lock).collect();
    let models = states.iter().map(|state| &state.model).collect();
    let cuts = states.iter().map(|state| state.cuts).sum();
    let case = Case { scenario, models, cuts, lives, blind, records };
    let mut verdict = case.judge();
    verdict.failures.extend(troubles);
    verdict
}

fn log_name(scenario: Scenario, number: u32) -> String {
    match scenario.logs {
        1 => "app.log".to_owned(),
        _ => format!("app-{number}.log"),
    }
}

#[derive(Debug)]
struct Stage {
    scenario: Scenario,
    seed: u64,
    folder: PathBuf,
    dice: Dice,
    reader: Option<Child>,
    lives: Vec<Life>,
    /// From when to when the reader could not see anything, beside stalls and being dead.
    blind: Vec<(Ms, Ms)>,
    ledger: LedgerReader,
    records: Vec<Record>,
    troubles: Vec<String>,
}

impl Stage {
    fn new(scenario: Scenario, seed: u64, folder: &Path) -> Self {
        Self {
            scenario,
            seed,
            folder: folder.to_owned(),
            dice: Dice::new(seed, "stage"),
            reader: None,
            lives: Vec::new(),
            blind: Vec::new(),
            ledger: LedgerReader::new(&folder.join("ledger")),
            records: Vec::new(),
            troubles: Vec::new(),
        }
    }

    /// Lives of the reader, each but the last ended by a SIGKILL.
    fn act(&mut self, kills: u32) {
        let mut killed = 0;
        let calm = if kills == 0 { CALM } else { 0 };
        let stalled_life = self.dice.between(0, kills.into());
        let mut stalled = self.scenario.stall == 0;
        while killed <= kills {
            if self.reader.is_none() {
                self.start();
            }
            let last = killed == kills;
            if u64::from(killed) == stalled_life && !mem::replace(&mut stalled, true) {
                self.wait_until_ready();
                self.tell(&format!("stall {}", self.scenario.stall));
                sleep(self.scenario.stall + self.dice.between(500, 2000));
            }
            if self.scenario.overflow && (killed % 2 == 0 || last) {
                self.wait_until_ready();
                sleep(self.dice.between(50, 300));
                self.overflow();
            }
            let life = match self.dice.between(0, 9) {
                // While it begins.
                0..=2 => self.dice.between(5, 150),
                3..=7 => self.dice.between(200, 1500),
                _ => self.dice.between(1500, 3000),
            };
            sleep(life.max(calm));
            if last {
                return;
            }
            if self.dice.percent(15) {
                self.stop();
            } else {
                self.kill();
                killed += 1;
            }
            sleep(if self.dice.percent(75) {
                self.dice.between(0, 200)
            } else {
                self.dice.between(300, 1500)
            });
        }
    }

    fn start(&mut self) {
        let run = self.lives.len();
        let pattern = match self.scenario.follow {
            Follow::Name => "app.log",
            Follow::Logs => "*.log",
            Follow::All => "*.log*",
        };
        let errors = self.folder.join("stderr");
        let errors = File::options().create(true).append(true).open(errors);
        let reader = Command::new(std::env::current_exe().expect("no path to this program"))
            .arg("reader")
            .arg(self.folder.join("logs").join(pattern))
            .args([self.folder.as_os_str(), run.to_string().as_ref()])
            .args([self.seed.to_string(), (self.scenario.stall > 0).to_string()])
            .stdin(Stdio::piped())
            .stderr(errors.expect("cannot make a file"))
            .spawn();
        self.reader = Some(reader.expect("cannot start the reader"));
        self.lives.push(Life { from: now(), until: Ms::MAX, killed: false });
    }

    fn turns(&self) -> Turns {
        Turns::of(self.reader.as_ref().map_or(0, Child::id))
    }

    fn tell(&mut self, order: &str) {
        let stdin = self.reader.as_mut().and_then(|reader| reader.stdin.as_mut());
        // If the reader is gone, that is found out when it is stopped.
        stdin.map(|stdin| writeln!(stdin, "{order}").ok());
    }

    fn read(&mut self) {
        self.records.extend(self.ledger.read());
    }

    fn wait_until_ready(&mut self) {
        let run = self.lives.len() as u32 - 1;
        let ready = self.turns().wait(PATIENCE, || {
            self.records.extend(self.ledger.read());
            self.records.iter().rev().any(|r| r.run == run && r.event == Event::Ready)
        });
        if !ready {
            self.troubles.push(format!("run {run} never began"));
        }
    }

    fn end(&mut self, killed: bool) {
        let run = self.lives.len() - 1;
        if let Some(life) = self.lives.last_mut() {
            (life.until, life.killed) = (now(), killed);
        }
        self.read();
        if !killed
            && !self.records.iter().any(|r| r.run as usize == run && r.event == Event::Stopped)
        {
            self.troubles.push(format!("run {run} failed; see {}/stderr", self.folder.display()));
        }
    }

    fn kill(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        if let Ok(Some(status)) = reader.try_wait() {
            self.troubles.push(format!("the reader ended by itself, {status}"));
        }
        reader.kill().expect("cannot kill the reader");
        reader.wait().expect("cannot wait for the reader");
        self.end(true);
    }

    /// Asks the reader to end, and waits.
    fn stop(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        drop(reader.stdin.take());
        let turns = Turns::of(reader.id());
        let is_over = || reader.try_wait().is_ok_and(|status| status.is_some());
        if !turns.wait(PATIENCE, is_over) {
            self.troubles.push("the reader did not end when it was asked to".to_owned());
            reader.kill().expect("cannot kill the reader");
            reader.wait().expect("cannot wait for the reader");
        }
        self.end(false);
    }

    /// More happens in the directory than the queue of inotify holds, while nobody empties it.
    fn overflow(&mut self) {
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
        let limit: usize = limit.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(16384);
        let Some(pid) = self.reader.as_ref().map(Pid::from_child) else { return };
        let from = now();
        kill_process(pid, Signal::STOP).expect("cannot stop the reader");
        // It goes on until it has its turn to hear of it.
        let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
        let is_stopped = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        assert!(wait(PATIENCE, is_stopped), "the reader does not stop");
        let names = ["junk-a", "junk-b"].map(|name| self.folder.join("logs").join(name));
        let mut files = names.each_ref().map(|name| File::create(name).expect("cannot create"));
        // Events that are equal and follow each other are one.
        for n in 0..limit + 100 {
            files[n % 2].write_all(b"x").expect("cannot write");
        }
        names.iter().for_each(|name| fs::remove_file(name).expect("cannot remove"));
        sleep(self.dice.between(0, 1000));
        kill_process(pid, Signal::CONT).expect("cannot go on");
        self.blind.push((from, now()));
    }

    /// Waits until everything that is there has come; not for ever.
    fn drain(&mut self, logs: &[Log]) {
        let states: Vec<_> = logs.iter().map(Log::lock).collect();
        let mut missing = crate::verdict::Missing::new(states.iter().map(|state| &state.model));
        drop(states);
        let mut seen = 0;
        let (all, mut since_moved) = (self.turns(), self.turns());
        loop {
            self.read();
            missing.take(&self.records[seen..]);
            if self.records[seen..].iter().any(|r| matches!(r.event, Event::Batch(..))) {
                since_moved = self.turns();
            }
            seen = self.records.len();
            if missing.is_empty() || since_moved.has_had(PATIENCE) || all.has_had(DRAIN) {
                break;
            }
            sleep(20);
        }
        // What comes twice may come late.
        sleep(300);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut reader) = self.reader.take() {
            reader.kill().ok();
            reader.wait().ok();
        }
    }
}
