//! The dispatcher, on a paused clock: tokio's time moves only when nothing else can.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use birl_router::{
    DeliveryReport, DeliveryResult, DispatchConfig, Dispatcher, EndpointId, ErrorKind, LostCause,
    Notification, Notifier, NotifyError, Reports, RetryPolicy, async_trait,
};
use serde_json::json;
use tokio::time::Instant;

use crate::{alert, at, router};

const SECOND: Duration = Duration::from_secs(1);

/// Answers by a script, and notes what came when.
#[derive(Debug, Default)]
struct Scripted {
    /// What to answer, in order; delivered when it runs out.
    script: Mutex<VecDeque<NotifyError>>,
    /// How long an answer takes.
    takes: Duration,
    calls: Mutex<Vec<(String, Instant)>>,
}

#[async_trait]
impl Notifier for Scripted {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        self.calls.lock().unwrap().push((notification.id.clone(), Instant::now()));
        tokio::time::sleep(self.takes).await;
        self.script.lock().unwrap().pop_front().map_or(Ok(()), Err)
    }
}

impl Scripted {
    fn failing(errors: impl IntoIterator<Item = NotifyError>) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(errors.into_iter().collect()), ..Self::default() })
    }

    fn taking(takes: Duration) -> Arc<Self> {
        Arc::new(Self { takes, ..Self::default() })
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    /// The pauses between the calls, in milliseconds.
    fn pauses(&self) -> Vec<u128> {
        let calls = self.calls.lock().unwrap();
        calls.windows(2).map(|pair| (pair[1].1 - pair[0].1).as_millis()).collect()
    }
}

fn config() -> DispatchConfig {
    let mut config = DispatchConfig::default();
    config.retry.jitter = false;
    config
}

fn start(config: DispatchConfig, notifiers: &[(&str, Arc<Scripted>)]) -> (Dispatcher, Reports) {
    let notifiers = notifiers.iter().map(|(name, notifier)| {
        (EndpointId::new(*name), Arc::clone(notifier) as Arc<dyn Notifier>)
    });
    Dispatcher::builder(config).endpoints(notifiers).start().unwrap()
}

/// So many notifications of different alerts, for the endpoint `a`.
fn notifications(count: usize) -> Vec<Notification> {
    let mut router = crate::simple_router();
    let make = |i: usize| {
        let mut n = router.route(alert(&format!("A{i}"), 0), at(0)).notifications.remove(0);
        n.endpoint = EndpointId::new("a");
        n
    };
    (0..count).map(make).collect()
}

fn notification() -> Notification {
    notifications(1).remove(0)
}

fn busy() -> NotifyError {
    NotifyError::retryable("503")
}

fn lost(report: &DeliveryReport) -> Option<LostCause> {
    match report.result {
        DeliveryResult::Lost { cause, .. } => Some(cause),
        _ => None,
    }
}

