//! The checks, one behavior each.

use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_core::stream::BoxStream;

use super::Fixture;
use super::timer::{pause, within};
use crate::{Batch, Cursor, Delivery, Edge, Error, HealthState, LogSource, LogSourceExt, Position};

/// What a check found wrong.
type Checked = Result<(), String>;

/// How long anything may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(20);

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    // Of different lengths, beyond ASCII, and with what formats like to stumble over.
    range.map(|n| format!("n={n} \"é\\ {}", "=".repeat(n % 97))).collect()
}

async fn next<T>(stream: &mut (impl Stream<Item = Result<T, Error>> + Unpin)) -> Result<T, String> {
    let item = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_next(cx));
    match within(PATIENCE, item).await {
        None => Err(format!("nothing came for {PATIENCE:?}")),
        Some(None) => Err("the stream ended".to_owned()),
        Some(Some(Err(error))) => Err(format!("the stream yielded an error: {error}")),
        Some(Some(Ok(item))) => Ok(item),
    }
}

/// Takes batches until there are this many lines.
async fn take(
    stream: &mut BoxStream<'static, Result<Batch, Error>>,
    lines: usize,
) -> Result<(Vec<String>, Vec<Batch>), String> {
    let (mut found, mut batches) = (Vec::new(), Vec::new());
    while found.len() < lines {
        let batch = next(stream).await?;
        if batch.is_empty() {
            return Err("an empty batch".to_owned());
        }
        found.extend(batch.entries().map(|entry| entry.text().into_owned()));
        batches.push(batch);
    }
    Ok((found, batches))
}

fn same(found: &[String], expected: &[String]) -> Checked {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    Err(format!(
        "{} lines came where {} were written; the first that differs is number {at}: {:?} where \
         {:?} was written",
        found.len(),
        expected.len(),
        found.get(at),
        expected.get(at)
    ))
}

async fn open(fixture: &mut impl Fixture) -> Result<Box<dyn LogSource>, String> {
    fixture.open().await.map_err(|error| format!("cannot be opened: {error}"))
}

async fn append(fixture: &mut impl Fixture, lines: &[String]) -> Checked {
    fixture.append(lines).await.map_err(|error| format!("cannot be written to: {error}"))
}

pub(super) async fn whole_and_in_order(mut fixture: impl Fixture) -> Checked {
    let lines = numbered(0..600);
    append(&mut fixture, &lines[..200]).await?;
    let source = open(&mut fixture).await?;
    let mut stream = source.tail(Position::Start);
    let (mut found, _) = take(&mut stream, 200).await?;
    for part in lines[200..].chunks(100) {
        append(&mut fixture, part).await?;
        found.extend(take(&mut stream, part.len()).await?.0);
    }
    same(&found, &lines)?;
    let labels = source.origin().labels();
    if labels.get("source").map(String::as_str) != Some(source.origin().kind().as_str()) {
        return Err(format!("the label `source` is not the kind: {labels:?}"));
    }
    Ok(())
}

pub(super) async fn slow_consumer(mut fixture: impl Fixture) -> Checked {
    let lines = numbered(0..3000);
    let source = open(&mut fixture).await?;
    let mut stream = source.tail(Position::Start);
    let mut found = Vec::new();
    for part in lines.chunks(300) {
        append(&mut fixture, part).await?;
        if found.len() < 300 {
            found.extend(take(&mut stream, 1).await?.0);
        }
    }
    // One that says too much is found out below.
    let rest = lines.len().saturating_sub(found.len());
    found.extend(take(&mut stream, rest).await?.0);
    same(&found, &lines)
}

pub(super) async fn read_moves_nothing(mut fixture: impl Fixture) -> Checked {
    let lines = numbered(0..50);
    append(&mut fixture, &lines).await?;
    let source = open(&mut fixture).await?;
    let read = async |from: Position, max| {
        source.read(from, max).await.map_err(|error| format!("cannot be read: {error}"))
    };
    let mut firsts = Vec::new();
    for _ in 0..2 {
        let chunk = read(Position::Start, 7).await?;
        let Some(batch) = chunk.batch else { return Err("`read` found nothing".to_owned()) };
        if batch.len() > 7 {
            return Err(format!("`read` of at most 7 lines gave {}", batch.len()));
        }
        firsts.push(batch.entries().map(|entry| entry.text().into_owned()).collect::<Vec<_>>());
        batch.ack();
    }
    if firsts.first() != firsts.last() {
        return Err(format!("`read` twice gave two things: {firsts:?}"));
    }
    let (mut found, mut from) = (Vec::new(), Position::Start);
    for _ in 0..=lines.len() {
        let chunk = read(from, 7).await?;
        let batch = chunk.batch.iter().flat_map(Batch::entries);
        found.extend(batch.map(|entry| entry.text().into_owned()));
        from = Position::At(chunk.next);
        if chunk.at_end {
            break;
        }
    }
    same(&found, &lines)?;
    if !read(from, 7).await?.at_end {
        return Err("the end is not the end".to_owned());
    }
    // Nothing was moved: a tail still has everything.
    let mut stream = source.tail(Position::Resume { otherwise: Edge::Start });
    same(&take(&mut stream, lines.len()).await?.0, &lines)
}

