//! A source in a process of its own: one that can be stopped, held to limits, and looked at from
//! outside.
//!
//! The far end is [`follow`], run in another process of this very program.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use birl_logsource::{Count, DropReason, Edge, FileSource, Gauge, LogSource, Position};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::time::MissedTickBehavior;

/// Where the far end finds the log, if it is one.
const LOG: &str = "BIRL_TEST_LOG";

/// The last line of a test.
pub(crate) const END: &str = "the end";

/// The far end says when it has read a line that begins so.
pub(crate) const SAY: &str = "say ";

/// A directory that anybody may enter, for a log and its offset file.
pub(crate) struct Home(TempDir);

/// A process that follows a log.
pub(crate) struct FarEnd {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

/// A thread of another process.
pub(crate) struct Thread(PathBuf);

/// What a thread has done so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// How often it has read from a file.
    pub(crate) reads: u64,
    /// How often it has waited for something.
    pub(crate) waits: u64,
}

impl Thread {
    pub(crate) fn work(&self) -> Work {
        let number = |file: &str, name: &str| {
            let text = fs::read_to_string(self.0.join(file)).unwrap();
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(found, _)| *found == name).expect("the kernel does not tell");
            found.1.trim().parse().unwrap()
        };
        Work { reads: number("io", "syscr"), waits: number("status", "voluntary_ctxt_switches") }
    }
}

impl Work {
    /// What was done since then.
    pub(crate) fn since(self, then: Self) -> Self {
        Self { reads: self.reads - then.reads, waits: self.waits - then.waits }
    }
}

/// What it says in the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) lines: u64,
    /// In order, so that one lost and one too many do not make up for each other.
    pub(crate) checksum: u64,
    /// What was cut off lines that are too long.
    pub(crate) cut_bytes: u64,
    /// The most memory that it ever had, in KiB.
    pub(crate) memory: u64,
    /// Files that were gone before they could be opened.
    pub(crate) rotated_away: u64,
    /// How often everything was looked at anew, since events were lost.
    pub(crate) rescans: u64,
    /// 1 if it polls.
    pub(crate) polling: u64,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.at("app.log")
    }
}

impl FarEnd {
    /// Runs it, behind a command that changes what it may do, if there is any.
    pub(crate) fn start(home: &Home, wrapper: &[&str]) -> Self {
        Self::following(home, &home.log(), wrapper)
    }

