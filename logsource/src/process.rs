//! Child processes that end when we are done with them.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::shell::{spawn, ticks};
use crate::{Error, ErrorKind};

/// How long a child may take to end by itself.
const GRACE: Duration = Duration::from_millis(200);

/// How much of a line of a child's complaints is kept.
const COMPLAINT_BYTES: usize = 512;

/// A child in a process group of its own. Dropping it ends the whole group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    heard: Arc<Heard>,
    ended: Option<ExitStatus>,
}

/// What a child said on its standard error.
#[derive(Debug, Default)]
struct Heard {
    last: Mutex<String>,
    all: AtomicBool,
}

/// What becomes of what a child writes to its standard error.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stderr {
    /// It goes to `tracing`, at the level debug, a bounded line at a time. The last line is told
    /// when the child fails.
    #[default]
    Trace,
    /// It goes where this process's own goes.
    Inherit,
    /// Nowhere.
    Discard,
}

impl Process {
    pub(crate) fn start(
        mut command: Command,
        stderr: Stderr,
    ) -> Result<(Self, ChildStdout), Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(match stderr {
            Stderr::Trace => Stdio::piped(),
            Stderr::Inherit => Stdio::inherit(),
            Stderr::Discard => Stdio::null(),
        });
        let mut child = command
            .spawn()
            .map_err(|cause| Error::io(format!("cannot run the command `{program}`"), cause))?;
        let heard = Arc::<Heard>::default();
        if let Some(stderr) = child.stderr.take() {
            let heard = Arc::clone(&heard);
            // It ends with the last process that holds the other end of the pipe.
            spawn("stderr", move || listen(stderr, &program, &heard)).ok();
        } else {
            heard.all.store(true, Ordering::Release);
        }
        let stdout = child.stdout.take();
        let process = Self { child, heard, ended: None };
        let stdout = stdout.ok_or_else(|| Error::new(ErrorKind::Io, "the command has no output"));
        Ok((process, stdout?))
    }

    #[cfg(feature = "journald")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end, up to a bound.
    pub(crate) fn wait(&mut self, bound: Duration) -> Option<ExitStatus> {
        self.wait_while(bound, || true)
    }

    /// Waits for its end, up to a bound, as long as somebody wants to know.
    pub(crate) fn wait_while(
        &mut self,
        bound: Duration,
        wanted: impl Fn() -> bool,
    ) -> Option<ExitStatus> {
        let begun = ticks();
        let mut pause = Duration::from_micros(200);
        while self.ended().is_none() && wanted() && ticks().saturating_duration_since(begun) < bound
        {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
        self.ended
    }

    /// The last line of its complaints, once it has ended: what is still in the pipe is heard.
    pub(crate) fn last_words(&self) -> String {
        let begun = ticks();
        while !self.heard.all.load(Ordering::Acquire)
            && ticks().saturating_duration_since(begun) < GRACE
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.heard.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the whole group, first kindly.
    pub(crate) fn stop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // That there is no such group any more is what is wanted.
            kill_process_group(group, Signal::TERM).ok();
            self.wait(GRACE);
            kill_process_group(group, Signal::KILL).ok();
        }
        if self.ended.is_none() {
            self.ended = self.child.wait().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Hears a child's complaints to their end, so that it never blocks on them.
fn listen(mut stderr: impl Read, program: &str, heard: &Heard) {
    let mut bytes = [0; 4096];
    let mut line = Vec::new();
    loop {
        let read = match stderr.read(&mut bytes) {
            Ok(read @ 1..) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
        };
        for &byte in bytes.get(..read).unwrap_or_default() {
            if byte != b'\n' {
                if line.len() < COMPLAINT_BYTES {
                    line.push(byte);
                }
                continue;
            }
            tell(&line, program, heard);
            line.clear();
        }
    }
    tell(&line, program, heard);
    heard.all.store(true, Ordering::Release);
}

fn tell(line: &[u8], program: &str, heard: &Heard) {
    let text = String::from_utf8_lossy(line.trim_ascii());
    if !text.is_empty() {
        tracing::debug!(program, line = %text, "the command says");
        *heard.last.lock().unwrap_or_else(PoisonError::into_inner) = text.into_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_not_waited_for_when_nobody_wants_to_know() {
        let mut sleep = Command::new("sleep");
        sleep.arg("1000");
        let (mut process, _stdout) = Process::start(sleep, Stderr::Discard).unwrap();
        let asked = std::cell::Cell::new(0);
        let wanted = || asked.replace(asked.get() + 1) < 3;
        assert_eq!(process.wait_while(Duration::from_secs(1000), wanted), None);
        process.stop();
        assert!(process.ended().is_some_and(|status| !status.success()));
    }
}