pub(super) async fn lets_go(mut fixture: impl Fixture) -> Checked {
    append(&mut fixture, &numbered(0..10)).await?;
    let source = open(&mut fixture).await?;
    let origin = Arc::clone(source.origin());
    for taken in [0, 10] {
        let mut stream = source.tail(Position::Start);
        if taken > 0 {
            append(&mut fixture, &numbered(0..10)).await?;
            take(&mut stream, taken).await?;
        }
        drop(stream);
    }
    drop(source);
    for _ in 0..200 {
        if Arc::strong_count(&origin) == 1 {
            return Ok(());
        }
        pause(Duration::from_millis(10)).await;
    }
    Err("2 s after the stream and the source were dropped, something still holds them".to_owned())
}

pub(super) async fn health(mut fixture: impl Fixture) -> Checked {
    let source = open(&mut fixture).await?;
    let mut stream = source.tail(Position::Start);
    append(&mut fixture, &numbered(0..1)).await?;
    take(&mut stream, 1).await?;
    let health = source.health_check().await.map_err(|error| error.to_string())?;
    match health.state {
        HealthState::Ready => Ok(()),
        state => Err(format!("{state:?} while lines come: {:?}", health.reason)),
    }
}

pub(super) async fn cursors(mut fixture: impl Fixture) -> Checked {
    let lines = numbered(0..90);
    append(&mut fixture, &lines[..30]).await?;
    let source = open(&mut fixture).await?;
    let mut stream = source.tail(Position::Start);
    let mut places: Vec<(usize, Cursor)> = Vec::new();
    let mut seen = 0;
    for part in lines[30..].chunks(30) {
        for batch in take(&mut stream, 30).await?.1 {
            seen += batch.len();
            places.push((seen, batch.cursor().clone()));
        }
        append(&mut fixture, part).await?;
    }
    drop(stream);
    drop(source);
    let source = open(&mut fixture).await?;
    for (seen, place) in places {
        let kept = serde_json::to_string(&place).map_err(|error| error.to_string())?;
        let place: Cursor = serde_json::from_str(&kept).map_err(|error| error.to_string())?;
        let mut stream = source.tail(Position::At(place.clone()));
        let Some(rest) = lines.get(seen..) else {
            return Err(format!("{seen} lines came where {} were written", lines.len()));
        };
        same(&take(&mut stream, rest.len()).await?.0, rest)
            .map_err(|what| format!("a tail from {place}: {what}"))?;
        let chunk = source.read(Position::At(place.clone()), 1).await;
        let batch = chunk.map_err(|error| error.to_string())?.batch;
        let first = batch.and_then(|batch| Some(batch.get(0)?.text().into_owned()));
        if first.as_ref() != rest.first() {
            return Err(format!("a read from {place} gave {first:?}"));
        }
    }
    Ok(())
}

pub(super) async fn acks(mut fixture: impl Fixture) -> Checked {
    let lines = numbered(0..20);
    append(&mut fixture, &lines).await?;
    let resume = Position::Resume { otherwise: Edge::Start };
    let source = open(&mut fixture).await?;
    let mut entries = source.entries(resume.clone());
    let mut acks = Vec::new();
    for _ in 0..10 {
        let Delivery { ack, .. } = next(&mut entries).await?;
        acks.push(Some(ack));
    }
    // All but the sixth, in no order.
    for index in [3, 1, 0, 9, 2, 4, 7, 6, 8] {
        if let Some(ack) = acks.get_mut(index).and_then(Option::take) {
            ack.done();
        }
    }
    drop((entries, acks, source));
    let source = open(&mut fixture).await?;
    let mut stream = source.tail(resume);
    same(&take(&mut stream, 15).await?.0, &lines[5..])
}

