use std::sync::Arc;
use std::time::Duration;

use birl_router::{Alert, Labels, Notification, Router, WriterNotifier, async_trait};
use birl_router::{Notifier, NotifyError};
use serde_json::{Value, json};

use crate::{at, router};

fn story() -> (Router, Alert) {
    let router = router(json!({
        "route": { "receiver": "all", "routes": [
            { "matchers": ["service=~\"a\\\\.*|b\"", "alertname!=\"x\\\"y\""], "receiver": "hook" }
        ] },
        "receivers": [
            { "name": "all" },
            { "name": "hook", "webhook_configs": [{ "url": "http://a.example/" }] }
        ],
        "external_url": "http://birl.example"
    }));
    let labels = Labels::from([("alertname", "HighLatency"), ("service", "b"), ("gone", "")]);
    let alert = Alert::firing(labels, at(0) + Duration::from_micros(1_500))
        .annotation("summary", "p99 is \"high\"")
        .generator_url("http://birl.example/rules/1");
    (router, alert)
}

/// Byte by byte what Alertmanager 0.25 posts for the same alert, but for the names in it.
#[test]
fn the_webhook_message_is_alertmanagers() {
    let (mut router, alert) = story();
    let firing = router.route(alert.clone(), at(1)).notifications.remove(0);
    let message = serde_json::to_string(&firing.to_webhook_v4()).unwrap();
    let expected = concat!(
        r#"{"receiver":"hook","status":"firing","alerts":[{"status":"firing","#,
        r#""labels":{"alertname":"HighLatency","service":"b"},"#,
        r#""annotations":{"summary":"p99 is \"high\""},"#,
        r#""startsAt":"2027-01-15T08:00:00.0015Z","endsAt":"0001-01-01T00:00:00Z","#,
        r#""generatorURL":"http://birl.example/rules/1","fingerprint":"FINGERPRINT"}],"#,
        r#""groupLabels":{"alertname":"HighLatency","service":"b"},"#,
        r#""commonLabels":{"alertname":"HighLatency","service":"b"},"#,
        r#""commonAnnotations":{"summary":"p99 is \"high\""},"#,
        r#""externalURL":"http://birl.example","version":"4","#,
        r#""groupKey":"{}/{alertname!=\"x\\\"y\",service=~\"a\\\\.*|b\"}:"#,
        r#"{alertname=\"HighLatency\", service=\"b\"}","truncatedAlerts":0}"#,
    );
    let fingerprint = alert.fingerprint().to_string();
    assert_eq!(message, expected.replace("FINGERPRINT", &fingerprint));

    let over = router.route(alert.resolved(at(61)), at(61)).notifications.remove(0);
    let message: Value = serde_json::to_value(over.to_webhook_v4()).unwrap();
    assert_eq!(message["status"], "resolved");
    assert_eq!(message["alerts"][0]["status"], "resolved");
    assert_eq!(message["alerts"][0]["endsAt"], "2027-01-15T08:01:01Z");
    assert_eq!(message["groupKey"], serde_json::to_value(&firing.group_key).unwrap());
}

#[test]
fn an_alert_survives_json() {
    let (_, alert) = story();
    for alert in [alert.clone(), alert.receiver("r").episode("e").reason("because").resolved(at(9))]
    {
        let text = serde_json::to_string(&alert).unwrap();
        assert_eq!(serde_json::from_str::<Alert>(&text).unwrap(), alert, "{text}");
    }
    // What a source has to send at least.
    let least = r#"{"labels":{"alertname":"A"},"startsAt":"2027-01-15T08:00:00Z"}"#;
    assert_eq!(serde_json::from_str::<Alert>(least).unwrap(), crate::alert("A", 0));
}

#[tokio::test]
async fn the_writer_gets_one_json_line_with_the_reason() {
    let (mut router, alert) = story();
    let writer = WriterNotifier::new(Vec::new());
    let firing = router.route(alert.clone(), at(1)).notifications.remove(0);
    let over = router.route(alert.resolved(at(2)), at(2)).notifications.remove(0);
    for notification in [&firing, &over] {
        writer.notify(notification).await.unwrap();
    }
    let text = String::from_utf8(writer.into_inner()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["id"], firing.id);
    assert_eq!(lines[0]["endpoint"], "hook/webhook_configs/0");
    assert_eq!(lines[0]["reason"], firing.reason);
    assert_eq!(lines[0]["status"], "firing");
    assert_eq!(lines[1]["status"], "resolved");
}

#[tokio::test]
async fn a_writer_that_fails_is_an_error_that_may_pass() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (mut router, alert) = story();
    let notification = router.route(alert, at(1)).notifications.remove(0);
    let error = WriterNotifier::new(Full).notify(&notification).await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), "the line could not be written: no storage space");
}

#[test]
fn the_public_traits_and_types_are_what_threads_need() {
    #[derive(Debug)]
    struct Mine;
    #[async_trait]
    impl Notifier for Mine {
        async fn notify(&self, _: &Notification) -> Result<(), NotifyError> {
            Ok(())
        }
    }
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let dynamic: Arc<dyn Notifier> = Arc::new(Mine);
    shared(&dynamic);
    shared(&crate::simple_router());
    let boxed: Box<dyn Notifier> = Box::new(dynamic);
    shared(&boxed);
}
