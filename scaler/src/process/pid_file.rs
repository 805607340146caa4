//! A memory on disk of which processes were started, for the day on which the host itself is killed.
//!
//! Nothing runs after SIGKILL, so workers then outlive their host. The next one to be given the same
//! file ends them. A number alone proves nothing, for the kernel gives it to others later: a process
//! is one of ours only if boot, number and start time agree, and it leads its group as workers do.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError, read_to_string};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, test_kill_process_group};
use tokio::time::{Instant, sleep};

use super::group::send;
use crate::error::{Error, ErrorKind};

/// How often those told to end are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The most that is read of a file; 256 workers take some 6 KiB.
const MAX_BYTES: u64 = 1024 * 1024;

/// The file, locked for as long as this lives, so that no other host takes our workers for leftovers.
#[derive(Debug)]
pub(crate) struct PidFile {
    file: File,
    boot: String,
    /// The processes of this host, by the number of the worker.
    running: Mutex<BTreeMap<u32, Process>>,
}

/// A process, told apart from a later one of the same number by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    /// In ticks since the boot.
    started: u64,
}

impl PidFile {
    /// Opens and locks the file, and ends what a host before this one left running: by SIGTERM, and
    /// by SIGKILL after `patience`. Tells how many workers that were.
    pub(crate) async fn open(path: &Path, patience: Duration) -> Result<(Self, u64), Error> {
        let failed = |what: &str, error: io::Error| {
            let message = format!("pid_file {}: {what} ({error})", path.display());
            Error::new(ErrorKind::Io, message).with_source(error)
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|e| failed("cannot be opened", e))?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => failed("another host uses it", e.into()),
            TryLockError::Error(e) => failed("cannot be locked", e),
        })?;
        let mut text = String::new();
        let read = (&file).take(MAX_BYTES).read_to_string(&mut text);
        read.map_err(|e| failed("cannot be read", e))?;
        let boot = read_to_string("/proc/sys/kernel/random/boot_id");
        let boot = boot.map_err(|e| failed("needs Linux and its /proc", e))?.trim().to_owned();
        let left = leftovers(&text, &boot);
        end(&left, patience).await;
        let this = Self { file, boot, running: Mutex::default() };
        this.write(&BTreeMap::new()).map_err(|e| failed("cannot be written", e))?;
        Ok((this, left.len() as u64))
    }

    /// Remembers the process of worker `number`, in place of the one that it had before.
    pub(crate) fn record(&self, number: u32, pid: Option<u32>) -> io::Result<()> {
        let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match pid.and_then(look_up) {
            Some(process) => running.insert(number, process),
            None => running.remove(&number), // it has ended already
        };
        self.write(&running)
    }

    /// In place, for the lock is on this very file: a line that is cut short is one that is ignored.
    fn write(&self, running: &BTreeMap<u32, Process>) -> io::Result<()> {
        let mut text = format!("birl pids 1 {}\n", self.boot);
        for Process { pid, started } in running.values() {
            text.push_str(&format!("{} {started}.\n", pid.as_raw_nonzero()));
        }
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

/// The processes of `text` that still run, and are still the same.
fn leftovers(text: &str, boot: &str) -> Vec<Process> {
    let mut lines = text.lines();
    if lines.next() != Some(&format!("birl pids 1 {boot}")) {
        return Vec::new(); // of another boot, whose numbers mean nothing now
    }
    let recorded = lines.filter_map(|line| {
        let (pid, started) = line.strip_suffix('.')?.split_once(' ')?;
        let pid = Pid::from_raw(pid.parse().ok()?)?;
        Some(Process { pid, started: started.parse().ok()? })
    });
    recorded.filter(|process| look_up(process.pid) == Some(*process)).collect()
}

/// The process of that number, if it runs and leads its group.
fn look_up(pid: Pid) -> Option<Process> {
    let number = pid.as_raw_nonzero().to_string();
    let stat = read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name before it may hold anything, a `)` too. After it: state, parent, group, …
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let leads = fields.get(2) == Some(&number.as_str()) && *fields.first()? != "Z";
    leads.then_some(())?;
    Some(Process { pid, started: fields.get(19)?.parse().ok()? })
}

async fn end(left: &[Process], patience: Duration) {
    for process in left {
        tracing::warn!(target: "birl_scaler", pid = %process.pid.as_raw_nonzero(), "ending a worker of a host that was killed");
        send(process.pid, Signal::TERM);
    }
    let began = Instant::now();
    let mut left = left.to_vec();
    loop {
        left.retain(|process| test_kill_process_group(process.pid).is_ok());
        if left.is_empty() || began.elapsed() >= patience {
            break;
        }
        sleep(LOOK).await;
    }
    left.iter().for_each(|process| send(process.pid, Signal::KILL));
}
