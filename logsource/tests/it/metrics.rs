//! What is counted.

use birl_logsource::{
    Count, DropReason, FileSource, Gauge, LogSource, LogSourceExt, Metrics, Position, SourceKind,
};
use futures_util::StreamExt;
use prometheus::{Encoder, Registry, TextEncoder};

use crate::support::{Place, append, next};

#[tokio::test]
async fn a_source_counts_what_it_does() {
    let place = Place::new();
    append(&place.log, "{\"a\":1}\n{\"a\":\ntext\n");
    let metrics = Metrics::new();
    let source = FileSource::builder(&place.log).id("app").metrics(metrics.clone()).build();
    let source = source.unwrap();
    let mut stream = source.tail(Position::Start);
    next(&mut stream).await.unwrap().ack();
    let mut entries = source.entries(Position::Start);
    entries.next().await.unwrap().unwrap().ack.done();
    // The second is parsed with the next delivery, and never acknowledged.
    drop(entries.next().await.unwrap().unwrap());
    let app = metrics.source("app").unwrap();
    assert_eq!(app.kind(), SourceKind::File);
    assert_eq!(app.get(Count::Lines), 6);
    assert_eq!(app.get(Count::Bytes), 38);
    assert_eq!(app.get(Count::Batches), 2);
    assert_eq!(app.get(Count::Acked), 4);
    assert_eq!(app.get(Count::Malformed), 1);
}

#[test]
fn prometheus_reads_them_and_two_registries_do_not_collide() {
    let metrics = Metrics::new();
    let (first, second) = (Registry::new(), Registry::new());
    first.register(Box::new(metrics.clone())).unwrap();
    second.register(Box::new(metrics.clone())).unwrap();
    let app = metrics.register("app", SourceKind::File);
    app.add(Count::Lines, 3);
    app.drop_lines(DropReason::OverflowOldest, 2);
    app.set(Gauge::LagBytes, 70);
    app.refuse(Some("noisy"), 5, 500);
    app.refuse(Some("other"), 2, 20);
    app.refuse(None, 1, 10);
    app.refuse(Some(""), 3, 30);
    let mut text = Vec::new();
    TextEncoder::new().encode(&first.gather(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for line in [
        r#"birl_logsource_lines_total{kind="file",source="app"} 3"#,
        r#"birl_logsource_dropped_total{reason="overflow_oldest",source="app"} 2"#,
        r#"birl_logsource_dropped_total{reason="line_too_long",source="app"} 0"#,
        r#"birl_logsource_refused_total{key="noisy",source="app"} 5"#,
        r#"birl_logsource_refused_bytes_total{key="other",source="app"} 20"#,
        r#"birl_logsource_refused_bytes_total{key="",source="app"} 40"#,
        r#"birl_logsource_lag_bytes{kind="file",source="app"} 70"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(metrics.register("other", SourceKind::Stdout).get(Count::Lines) == 0);
    assert!(!second.gather().is_empty());
}
