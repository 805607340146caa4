//! A real Alertmanager, and its tool.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use birl_router::Alert;
use serde_json::{Value, json};

/// No wait of these tests is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running Alertmanager; dropping it stops it and removes its directory.
pub(crate) struct Alertmanager {
    child: Child,
    address: SocketAddr,
    directory: Directory,
}

impl Alertmanager {
    pub(crate) fn start(config: &Value, external_url: &str) -> Self {
        let directory = Directory::new();
        let config_file = directory.write("alertmanager.yml", config);
        // Free a moment ago; if somebody else is quicker, Alertmanager ends and the test says so.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let log = File::create(directory.0.join("log")).expect("its log");
        let child = Command::new(binary(&["prometheus-alertmanager", "alertmanager"]))
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.path={}", directory.0.join("data").display()))
            .arg(format!("--web.listen-address={port}"))
            .arg(format!("--web.external-url={external_url}"))
            .arg("--web.route-prefix=/")
            .arg("--cluster.listen-address=")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Alertmanager starts");
        let mut started = Self { child, address: port, directory };
        started.wait_until_ready();
        started
    }

    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while !self.request("GET", "/-/ready", "").is_some_and(|a| a.starts_with("HTTP/1.1 200")) {
            if let Some(status) = self.child.try_wait().expect("its state") {
                panic!("Alertmanager ended ({status}):\n{}", self.log());
            }
            assert!(began.elapsed() < PATIENCE, "Alertmanager is not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn post(&self, alert: &Alert) {
        let body = json!([alert]).to_string();
        let answer = self.request("POST", "/api/v2/alerts", &body).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{}", self.log());
    }

    /// Its id.
    pub(crate) fn silence(&self, silence: &Value) -> String {
        let answer = self.request("POST", "/api/v2/silences", &silence.to_string());
        let answer = answer.expect("an answer");
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        body["silenceID"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    pub(crate) fn expire(&self, id: &str) {
        let answer =
            self.request("DELETE", &format!("/api/v2/silence/{id}"), "").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// `None` if nobody listens.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.0.join("log")).unwrap_or_default()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory of a test's own, removed when it is dropped.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("birl-router-real-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    /// Writes a configuration: JSON is YAML.
    pub(crate) fn write(&self, name: &str, config: &Value) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, config.to_string()).expect("a configuration");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What Alertmanager's tool says of a configuration.
pub(crate) struct Amtool(PathBuf);

impl Amtool {
    pub(crate) fn new() -> Self {
        Self(binary(&["amtool"]))
    }

    /// `amtool check-config`: the error is why it is refused.
    pub(crate) fn check(&self, config: &Path) -> Result<(), String> {
        let out = self.run(&["check-config"], config, &[]);
        if out.status.success() { Ok(()) } else { Err(text(&out.stdout)) }
    }

    /// `amtool config routes test`: the receivers, in order.
    pub(crate) fn receivers(&self, config: &Path, labels: &[(String, String)]) -> Vec<String> {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{name}=\"{value}\"")
            })
            .collect();
        let file = format!("--config.file={}", config.display());
        let out = self.run(&["config", "routes", "test", &file], Path::new(""), &labels);
        assert!(out.status.success(), "{labels:?}: {}", text(&out.stderr));
        text(&out.stdout).trim_end_matches('\n').split(',').map(str::to_owned).collect()
    }

    /// `amtool config routes show`: the matchers of every route below the root, as it prints them.
    pub(crate) fn matchers(&self, config: &Path) -> Vec<String> {
        let file = format!("--config.file={}", config.display());
        let out = self.run(&["config", "routes", "show", &file], Path::new(""), &[]);
        let shown = text(&out.stdout);
        let lines = shown.lines().filter_map(|line| line.split_once("── "));
        let below = lines.skip(1).map(|(_, line)| {
            let end = line.rfind("  receiver: ").unwrap_or(line.len());
            line[..end].trim_end_matches("  continue: true").to_owned()
        });
        below.collect()
    }

    fn run(&self, words: &[&str], config: &Path, labels: &[String]) -> Output {
        let mut command = Command::new(&self.0);
        command.args(words).stdin(Stdio::null());
        if !config.as_os_str().is_empty() {
            command.arg(config);
        }
        command.args(labels).output().expect("amtool runs")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first of these programs that the path has.
fn binary(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = names.iter().flat_map(|name| directories.iter().map(move |d| d.join(name)));
    candidates.into_iter().find(|file| file.is_file()).expect(
        "no Alertmanager in the path: apt-get install prometheus-alertmanager, or test without \
         the feature `real-parts`",
    )
}
