//! The webhook against a real server: a listener on the loopback interface, with canned answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use birl_router::{
    DeliveryResult, DispatchConfig, Dispatcher, ErrorKind, Notification, Notifier, NotifyError,
    WebhookConfig, WebhookNotifier, WriterNotifier, notifiers_for,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{alert, at, simple_router};

/// What a request looked like: the head as text, the body as JSON.
#[derive(Debug, Clone)]
struct Seen {
    head: String,
    body: serde_json::Value,
    connection: usize,
}

/// Answers each request with the next canned answer, and the last one for ever.
async fn serve(answers: &[&str]) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?token=secret", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let answers: Vec<String> = answers.iter().map(|a| (*a).to_owned()).collect();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(converse(stream, connection, answers.clone(), Arc::clone(&log)));
        }
    });
    (url, seen)
}

async fn converse(
    mut stream: TcpStream,
    connection: usize,
    answers: Vec<String>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let mut buffer = Vec::new();
    loop {
        let (head, length) = loop {
            let text = String::from_utf8_lossy(&buffer).into_owned();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                break (head.to_owned(), length.unwrap().parse::<usize>().unwrap());
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        while buffer.len() < head.len() + 4 + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let rest = buffer.split_off(head.len() + 4 + length);
        let body = serde_json::from_slice(&buffer[head.len() + 4..]).unwrap();
        buffer = rest;
        let answer = {
            let mut log = log.lock().unwrap();
            log.push(Seen { head, body, connection });
            answers.get(log.len() - 1).or(answers.last()).cloned()
        };
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            None => std::future::pending().await,
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn notification() -> Notification {
    simple_router().route(alert("A", 0), at(0)).notifications.remove(0)
}

fn hook(url: &str) -> WebhookNotifier {
    WebhookNotifier::new(&WebhookConfig::new(url)).unwrap()
}

#[tokio::test]
async fn posts_the_message_with_its_key_and_keeps_the_connection() {
    let (url, seen) = serve(&[OK]).await;
    let hook = hook(&url);
    let n = notification();
    hook.notify(&n).await.unwrap();
    hook.notify(&n).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].connection, 0, "the connection is used again");
    let head = &seen[0].head;
    assert!(head.starts_with("POST /hook?token=secret HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json"), "{head}");
    assert!(head.contains(&format!("\r\nidempotency-key: {}", n.id)), "{head}");
    assert!(head.contains("\r\nuser-agent: birl-router/"), "{head}");
    assert_eq!(seen[0].body, serde_json::to_value(n.to_webhook_v4()).unwrap());
}

#[tokio::test]
async fn each_answer_means_what_it_should() {
    for (status, ok, retryable) in [
        ("200 OK", true, false),
        ("204 No Content", true, false),
        ("301 Moved Permanently", false, false),
        ("400 Bad Request", false, false),
        ("401 Unauthorized", false, false),
        ("404 Not Found", false, false),
        ("408 Request Timeout", false, true),
        ("422 Unprocessable Entity", false, false),
        ("425 Too Early", false, true),
        ("429 Too Many Requests", false, true),
        ("500 Internal Server Error", false, true),
        ("503 Service Unavailable", false, true),
    ] {
        let length = if status.starts_with("204") { "" } else { "content-length: 0\r\n" };
        let (url, _) = serve(&[&format!("HTTP/1.1 {status}\r\n{length}\r\n")]).await;
        let result = hook(&url).notify(&notification()).await;
        assert_eq!(result.is_ok(), ok, "{status}");
        if let Err(error) = result {
            assert_eq!(error.is_retryable(), retryable, "{status}");
            assert_eq!(error.retry_after(), None);
        }
    }
}

#[tokio::test]
async fn an_error_quotes_the_answer_and_keeps_the_urls_secrets() {
    let answer = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\ncontent-length: 13\r\n\r\nslow\r\ndown \u{1}!";
    let (url, _) = serve(&[answer]).await;
    let hook = hook(&url);
    let error = hook.notify(&notification()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    let base = url.split_once("/hook").unwrap().0;
    assert_eq!(error.to_string(), format!("{base} answered 429 Too Many Requests: slow  down  !"));
    assert!(!format!("{hook:?}").contains("secret"), "{hook:?}");
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let huge = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 999999999\r\n\r\n{}",
        "x".repeat(200_000)
    );
    let (url, _) = serve(&[&huge]).await;
    let error = hook(&url).notify(&notification()).await.unwrap_err();
    assert!(error.to_string().len() < 400, "{error}");
    assert!(!error.is_retryable());
}

/// The head of an answer says whether it was delivered; a body that never ends takes nothing of that back.
#[tokio::test]
async fn an_answer_whose_body_never_comes_is_an_answer() {
    for (status, ok) in [("200 OK", true), ("400 Bad Request", false)] {
        let (url, _) = serve(&[&format!("HTTP/1.1 {status}\r\ncontent-length: 9\r\n\r\n")]).await;
        let mut config = WebhookConfig::new(&url);
        config.timeout = Duration::from_millis(300);
        let result = WebhookNotifier::new(&config).unwrap().notify(&notification()).await;
        assert_eq!(
            result.as_ref().map_err(NotifyError::is_retryable).err(),
            (!ok).then_some(false)
        );
    }
}

#[tokio::test]
async fn no_answer_and_no_server_may_pass() {
    let (url, _) = serve(&[]).await; // reads, and says nothing
    let mut config = WebhookConfig::new(&url);
    config.timeout = Duration::from_millis(100);
    let error = WebhookNotifier::new(&config).unwrap().notify(&notification()).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().ends_with(": no answer within 100ms"), "{error}");

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = hook(&format!("http://{free}/")).notify(&notification()).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[test]
fn a_url_that_cannot_be_used_is_refused_at_once() {
    for (url, expected) in [
        ("alerts.example/hook", "url: this is not a URL"),
        ("/hook", "url: the host is missing"),
        ("http://", "url: this is not a URL"),
        ("ftp://alerts.example/", "url: only http:// and https:// can be posted to"),
        ("http://user:password@alerts.example/", "url: a user name or password in a URL"),
        ("not a url", "url: this is not a URL"),
    ] {
        let error = WebhookNotifier::new(&WebhookConfig::new(url)).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::InvalidUrl);
        assert!(error.to_string().starts_with(expected), "{url}: {error}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_without_its_feature_names_the_feature() {
    let config = birl_router::Config::new(
        birl_router::RouteConfig::to("all"),
        [birl_router::ReceiverConfig::new("all").webhook("https://alerts.example/")],
    );
    let error = notifiers_for(&config, Arc::new(WriterNotifier::new(Vec::new()))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "endpoint `all/webhook_configs/0`.url: https:// needs birl-router's feature `tls`, \
         which this build lacks"
    );
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn https_speaks_tls() {
    // A plain server cannot answer a handshake; that it fails there shows that one was tried.
    let (url, seen) = serve(&[OK]).await;
    let url = url.replace("http://", "https://");
    let mut config = WebhookConfig::new(url);
    config.timeout = Duration::from_millis(500);
    let error = WebhookNotifier::new(&config).unwrap().notify(&notification()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(seen.lock().unwrap().is_empty());
}

/// From the configuration to the server and back, with an endpoint that is busy at first.
#[tokio::test]
async fn a_busy_endpoint_gets_it_in_the_end() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let (url, seen) = serve(&[busy, OK]).await;
    let config = crate::config(serde_json::json!({
        "route": { "receiver": "hook" },
        "receivers": [{ "name": "hook", "webhook_configs": [{ "url": url }] }]
    }));
    let stdout = Arc::new(WriterNotifier::new(Vec::new()));
    let mut dispatch = DispatchConfig::default();
    dispatch.retry.initial = Duration::from_millis(5);
    let (dispatcher, mut reports) = Dispatcher::builder(dispatch)
        .endpoints(notifiers_for(&config, stdout).unwrap())
        .start()
        .unwrap();
    let mut router = birl_router::Router::new(config).unwrap();
    for n in router.route(alert("A", 0), at(0)).notifications {
        dispatcher.send(n).unwrap();
    }
    let first = reports.next().await.unwrap();
    assert!(matches!(first.result, DeliveryResult::Retrying { .. }), "{first:?}");
    let _ = router.report(&first, at(1));
    let second = reports.next().await.unwrap();
    assert_eq!((second.result.clone(), second.attempts), (DeliveryResult::Delivered, 2));
    let _ = router.report(&second, at(1));
    assert!(router.endpoints(at(1))[0].rtt.is_some());
    let seen = seen.lock().unwrap();
    let keys: std::collections::HashSet<&str> =
        seen.iter().filter_map(|s| s.head.lines().find(|l| l.starts_with("idempotency"))).collect();
    assert_eq!((seen.len(), keys.len()), (2, 1), "both attempts have one key");
}
