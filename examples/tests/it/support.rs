//! A `birl` under test, a receiver that listens to it, and bounded waiting.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

/// Nothing here takes a second on a good day; on a bad one the bound ends the test, not the machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn birl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_birl"));
    command.env_remove("BIRL_LOG");
    command
}

/// A folder with a configuration in it, and a birl that runs it.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
}

impl Site {
    pub(crate) fn new(config: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        site.write("birl.yaml", config);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    /// Runs to its end, which must come by itself.
    pub(crate) fn run_to_end(&self) -> Output {
        birl().arg("run").arg("-c").arg(self.path("birl.yaml")).output().unwrap()
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, args: &[&str]) -> Running {
        let mut child = birl()
            .arg("run")
            .args(args)
            .arg("-c")
            .arg(self.path("birl.yaml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let running = Running { child, log };
        running.wait_for_log("\"following\"");
        running
    }
}

pub(crate) fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Ended when the test ends, however it ends.
pub(crate) struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Running {
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        wait(&format!("the log to say `{text}`"), || {
            let log = self.log();
            log.contains(text).then_some(log)
        })
        .unwrap_or_else(|what| panic!("waited for {what}; it says:\n{}", self.log()))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("serving /metrics")).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["address"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: birl\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The value of the first sample whose name and labels contain all of `parts`.
    pub(crate) fn metric(&self, parts: &[&str]) -> Option<f64> {
        let metrics = self.get("/metrics");
        let sample = metrics
            .lines()
            .find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))?;
        sample.rsplit(' ').next()?.parse().ok()
    }

    #[track_caller]
    pub(crate) fn wait_for_metric(&self, parts: &[&str], least: f64) {
        wait("a metric", || self.metric(parts).filter(|value| *value >= least)).unwrap_or_else(
            |_| panic!("{parts:?} stays below {least}:\n{}\n{}", self.get("/metrics"), self.log()),
        );
    }

    /// SIGKILL: nothing of birl's runs after it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.terminate().expect("birl ends by itself")
    }

    /// Workers are drained by birl, so it must be asked and not killed.
    fn terminate(&mut self) -> Option<Option<i32>> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        wait("an end", || self.child.try_wait().ok().flatten()).ok().map(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) && self.terminate().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Asks again and again, within a bound.
pub(crate) fn wait<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> Result<T, String> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(value) = ready() {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(what.to_owned())
}

/// Answers 200 to each POST and hands its body on.
pub(crate) fn webhook() -> (String, Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (told, inbox) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let told = told.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let mut length = 0;
                    let mut line = String::new();
                    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                        if let Some(value) =
                            line.to_ascii_lowercase().strip_prefix("content-length:")
                        {
                            length = value.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    if length == 0 || reader.read_exact(&mut body).is_err() {
                        return;
                    }
                    let _ = told.send(serde_json::from_slice(&body).unwrap());
                    reader
                        .get_mut()
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                        .unwrap();
                }
            });
        }
    });
    (url, inbox)
}

pub(crate) fn told(inbox: &Receiver<serde_json::Value>) -> serde_json::Value {
    inbox.recv_timeout(PATIENCE).expect("a notification")
}

/// `now` less some seconds, as logs write it.
pub(crate) fn seconds_ago(seconds: u64) -> String {
    let at = SystemTime::now() - Duration::from_secs(seconds);
    jiff::Timestamp::try_from(at).unwrap().to_string()
}