    /// The same, for another path or a pattern. Its offset file is beside that.
    pub(crate) fn following(home: &Home, log: &Path, wrapper: &[&str]) -> Self {
        // Beside the log, where any user can run it.
        let (here, program) = (std::env::current_exe().unwrap(), home.at("far-end"));
        if !program.exists() {
            let link = fs::hard_link(&here, &program);
            link.or_else(|_| fs::copy(&here, &program).map(drop)).unwrap();
        }
        let program = program.to_string_lossy().into_owned();
        let words = [wrapper, &[&program, "--exact", "far_end::follow", "--nocapture"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env(LOG, log).stdout(Stdio::piped());
        let child = command.spawn();
        assert!(child.is_ok(), "cannot run `{}`; install it", words[0]);
        let mut child = child.unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut follower = Self { child, answers };
        follower.answer("following");
        follower
    }

    /// Waits until it says a word, and gives what comes after that.
    pub(crate) fn answer(&mut self, word: &str) -> String {
        loop {
            let line = self.answers.next().expect("the far end failed").unwrap();
            // The test harness writes on the same line.
            if let Some(at) = line.find(word) {
                return line[at + word.len()..].trim().to_owned();
            }
        }
    }

    /// Runs a command on it: the process's id comes last.
    pub(crate) fn act(&self, words: &[&str]) {
        let mut command = Command::new(words[0]);
        let command = command.args(&words[1..]).arg(self.child.id().to_string());
        assert!(command.status().is_ok_and(|status| status.success()), "{words:?} failed");
    }

    /// Stops it for as long as it is not told to go on, and waits until it has stopped.
    pub(crate) fn stop(&self) {
        self.act(&["kill", "-STOP"]);
        let stat = format!("/proc/{}/stat", self.child.id());
        let is_stopped = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        let wait = || std::thread::sleep(Duration::from_millis(5));
        let stopped = (0..4000).any(|_| is_stopped() || (wait(), false).1);
        assert!(stopped, "it does not stop");
    }

    /// Waits for something that takes a moment; fails the test if it never happens.
    pub(crate) fn wait_for(&mut self, what: &str, check: impl Fn() -> bool) {
        // It says how it is every now and then: that is the clock, and nothing piles up.
        let ticks = std::iter::from_fn(|| Some(self.answer("health")));
        assert!(ticks.take(400).any(|_| check()), "never: {what}");
    }

    /// What the kernel tells of its thread of this name.
    pub(crate) fn thread(&self, name: &str) -> Thread {
        let all = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let mut all = all.map(|entry| entry.unwrap().path());
        let is_it = |at: &PathBuf| {
            fs::read_to_string(at.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        };
        Thread(all.find(is_it).expect("there is no such thread"))
    }

    /// How much processor time its threads have used.
    pub(crate) fn cpu(&self) -> Duration {
        let all = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of_one = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
        };
        all.filter_map(|thread| of_one(thread.ok()?)).sum()
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Kills it. Gives what it had said after a word, and was not asked for yet.
    pub(crate) fn killed(mut self, word: &str) -> Vec<String> {
        self.child.kill().unwrap();
        let lines = self.answers.by_ref().map_while(Result::ok);
        lines.filter_map(|line| line.split_once(word).map(|(_, rest)| rest.to_owned())).collect()
    }

    pub(crate) fn told(mut self) -> Told {
        let told = self.answer("told");
        let numbers: Vec<u64> = told.split(' ').map(|number| number.parse().unwrap()).collect();
        assert!(self.child.wait().unwrap().success());
        let [lines, checksum, cut_bytes, memory, rotated_away, rescans, polling] =
            numbers[..].try_into().unwrap();
        Told { lines, checksum, cut_bytes, memory, rotated_away, rescans, polling }
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What comes of one more line.
pub(crate) fn checksum(sum: u64, line: &[u8]) -> u64 {
    let fold = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    line.iter().fold(sum.rotate_left(5), fold)
}

/// The far end: follows the log to the last line, and tells what it sees. By itself it does nothing.
#[tokio::test]
async fn follow() {
    let Some(log) = std::env::var_os(LOG).map(PathBuf::from) else { return };
    let offsets = log.with_file_name("offsets");
    let source = FileSource::builder(&log).id("log").max_line_bytes(1 << 20).offset_file(offsets);
    let source = source.build().unwrap();
    let mut stream = source.tail(Position::Resume { otherwise: Edge::Start });
    println!("following");
    let (mut sum, mut count, mut is_over) = (0, 0, false);
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !is_over {
        let item = tokio::select! {
            item = stream.next() => item.unwrap(),
            _ = tick.tick() => {
                let health = source.health_check().await.unwrap();
                println!("health {:?} {}", health.state, health.reason.unwrap_or_default());
                continue;
            }
        };
        let batch = match item {
            Ok(batch) => batch,
            Err(error) => {
                println!("trouble {error}");
                continue;
            }
        };
        for entry in batch.entries() {
            if entry.line() == END.as_bytes() {
                is_over = true;
                break;
            }
            (sum, count) = (checksum(sum, entry.line()), count + 1);
            if let Some(word) = entry.text().strip_prefix(SAY) {
                println!("{word}");
            }
        }
        batch.ack();
    }
    let metrics = source.metrics().source("log").unwrap();
    let cut = metrics.dropped_bytes(DropReason::LineTooLong);
    let (memory, away) =
        (most_memory(Path::new("/proc/self/status")), metrics.dropped(DropReason::RotatedAway));
    let (rescans, polling) = (metrics.get(Count::Rescans), metrics.gauge(Gauge::Polling));
    println!("told {count} {sum} {cut} {memory} {away} {rescans} {polling}");
}

fn most_memory(status: &Path) -> u64 {
    let status = fs::read_to_string(status).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    memory.trim().trim_end_matches(" kB").parse().unwrap()
}
