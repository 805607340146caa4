//! Against a real Alertmanager: the same alert, by the same routes, makes the same webhook message.
//!
//! Needs Alertmanager's binary: `prometheus-alertmanager` (Debian) or `alertmanager` in the path. Starts its own, on
//! the loopback interface and in a directory of its own, and stops it.
#![cfg(not(loom))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a helper of a test fails the test, and Alertmanager lives in real time"
)]

#[cfg(feature = "yaml")]
mod files; // its tool, on files of all ages

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use birl_router::{Alert, Labels, Router};
use serde_json::{Value, json};

/// No wait of this test is longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Alertmanager; dropping it stops it and removes its directory.
struct Alertmanager {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Alertmanager {
    fn start(config: &Value, external_url: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("birl-router-real-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for Alertmanager");
        let config_file = directory.join("alertmanager.yml"); // JSON is YAML
        std::fs::write(&config_file, config.to_string()).expect("its configuration");
        // Free a moment ago; if somebody else is quicker, Alertmanager ends and the test says so.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let log = File::create(directory.join("log")).expect("its log");
        let child = Command::new(binary())
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.path={}", directory.join("data").display()))
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

    fn post(&self, alert: &Alert) {
        let body = json!([alert]).to_string();
        let answer = self.request("POST", "/api/v2/alerts", &body).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{}", self.log());
    }

    /// `None` if nobody listens.
    fn request(&self, method: &str, path: &str, body: &str) -> Option<String> {
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

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn binary() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["prometheus-alertmanager", "alertmanager"];
    let candidates = names.iter().flat_map(|name| directories.iter().map(move |d| d.join(name)));
    candidates.into_iter().find(|file| file.is_file()).expect(
        "no Alertmanager in the path: apt-get install prometheus-alertmanager, or test without \
         the feature `real-parts`",
    )
}

/// Takes the next webhook message, as JSON.
fn receive(listener: &TcpListener) -> Value {
    listener.set_nonblocking(true).expect("a listener");
    let began = Instant::now();
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(began.elapsed() < PATIENCE, "Alertmanager posted nothing");
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(e) => panic!("{e}"),
        }
    };
    stream.set_nonblocking(false).expect("a stream");
    stream.set_read_timeout(Some(PATIENCE)).expect("a stream");
    let mut request = Vec::new();
    let body = loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).expect("a request");
        assert_ne!(read, 0, "the request ended early");
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text[..head].lines().find_map(|l| l.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").trim().parse().expect("a number");
        if request.len() >= head + 4 + length {
            break request.split_off(head + 4);
        }
    };
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).expect("an answer");
    serde_json::from_slice(&body).expect("JSON")
}

/// Whole seconds, as all messages can hold them.
fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn ours(router: &mut Router, alert: &Alert, now: SystemTime) -> Value {
    let notifications = router.route(alert.clone(), now).notifications;
    assert_eq!(notifications.len(), 1);
    serde_json::to_value(notifications[0].to_webhook_v4()).expect("JSON")
}

#[test]
fn the_same_alert_makes_the_same_message() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a webhook's port");
    let url = format!("http://{}/hook", listener.local_addr().expect("its address"));
    let mut config = json!({
        "route": {
            "receiver": "nobody",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "routes": [
                { "match": { "service": "web" }, "receiver": "nobody" },
                { "matchers": ["service=~\"a\\\\w+|x\\\"y\"", "alertname!=\"\""], "routes": [
                    { "matchers": ["rack=\"\"", "env=\"prod\""], "receiver": "hook" }
                ] }
            ]
        },
        "receivers": [
            { "name": "nobody" },
            { "name": "hook", "webhook_configs": [{ "url": url, "send_resolved": true }] }
        ]
    });
    let external_url = "http://birl.example";
    let alertmanager = Alertmanager::start(&config, external_url);

    // The same configuration, without the two timers that birl has no use for yet.
    let route = config["route"].as_object_mut().expect("a map");
    route.retain(|key, _| key != "group_wait" && key != "group_interval");
    config["external_url"] = json!(external_url);
    let mut router = Router::new(serde_json::from_value(config).expect("valid")).expect("valid");

    let began = now() - Duration::from_secs(60);
    let labels = Labels::from([
        ("alertname", "HighLatency"),
        ("service", "api"),
        ("env", "prod"),
        ("empty", ""),
        ("detail", "a \"b\" c\\d\ne é ☃ <&>"),
    ]);
    let alert = Alert::firing(labels, began)
        .annotation("summary", "p99 is 840 ms")
        .annotation("empty", "")
        .generator_url("http://birl.example/rules/1");

    alertmanager.post(&alert);
    let theirs = receive(&listener);
    assert_eq!(ours(&mut router, &alert, now()), theirs, "firing");
    assert_eq!(theirs["status"], "firing");

    let alert = alert.resolved(now());
    alertmanager.post(&alert);
    let theirs = receive(&listener);
    assert_eq!(ours(&mut router, &alert, now()), theirs, "resolved");
    assert_eq!(theirs["status"], "resolved");
}
