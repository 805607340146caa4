//! Programs that a test starts, and that end with it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// No wait of these tests is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running program; dropping it kills it.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it, with what it says in the file `log`.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Self {
        let output = File::options().create(true).append(true).open(&log).expect("its log");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("its log, twice"))
            .stderr(output)
            .spawn()
            .expect("it starts");
        Self { child, log }
    }

    /// Waits until `path` is answered with 200.
    pub(crate) fn wait_until_ready(&mut self, address: SocketAddr, path: &str) {
        let begun = Instant::now();
        while !get(address, path).is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if let Some(status) = self.child.try_wait().expect("its state") {
                panic!("it ended ({status}):\n{}", self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "it is not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it where it is, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) {
        signal_child(&self.child, signal);
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Signals a child. One that is to stop has stopped with all of its threads when this returns: they
/// go on answering for a moment otherwise.
pub(crate) fn signal_child(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).expect("a running program");
    if signal == Signal::STOP {
        waitpid(Some(pid), WaitOptions::UNTRACED).expect("a child");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first of these programs that the path has.
pub(crate) fn binary(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut files = names.iter().flat_map(|name| directories.iter().map(move |d| d.join(name)));
    files.find(|file| file.is_file()).unwrap_or_else(|| {
        panic!("no {names:?} in the path: run .ci/parts, or test without `real-parts`")
    })
}

/// Free a moment ago; if somebody else is quicker, the program ends and its test says so.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

/// The whole answer; `None` if nobody listens.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
