//! Lines that the program itself hands in.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use birl_logsource::{
    Batch, Budget, Count, DropReason, ErrorKind, Gauge, HealthState, LogSource, Metrics, Position,
    PushSource,
};
use futures_util::StreamExt;

use crate::support::{PATIENCE, lines, next, until};

/// Pushes lines of 1000 bytes until none is taken, and says how many were.
fn fill(pusher: &birl_logsource::Pusher) -> (usize, birl_logsource::Error) {
    let line = "=".repeat(999);
    let refused = |n: usize| Some((n, pusher.try_push(line.as_bytes()).err()?));
    (0..).find_map(refused).unwrap()
}

#[tokio::test]
async fn a_producer_is_told_to_wait_and_goes_on_when_batches_are_dropped() {
    let metrics = Metrics::new();
    let builder = PushSource::builder("app").max_in_flight_bytes(1 << 20).metrics(metrics.clone());
    let (pusher, source) = builder.build().unwrap();
    let mut stream = source.tail(Position::Start);
    let noisy = pusher.keyed("noisy");
    let (taken, error) = fill(&noisy);
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("`app`") && text.contains("max_in_flight_bytes"), "{text}");
    let app = metrics.source("app").unwrap();
    assert_eq!(app.get(Count::Stalls), 1);
    let refused = app.refused();
    assert_eq!((refused.len(), refused[0].key.as_deref()), (1, Some("noisy")));
    assert_eq!((refused[0].lines, refused[0].bytes), (1, 999));

    let waiting = pusher.push(b"waited");
    let mut waiting = pin!(waiting);
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let held: Vec<Batch> = {
        let mut held = Vec::new();
        while held.iter().map(Batch::len).sum::<usize>() < taken {
            held.push(next(&mut stream).await.unwrap());
        }
        held
    };
    // Handed out is not dropped.
    assert!(app.gauge(Gauge::InFlightBytes) > 900_000);
    let dropping = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    let (pushed, ()) = futures_util::future::join(waiting, dropping).await;
    pushed.unwrap();
    noisy.try_push(b"x").unwrap();
    assert_eq!(lines(&mut stream, 2).await, ["waited", "x"]);
    assert_eq!(app.gauge(Gauge::InFlightBytes), 0);
    assert_eq!(app.get(Count::Lines), u64::try_from(taken).unwrap() + 2);
}

#[tokio::test]
async fn the_stream_ends_after_the_last_pusher_and_the_rest() {
    let (pusher, source) = PushSource::builder("app").build().unwrap();
    let (other, mut stream) = (pusher.clone(), source.tail(Position::Start));
    pusher.try_push(b"1\n2").unwrap();
    drop(pusher);
    assert_eq!(lines(&mut stream, 2).await, ["1", "2"]);
    let ends =
        tokio::spawn(async move { lines(&mut stream, 1).await.len() + stream.count().await });
    std::thread::spawn(move || other.try_push(b"3")).join().unwrap().unwrap();
    assert_eq!(ends.await.unwrap(), 1);
    let health = source.health_check().await.unwrap();
    assert_eq!(health.state, HealthState::Waiting);
}

#[tokio::test]
async fn a_producer_whose_source_is_gone_is_told_even_if_it_waits() {
    let budget = Budget::new(0);
    let (pusher, source) = PushSource::builder("app").budget(&budget).build().unwrap();
    let mut stream = source.tail(Position::Start);
    pusher.push(b"first").await.unwrap();
    let _held = next(&mut stream).await.unwrap();
    let waiting = pusher.clone();
    let waits = tokio::spawn(async move { waiting.push(b"second").await });
    drop(source);
    drop(stream);
    let told = tokio::time::timeout(PATIENCE, waits).await.expect("it is told");
    let error = told.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("`app`"), "{error}");
    assert_eq!(pusher.try_push(b"third").unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_stream_goes_on_where_the_last_one_stopped() {
    let (pusher, source) = PushSource::builder("app").build().unwrap();
    let mut stream = source.tail(Position::Start);
    let mut busy = source.tail(Position::Start);
    let error = next(&mut busy).await.unwrap_err();
    assert!(error.to_string().contains("another stream"), "{error}");
    assert!(busy.next().await.is_none());
    pusher.try_push(b"1").unwrap();
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    pusher.try_push(b"2").unwrap();
    drop((stream, busy));
    pusher.try_push(b"3\n4").unwrap();
    let chunk = source.read(Position::Start, 2).await.unwrap();
    let batch = chunk.batch.unwrap();
    assert_eq!((batch.get(0).unwrap().line(), batch.len(), chunk.at_end), (&b"2"[..], 2, false));
    let mut stream = source.tail(Position::At(chunk.next));
    assert_eq!(lines(&mut stream, 1).await, ["4"]);
    let wrong = Position::At(birl_logsource::Cursor::from_text("page 3"));
    assert_eq!(source.read(wrong, 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_producers_lose_nothing_while_the_consumer_is_slow() {
    let metrics = Metrics::new();
    let builder =
        PushSource::builder("app").max_in_flight_bytes(256 << 10).metrics(metrics.clone());
    let (pusher, source) = builder.build().unwrap();
    let mut stream = source.tail(Position::Start);
    for producer in 0..4 {
        let pusher = pusher.clone();
        tokio::spawn(async move {
            for n in 0..2000 {
                let line = format!("{producer} {n} {}", "=".repeat(500));
                pusher.push(line.as_bytes()).await.unwrap();
            }
        });
    }
    drop(pusher);
    let app = metrics.source("app").unwrap();
    until("the producers are held back", async || app.get(Count::Stalls) > 0).await;
    assert!(app.gauge(Gauge::InFlightBytes) < 512 << 10);
    let mut next_of = [0; 4];
    while let Some(batch) = stream.next().await {
        for entry in batch.unwrap().entries() {
            let text = entry.text();
            let mut words = text.split(' ').map(|word| word.parse::<usize>());
            let (producer, n) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
            assert_eq!(n, next_of[producer]);
            next_of[producer] += 1;
        }
    }
    assert_eq!(next_of, [2000; 4]);
}

#[tokio::test]
async fn what_was_pushed_and_nobody_took_is_counted() {
    let metrics = Metrics::new();
    let (pusher, source) = PushSource::builder("app").metrics(metrics.clone()).build().unwrap();
    let mut stream = source.tail(Position::Start);
    pusher.try_push(b"1").unwrap();
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    pusher.try_push(b"two").unwrap();
    // Seals what is open.
    assert_eq!(source.read(Position::Start, 9).await.unwrap().batch.unwrap().len(), 1);
    pusher.try_push(b"3\n4").unwrap();
    drop((source, stream));
    let app = metrics.source("app").unwrap();
    assert_eq!((app.get(Count::Lines), app.get(Count::Acked)), (4, 1));
    assert_eq!(app.dropped(DropReason::Abandoned), 3);
    assert_eq!(app.dropped_bytes(DropReason::Abandoned), 8);
    assert_eq!(pusher.try_push(b"5").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(app.dropped(DropReason::Abandoned), 3);
}
