//! The same alert, by the same routes, makes the same webhook message.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant, SystemTime};

use birl_router::{Alert, Labels, Router};
use serde_json::{Value, json};

use crate::alertmanager::{Alertmanager, PATIENCE};

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

/// What the router tells of the alert, as soon as it does.
fn ours(router: &mut Router, alert: &Alert, now: SystemTime) -> Value {
    let mut notifications = router.route(alert.clone(), now).notifications;
    if notifications.is_empty() {
        notifications = router.tick(router.next_deadline().expect("something waits"));
    }
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