async fn next_final(reports: &mut Reports) -> DeliveryReport {
    loop {
        let report = reports.next().await.expect("a final report");
        if report.is_final() {
            return report;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retries_with_backoff_until_it_is_delivered() {
    let notifier = Scripted::failing([busy(), busy(), busy()]);
    let (dispatcher, mut reports) = start(config(), &[("a", Arc::clone(&notifier))]);
    let n = notification();
    assert_eq!(dispatcher.send(n.clone()).unwrap().queued, 1);
    for pause in [500, 1000, 2000] {
        let report = reports.next().await.unwrap();
        let expected =
            DeliveryResult::Retrying { error: "503".into(), pause: Duration::from_millis(pause) };
        assert_eq!(report.result, expected);
    }
    let report = reports.next().await.unwrap();
    assert_eq!((report.result, report.attempts), (DeliveryResult::Delivered, 4));
    assert_eq!((report.notification_id, report.receiver), (n.id.clone(), "all".to_owned()));
    assert_eq!(notifier.calls(), vec![n.id; 4], "each attempt has the same key");
    assert_eq!(notifier.pauses(), [500, 1000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_not_tried_again() {
    let notifier = Scripted::failing([NotifyError::permanent("404")]);
    let (dispatcher, mut reports) = start(config(), &[("a", Arc::clone(&notifier))]);
    dispatcher.send(notification()).unwrap();
    let report = reports.next().await.unwrap();
    assert_eq!((lost(&report), report.attempts), (Some(LostCause::Permanent), 1));
    assert_eq!(notifier.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honored() {
    let mut config = config();
    config.retry.jitter = true;
    let notifier = Scripted::failing([NotifyError::retryable("429").after(2 * SECOND)]);
    let (dispatcher, mut reports) = start(config, &[("a", Arc::clone(&notifier))]);
    dispatcher.send(notification()).unwrap();
    assert_eq!(next_final(&mut reports).await.result, DeliveryResult::Delivered);
    let pause = notifier.pauses()[0];
    assert!((2000..=2500).contains(&pause), "{pause} ms");
}

#[tokio::test(start_paused = true)]
async fn gives_up_at_the_deadline_and_not_long_before_it() {
    let notifier = Scripted::failing((0..100).map(|_| busy()));
    let (dispatcher, mut reports) = start(config(), &[("a", Arc::clone(&notifier))]);
    let began = Instant::now();
    dispatcher.send(notification()).unwrap();
    let report = next_final(&mut reports).await;
    assert_eq!(lost(&report), Some(LostCause::DeadlineOver));
    // 0.5 + 1 + 2 + 4 + 8 + 16 s = 31.5 s; the next pause of 30 s would pass the minute.
    assert_eq!((report.attempts, began.elapsed().as_millis()), (7, 31_500));
}

/// What an endpoint asks for comes from outside: no number of seconds may end the endpoint's task.
#[tokio::test(start_paused = true)]
async fn a_pause_or_a_deadline_beyond_all_clocks_does_no_harm() {
    let endless = NotifyError::retryable("429").after(Duration::from_secs(u64::MAX));
    for deadline in [config().retry.deadline, Duration::MAX] {
        let mut config = config();
        config.retry.deadline = deadline;
        let notifier = Scripted::failing([endless.clone()]);
        let (dispatcher, mut reports) = start(config, &[("a", Arc::clone(&notifier))]);
        dispatcher.send(notification()).unwrap();
        if deadline < Duration::MAX {
            assert_eq!(lost(&next_final(&mut reports).await), Some(LostCause::DeadlineOver));
            dispatcher.send(notification()).unwrap();
            assert_eq!(next_final(&mut reports).await.result, DeliveryResult::Delivered);
            assert!(dispatcher.shutdown(Duration::MAX).await.is_empty());
        } else {
            let report = reports.next().await.unwrap();
            assert!(matches!(report.result, DeliveryResult::Retrying { .. }), "{report:?}");
        }
    }
}

/// A pause that the endpoint asks for, and that is longer than the deadline, is not waited for in vain.
#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_deadline_gives_up_at_once() {
    let notifier = Scripted::failing([NotifyError::retryable("429").after(3600 * SECOND)]);
    let (dispatcher, mut reports) = start(config(), &[("a", notifier)]);
    let began = Instant::now();
    dispatcher.send(notification()).unwrap();
    assert_eq!(lost(&next_final(&mut reports).await), Some(LostCause::DeadlineOver));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn everyone_gets_one_attempt_however_long_it_queued() {
    // The first eats up the deadline of all.
    let notifier = Scripted::failing((0..7).map(|_| busy()));
    let mut config = config();
    config.retry.deadline = 8 * SECOND;
    let (dispatcher, mut reports) = start(config, &[("a", Arc::clone(&notifier))]);
    for n in notifications(3) {
        dispatcher.send(n).unwrap();
    }
    let mut results = Vec::new();
    for _ in 0..3 {
        let report = next_final(&mut reports).await;
        results.push((lost(&report), report.attempts));
    }
    let over = Some(LostCause::DeadlineOver);
    assert_eq!(results, [(over, 5), (over, 1), (over, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_blocks_no_other_and_keeps_its_order() {
    let (slow, fast) = (Scripted::taking(20 * SECOND), Scripted::default());
    let fast = Arc::new(fast);
    let notifiers = [("a", Arc::clone(&slow)), ("b", Arc::clone(&fast))];
    let (dispatcher, mut reports) = start(config(), &notifiers);
    let all = notifications(3);
    for n in &all {
        dispatcher.send(n.clone()).unwrap();
        let mut other = n.clone();
        other.endpoint = EndpointId::new("b");
        dispatcher.send(other).unwrap();
    }
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(reports.next().await.unwrap().endpoint.as_str(), "b");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    for _ in 0..3 {
        assert_eq!(reports.next().await.unwrap().endpoint.as_str(), "a");
    }
    let ids: Vec<String> = all.into_iter().map(|n| n.id).collect();
    assert_eq!(slow.calls(), ids);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_gives_the_notification_back_and_counts_it() {
    let mut config = config();
    config.queue = 2;
    let metrics = config.metrics.clone();
    let (dispatcher, _reports) = start(config, &[("a", Scripted::taking(SECOND))]);
    let mut all = notifications(3).into_iter();
    assert_eq!(dispatcher.send(all.next().unwrap()).unwrap().queued, 1);
    assert_eq!(dispatcher.send(all.next().unwrap()).unwrap().queued, 2);
    let third = all.next().unwrap();
    let refused = dispatcher.send(third.clone()).unwrap_err();
    assert_eq!((*refused.notification).clone(), third);
    assert_eq!(refused.to_string(), "a takes no notification: queue_full");
    assert_eq!(lost(&refused.report(at(0))), Some(LostCause::QueueFull));
    assert_eq!(metrics.dropped("queue_full"), 1);

    let mut stray = third;
    stray.endpoint = EndpointId::new("nowhere");
    assert_eq!(dispatcher.send(stray).unwrap_err().cause, LostCause::UnknownEndpoint);
}

#[tokio::test(start_paused = true)]
async fn a_notifier_that_hangs_or_panics_does_not_take_its_endpoint_with_it() {
    #[derive(Debug)]
    struct Bad(AtomicUsize);
    #[async_trait]
    impl Notifier for Bad {
        async fn notify(&self, _: &Notification) -> Result<(), NotifyError> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => std::future::pending().await,
                2 => panic!("a bug in somebody's notifier"),
                _ => Ok(()),
            }
        }
    }
    let bad = Arc::new(Bad(AtomicUsize::new(0)));
    let (dispatcher, mut reports) =
        Dispatcher::builder(config()).endpoint(EndpointId::new("a"), bad).start().unwrap();
    for n in notifications(3) {
        dispatcher.send(n).unwrap();
    }
    let hung = reports.next().await.unwrap().result;
    let DeliveryResult::Retrying { error, .. } = hung else { panic!("{hung:?}") };
    assert_eq!(error, "the notifier was not done within 30s");
    assert_eq!(next_final(&mut reports).await.result, DeliveryResult::Delivered);
    let panicked = next_final(&mut reports).await.result;
    let DeliveryResult::Lost { cause: LostCause::Permanent, error } = panicked else {
        panic!("{panicked:?}")
    };
    assert_eq!(error, "the notifier panicked");
    assert_eq!(next_final(&mut reports).await.result, DeliveryResult::Delivered);
}

#[tokio::test(start_paused = true)]
async fn shutdown_drains_what_it_can_and_returns_the_rest() {
    let config = config();
    let metrics = config.metrics.clone();
    let slow = Scripted::taking(2 * SECOND);
    let (dispatcher, mut reports) = start(config, &[("a", Arc::clone(&slow))]);
    let all = notifications(4);
    for n in &all {
        dispatcher.send(n.clone()).unwrap();
    }
    let began = Instant::now();
    let left = dispatcher.shutdown(5 * SECOND).await;
    assert_eq!(began.elapsed(), 5 * SECOND);
    let mut delivered = Vec::new();
    while let Some(report) = reports.next().await {
        assert_eq!(report.result, DeliveryResult::Delivered);
        delivered.push(report.notification_id);
    }
    let left_ids: Vec<String> = left.iter().map(|report| report.notification_id.clone()).collect();
    assert!(left.iter().all(|report| lost(report) == Some(LostCause::Shutdown)));
    let ids: Vec<String> = all.iter().map(|n| n.id.clone()).collect();
    assert_eq!([delivered, left_ids].concat(), ids, "each is accounted for, once");
    assert_eq!(metrics.dropped("shutdown"), 2);
    let refused = dispatcher.send(all[0].clone()).unwrap_err();
    assert_eq!(refused.cause, LostCause::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn an_idle_dispatcher_shuts_down_at_once() {
    let (dispatcher, mut reports) = start(config(), &[("a", Scripted::taking(SECOND))]);
    let began = Instant::now();
    assert_eq!(dispatcher.shutdown(60 * SECOND).await, []);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(reports.next().await.is_none());
}

/// The host does not read: nothing final may be lost, so deliveries wait, and the shutdown hands over what is there.
#[tokio::test(start_paused = true)]
async fn unread_reports_stop_deliveries_and_are_never_dropped() {
    let mut config = config();
    config.reports = 1;
    let fast = Arc::new(Scripted::default());
    let (dispatcher, mut reports) = start(config, &[("a", Arc::clone(&fast))]);
    for n in notifications(4) {
        dispatcher.send(n).unwrap();
    }
    tokio::time::sleep(SECOND).await;
    assert_eq!(fast.calls().len(), 2, "one report in the channel, one waiting for room");
    let left = dispatcher.shutdown(SECOND).await;
    let results: Vec<bool> = left.iter().map(|report| lost(report).is_none()).collect();
    assert_eq!(results, [true, false, false]);
    assert!(reports.next().await.is_some());
    assert!(reports.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn nobody_has_to_listen() {
    let fast = Arc::new(Scripted::default());
    let (dispatcher, reports) = start(config(), &[("a", Arc::clone(&fast))]);
    drop(reports);
    for n in notifications(4) {
        dispatcher.send(n).unwrap();
    }
    assert_eq!(dispatcher.shutdown(SECOND).await, []);
    assert_eq!(fast.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn new_endpoints_take_over_and_old_ones_finish() {
    let (old, new) = (Scripted::taking(SECOND), Arc::new(Scripted::default()));
    let (dispatcher, mut reports) = start(config(), &[("a", Arc::clone(&old))]);
    let mut all = notifications(2).into_iter();
    dispatcher.send(all.next().unwrap()).unwrap();
    let replacement = (EndpointId::new("b"), Arc::clone(&new) as Arc<dyn Notifier>);
    dispatcher.replace_endpoints([replacement]);
    let mut second = all.next().unwrap();
    assert_eq!(dispatcher.send(second.clone()).unwrap_err().cause, LostCause::UnknownEndpoint);
    second.endpoint = EndpointId::new("b");
    dispatcher.send(second).unwrap();
    for endpoint in ["b", "a"] {
        let report = reports.next().await.unwrap();
        assert_eq!(
            (report.endpoint.as_str(), report.result),
            (endpoint, DeliveryResult::Delivered)
        );
    }
    assert_eq!(dispatcher.shutdown(SECOND).await, []);
}

#[test]
fn outside_a_runtime_it_says_so() {
    let error = Dispatcher::builder(config()).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRuntime);
    assert!(error.to_string().contains("start it inside a tokio runtime"), "{error}");
}

#[test]
fn the_retry_policy_reads_durations() {
    let policy: RetryPolicy =
        serde_json::from_value(json!({ "initial": "1s", "deadline": "5m" })).unwrap();
    assert_eq!((policy.initial, policy.max), (SECOND, 30 * SECOND));
    assert!(serde_json::from_value::<RetryPolicy>(json!({ "initail": "1s" })).is_err());
}

/// The whole way: the near endpoint is away, so the router sends the alert to the far one; nothing is lost.
#[tokio::test(start_paused = true)]
async fn router_and_dispatcher_fail_over_together() {
    let mut router = router(json!({
        "route": { "receiver": "oncall" },
        "receivers": [{ "name": "oncall", "endpoints": [
            { "name": "near", "distance": 1, "host": {} },
            { "name": "far", "distance": 2, "host": {} }
        ] }]
    }));
    let near = Scripted::failing((0..1000).map(|_| busy()));
    let far = Arc::new(Scripted::default());
    let notifiers = [("oncall/near", Arc::clone(&near)), ("oncall/far", Arc::clone(&far))];
    let (dispatcher, mut reports) = start(config(), &notifiers);
    let mut now = 0;
    let mut id = String::new();
    for n in router.route(alert("A", 0), at(0)).notifications {
        id.clone_from(&n.id);
        dispatcher.send(n).unwrap();
    }
    loop {
        now += 1;
        let report = reports.next().await.unwrap();
        let delivered = report.result == DeliveryResult::Delivered;
        for n in router.report(&report, at(now)).resend {
            dispatcher.send(n).unwrap();
        }
        if delivered {
            break;
        }
    }
    assert_eq!(far.calls(), [id]);
    // The router has learned: the next alert goes to the far one at once.
    let next = router.route(alert("B", now), at(now)).notifications.remove(0);
    assert_eq!(next.endpoint.as_str(), "oncall/far");
}