pub(super) async fn batch_acks(mut fixture: impl Fixture) -> Checked {
    let lines = numbered(0..40);
    let resume = Position::Resume { otherwise: Edge::Start };
    let source = open(&mut fixture).await?;
    let mut stream = source.tail(resume.clone());
    append(&mut fixture, &lines[..20]).await?;
    take(&mut stream, 20).await?.1.into_iter().for_each(Batch::ack);
    append(&mut fixture, &lines[20..30]).await?;
    // Handed out, and never acknowledged.
    let (unacked, batches) = take(&mut stream, 10).await?;
    same(&unacked, &lines[20..30])?;
    drop((batches, stream, source));
    append(&mut fixture, &lines[30..]).await?;
    let source = open(&mut fixture).await?;
    let mut stream = source.tail(resume.clone());
    let (found, batches) = take(&mut stream, 20).await?;
    same(&found, &lines[20..])?;
    // Acknowledged after the stream is gone: that counts as well.
    drop((stream, source));
    batches.into_iter().for_each(Batch::ack);
    append(&mut fixture, &["last".to_owned()]).await?;
    let source = open(&mut fixture).await?;
    let found = take(&mut source.tail(resume), 1).await?.0;
    same(&found, &["last".to_owned()])
}

pub(super) async fn end(mut fixture: impl Fixture) -> Checked {
    append(&mut fixture, &numbered(0..10)).await?;
    let source = open(&mut fixture).await?;
    let mut stream = source.tail(Position::End);
    // When a source is at the end cannot be seen, so new lines are written until one comes.
    let mut written = Vec::new();
    let mut found = Vec::new();
    while found.is_empty() && written.len() < 200 {
        let new = vec![format!("new {}", written.len())];
        append(&mut fixture, &new).await?;
        written.extend(new);
        let taken = within(Duration::from_millis(100), take(&mut stream, 1)).await;
        if let Some(taken) = taken {
            found = taken?.0;
        }
    }
    let Some(from) = written.iter().position(|line| Some(line) == found.first()) else {
        return Err(format!("from the end came {found:?}"));
    };
    let rest = (written.len() - from).saturating_sub(found.len());
    found.extend(take(&mut stream, rest).await?.0);
    same(&found, &written[from..])
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use async_trait::async_trait;
    use futures_util::StreamExt;

    use super::*;
    use crate::{Chunk, Health, Origin, PushSource, Pusher};

    /// An adapter that says everything far too often.
    #[derive(Debug)]
    struct Stutters(PushSource);

    #[async_trait]
    impl LogSource for Stutters {
        fn origin(&self) -> &Arc<Origin> {
            self.0.origin()
        }

        async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error> {
            self.0.read(from, max).await
        }

        fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>> {
            let origin = Arc::clone(self.0.origin());
            let is_at_end = from == Position::End;
            Box::pin(self.0.tail(from).map(move |batch| {
                let batch = batch?;
                let new =
                    batch.entries().filter(|entry| !is_at_end || entry.line().starts_with(b"new"));
                let lines = new.map(|entry| entry.text().into_owned() + "\n");
                let text = lines.collect::<String>().repeat(12);
                let (origin, cursor) = (Arc::clone(&origin), batch.cursor().clone());
                Ok(Batch::from_lines(origin, text, SystemTime::UNIX_EPOCH, cursor))
            }))
        }

        async fn health_check(&self) -> Result<Health, Error> {
            self.0.health_check().await
        }
    }

    struct Stutter(Option<Pusher>, Vec<String>);

    #[async_trait]
    impl Fixture for Stutter {
        async fn open(&mut self) -> Result<Box<dyn LogSource>, Error> {
            let (pusher, source) = PushSource::builder("app").build()?;
            pusher.push(self.1.join("\n").as_bytes()).await?;
            self.0 = Some(pusher);
            Ok(Box::new(Stutters(source)))
        }

        async fn append(&mut self, lines: &[String]) -> Result<(), Error> {
            self.1.extend_from_slice(lines);
            match &self.0 {
                Some(pusher) => pusher.push(lines.join("\n").as_bytes()).await,
                None => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn too_many_lines_fail_a_check_and_no_more() {
        let fixture = || Stutter(None, Vec::new());
        for found in [
            whole_and_in_order(fixture()).await,
            slow_consumer(fixture()).await,
            cursors(fixture()).await,
            end(fixture()).await,
        ] {
            let what = found.unwrap_err();
            assert!(what.contains("lines came where"), "{what}");
        }
    }
}
