//! Running a command to its end, within a deadline, and keeping what it said.

use std::collections::BTreeMap;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::CommandTargetBuilder;
use crate::error::{Error, ErrorKind};

/// The most of its output that is kept; the rest is read and forgotten.
const MAX_OUTPUT: usize = 64 << 10;

/// How long output may come after the end, from what the command left running.
const GRACE: Duration = Duration::from_millis(100);

/// Kills a process group unless its leader has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended in this moment; then there is nothing to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl CommandTargetBuilder {
    /// Runs `command` and gives what it printed.
    pub(super) async fn run(
        &self,
        command: &[String],
        words: &BTreeMap<&str, String>,
        deadline: Instant,
    ) -> Result<Vec<u8>, Error> {
        let filled: Vec<String> = command.iter().map(|word| fill(word, words)).collect();
        let shown: String = filled.join(" ").chars().take(200).collect();
        let Some((program, args)) = filled.split_first() else { return Ok(Vec::new()) };
        let mut child = self.start(program, args, words)?;
        // A number that the kernel gives fits.
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut group = Group(leader);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = timeout_at(deadline, collect(&mut child, &mut out, &mut err)).await;
        let last = last_line(&err);
        let said = if last.is_empty() { String::new() } else { format!(": {last}") };
        let Ok(status) = ended else {
            let took = crate::duration::format(self.deadline);
            let message =
                format!("{}: `{shown}` did not end within {took}; killed{said}", self.target);
            return Err(Error::new(ErrorKind::Timeout, message));
        };
        // What it left running on purpose stays.
        group.0 = None;
        match status {
            Ok(status) if status.success() => Ok(out),
            Ok(status) => {
                let message = format!("{}: `{shown}` failed with {status}{said}", self.target);
                Err(Error::new(ErrorKind::Target, message))
            }
            Err(error) => {
                let message = format!("{}: `{shown}` cannot be waited for: {error}", self.target);
                Err(Error::new(ErrorKind::Io, message).with_source(error))
            }
        }
    }

    fn start(
        &self,
        program: &str,
        args: &[String],
        words: &BTreeMap<&str, String>,
    ) -> Result<Child, Error> {
        let variables = words
            .iter()
            .map(|(name, value)| (format!("BIRL_{}", name.to_ascii_uppercase()), value));
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(variables)
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::NotFound => ": install it, or give its whole path",
                io::ErrorKind::PermissionDenied => ": make it executable",
                _ => "",
            };
            let message = format!("{}: cannot run `{program}`: {error}{remedy}", self.target);
            Error::new(ErrorKind::Spawn, message).with_source(error)
        })
    }
}

/// Reads until the command has ended, and a little longer.
async fn collect(
    child: &mut Child,
    out: &mut Vec<u8>,
    err: &mut Vec<u8>,
) -> io::Result<ExitStatus> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = async {
        tokio::join!(keep_start(stdout, out), keep_end(stderr, err));
    };
    tokio::pin!(read);
    tokio::select! {
        () = &mut read => child.wait().await,
        status = child.wait() => {
            let _ = timeout(GRACE, read).await;
            status
        }
    }
}

/// Keeps the first of what comes.
async fn keep_start(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = MAX_OUTPUT - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
}

/// Keeps the last of what comes.
async fn keep_end(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > MAX_OUTPUT {
            kept.drain(..kept.len() - MAX_OUTPUT / 2);
        }
    }
}

/// The last line that says something, shortened.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or_default().chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Puts the words in, each once: what a word brings along is not looked at again.
fn fill(text: &str, words: &BTreeMap<&str, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let word = after.split_once('}').and_then(|(name, rest)| Some((words.get(name)?, rest)));
        match word {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_put_in_once_and_braces_of_others_stay() {
        let words =
            BTreeMap::from([("replicas", "3".to_owned()), ("target", "{replicas}".to_owned())]);
        for (text, filled) in [
            ("web={replicas}", "web=3"),
            ("{{.Replicas}}{replicas}", "{{.Replicas}}3"),
            ("{target}", "{replicas}"),
            ("{", "{"),
            ("{other}{replicas", "{other}{replicas"),
        ] {
            assert_eq!(fill(text, &words), filled);
        }
    }

    #[test]
    fn the_last_line_that_says_something() {
        assert_eq!(last_line(b"one\ntwo\x1b[0m\n\n  \n"), "two[0m");
        assert_eq!(last_line(&[0xff]), "\u{fffd}");
        assert_eq!(last_line(b""), "");
    }
}
