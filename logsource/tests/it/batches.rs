//! Batches as an adapter of another crate makes them, and as a consumer takes them apart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use birl_logsource::{
    Ack, Batch, Budget, Count, Cursor, LogEntry, LogSource, Metrics, Origin, Parser, SourceKind,
};

fn batch(text: &'static str, parser: Parser) -> Batch {
    let labels = BTreeMap::from([("env".to_owned(), "test".to_owned())]);
    let origin = Arc::new(Origin::new("mine", SourceKind::Other("mine"), labels, parser));
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_001);
    Batch::from_lines(origin, text.as_bytes(), time, Cursor::from_text("after"))
}

#[test]
fn a_foreign_batch_is_like_our_own() {
    let batch = batch("one\r\n\n  \ntwo", Parser::raw());
    let lines: Vec<_> = batch.entries().map(|entry| entry.text()).collect();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(batch.labels()["source"], "mine");
    assert_eq!(batch.cursor().text(), Some("after"));
    assert!(batch.get(2).is_none());
}

#[test]
fn an_entry_serializes_as_one_line_of_json() {
    let batch = batch("{\"b\":1,\"a\":\"é\"}\n{broken", Parser::auto());
    let entries: Vec<LogEntry> = batch.entries().map(|entry| entry.to_entry()).collect();
    drop(batch);
    assert_eq!(
        serde_json::to_string(&entries[0]).unwrap(),
        r#"{"timestamp":"1970-01-01T00:00:01.500000001Z","labels":{"env":"test","source":"mine"},"line":"{\"b\":1,\"a\":\"é\"}","fields":{"a":"é","b":1}}"#
    );
    let broken = serde_json::to_value(&entries[1]).unwrap();
    assert_eq!(broken["line"], "{broken");
    assert!(broken["malformed"].as_str().unwrap().contains("not a JSON object"));
}

#[test]
fn a_batch_is_acknowledged_when_its_last_entry_is() {
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let batch = batch("1\n2\n3", Parser::raw())
        .with_ack(Ack::from_fn(move || _ = count.fetch_add(1, Ordering::Relaxed)));
    let mut acks: Vec<Ack> = batch.into_deliveries().map(|delivery| delivery.ack).collect();
    for _ in 0..3 {
        assert_eq!(done.load(Ordering::Relaxed), 0);
        acks.pop().unwrap().done();
    }
    assert_eq!(done.load(Ordering::Relaxed), 1);
}

#[test]
fn an_entry_that_is_dropped_is_never_acknowledged() {
    let batch = batch("1\n2", Parser::raw()).with_ack(Ack::from_fn(|| unreachable!()));
    let mut deliveries = batch.into_deliveries();
    deliveries.next().unwrap().ack.done();
    drop(deliveries.next());
}

#[test]
fn an_adapter_of_another_crate_is_counted_and_budgeted() {
    let (metrics, budget) = (Metrics::new(), Budget::new(1 << 20));
    let counters = metrics.register("mine", SourceKind::Other("mine"));
    let batch = batch("one\n{broken\n", Parser::json()).counted_by(&counters);
    let batch = batch.held_against(&budget);
    assert_eq!((counters.get(Count::Lines), counters.get(Count::Bytes)), (2, 12));
    assert!(budget.in_flight_bytes() >= 12);
    // Once is enough, whoever hands it on.
    let batch = batch.counted_by(&counters).held_against(&budget);
    let in_flight = budget.in_flight_bytes();
    assert!(batch.get(1).unwrap().to_entry().malformed.is_some());
    let ack = batch.into_ack();
    assert_eq!((in_flight > 0, budget.in_flight_bytes()), (true, 0));
    ack.done();
    let counts = [Count::Batches, Count::Malformed, Count::Acked].map(|count| counters.get(count));
    assert_eq!(counts, [1, 1, 2]);
}

/// A slab whose pages are never touched.
#[cfg(target_pointer_width = "64")]
#[test]
#[should_panic = "4 GiB"]
fn a_slab_whose_places_do_not_fit_is_refused() {
    let origin = Arc::new(Origin::new("mine", SourceKind::Push, BTreeMap::new(), Parser::raw()));
    let slab = vec![0_u8; 1 << 32];
    let _ = Batch::from_lines(origin, slab, SystemTime::UNIX_EPOCH, Cursor::from_text("after"));
}

/// What is chosen at run time must be usable as an object, and what is spawned must be `Send`.
#[test]
fn the_trait_is_an_object_and_everything_can_be_sent() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Send + Sync>() {}
    is_send::<birl_logsource::Entries>();
    is_sync::<Box<dyn LogSource>>();
    is_sync::<Arc<dyn LogSource>>();
    is_sync::<Batch>();
    is_sync::<birl_logsource::Delivery>();
    is_sync::<birl_logsource::Error>();
    fn read(source: &dyn LogSource) -> impl Future + Send + '_ {
        source.read(birl_logsource::Position::Start, 1)
    }
    let _: fn(&'static dyn LogSource) -> _ = read;
}
