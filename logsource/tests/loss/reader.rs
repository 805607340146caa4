//! The process that is killed: follows files through the public API, writes down every line that
//! it is handed before it acknowledges it, and what it counts.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use birl_logsource::{
    Ack, Batch, BlockingTail, Count, DropReason, Edge, Error, FileSource, Gauge, LogSource,
    Metrics, Position,
};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::clock::{now, sleep};
use crate::dice::Dice;
use crate::ledger::{Event, Found, Ledger};
use crate::line;
use crate::model::Ms;

/// More batches than this are not left unacknowledged.
const WINDOW: usize = 8;

/// No batch is left unacknowledged for longer, unless the consumer is stalled.
const LATE: Ms = 300;

/// How often counters are written down.
const COUNT_EVERY: Ms = 50;

/// What the parent says to its reader, and what comes of it.
#[derive(Debug, Default)]
struct Orders {
    stall: AtomicU64,
    stop: AtomicBool,
}

/// In so many of a hundred runs the files are read on the consumer's own thread, if it never stalls.
const PULLS: u64 = 30;

/// The arguments: a pattern, the folder for offsets and ledger, the number of the run, a seed, and
/// whether the consumer is going to stall.
pub(crate) fn run(args: &[String]) {
    let [pattern, folder, run, seed, stalls] = args else {
        panic!("a reader takes five arguments")
    };
    let (run, seed): (u32, u64) = (run.parse().unwrap(), seed.parse().unwrap());
    let stalls: bool = stalls.parse().unwrap();
    let pulls = !stalls && Dice::new(seed, &format!("pull {run}")).percent(PULLS);
    let folder = PathBuf::from(folder);
    let ledger = Arc::new(Ledger::open(&folder.join("ledger"), run).unwrap());
    let metrics = Metrics::new();
    let orders = Arc::new(Orders::default());
    listen(Arc::clone(&orders));
    count(metrics.clone(), Arc::clone(&ledger));
    // What the source says of itself is kept with a play that fails.
    let said = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false);
    said.with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG).init();
    let dice = Dice::new(seed, &format!("reader {run}"));
    let followed = metrics.clone();
    follow(Path::new(pattern), &folder, followed, pulls, dice, &ledger, &orders);
    ledger.note(&Event::Counted(snapshot(&metrics))).unwrap();
    ledger.note(&Event::Stopped).unwrap();
}

/// Either way to take what is read.
enum Batches {
    Streamed(tokio::runtime::Runtime, BoxStream<'static, Result<Batch, Error>>),
    Pulled(BlockingTail),
}

impl Batches {
    fn of(source: &FileSource, pulls: bool) -> Self {
        let from = Position::Resume { otherwise: Edge::Start };
        if pulls {
            return Self::Pulled(source.tail_blocking(from).unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        Self::Streamed(runtime.unwrap(), source.tail(from))
    }

    fn next_within(&mut self, time: Duration) -> Result<Option<Batch>, Error> {
        match self {
            Self::Streamed(runtime, stream) => {
                let next = async { tokio::time::timeout(time, stream.next()).await };
                let next = runtime.block_on(next).map(|item| item.expect("the stream ended"));
                next.ok().transpose()
            }
            Self::Pulled(tail) => tail.next_within(time),
        }
    }
}

fn follow(
    pattern: &Path,
    folder: &Path,
    metrics: Metrics,
    pulls: bool,
    mut dice: Dice,
    ledger: &Ledger,
    orders: &Orders,
) {
    let source = FileSource::builder(pattern)
        .id("log")
        .offset_file(folder.join("offsets"))
        .batch_bytes(*dice.one_of(&[2 << 10, 8 << 10, 64 << 10, 128 << 10]))
        .metrics(metrics)
        .build()
        .unwrap();
    let mut batches = Batches::of(&source, pulls);
    ledger.note(&Event::Ready).unwrap();
    let mut held: Vec<(Ms, u64, Vec<Ack>)> = Vec::new();
    let mut number = 0;
    while !orders.stop.load(Relaxed) {
        let stall = orders.stall.swap(0, Relaxed);
        if stall > 0 {
            ledger.note(&Event::Stalled).unwrap();
            let until = now() + stall;
            while now() < until && !orders.stop.load(Relaxed) {
                sleep(10);
            }
            ledger.note(&Event::Resumed).unwrap();
        }
        match batches.next_within(Duration::from_millis(5)) {
            Ok(Some(batch)) => {
                let found = batch.entries().map(|entry| find(entry.line())).collect();
                let name = batch.path().and_then(Path::file_name).unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                ledger.note(&Event::Batch(number, name, found)).unwrap();
                let due = if dice.percent(60) { 0 } else { now() + dice.between(1, LATE) };
                held.push((due, number, acks(batch, &mut dice)));
                number += 1;
            }
            Ok(None) => {}
            Err(error) => ledger.note(&Event::Error(error.to_string())).unwrap(),
        }
        while held.len() > WINDOW || held.iter().any(|(due, ..)| *due <= now()) {
            // Whichever is due first, so out of order.
            held.sort_by_key(|(due, ..)| std::cmp::Reverse(*due));
            acknowledge(held.pop(), ledger);
        }
    }
    // Some runs end with everything acknowledged, some do not.
    if dice.percent(50) {
        while !held.is_empty() {
            acknowledge(held.pop(), ledger);
        }
    }
    drop(batches);
}

fn find(line: &[u8]) -> Found {
    match line::parse(line) {
        Some(id) => Found::Line(id),
        None if line::header().as_bytes().strip_suffix(b"\n") == Some(line) => Found::Header,
        None => Found::Odd(line.to_vec()),
    }
}

/// The batch's one acknowledgement, or one for each of its entries, shuffled.
fn acks(batch: Batch, dice: &mut Dice) -> Vec<Ack> {
    if dice.percent(80) {
        return vec![batch.into_ack()];
    }
    let mut acks: Vec<Ack> = batch.into_deliveries().map(|delivery| delivery.ack).collect();
    for index in (1..acks.len()).rev() {
        acks.swap(index, usize::try_from(dice.next()).unwrap_or(0) % (index + 1));
    }
    acks
}

fn acknowledge(held: Option<(Ms, u64, Vec<Ack>)>, ledger: &Ledger) {
    let Some((_, number, acks)) = held else { return };
    acks.into_iter().for_each(Ack::done);
    ledger.note(&Event::Acked(number)).unwrap();
}

/// Takes orders from the parent. When it is gone, the reader goes, too.
fn listen(orders: Arc<Orders>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match line.unwrap_or_default().split_once(' ') {
                Some(("stall", ms)) => orders.stall.store(ms.parse().unwrap_or(0), Relaxed),
                _ => break,
            }
        }
        orders.stop.store(true, Relaxed);
    });
}

/// Writes the counters down whenever they have moved, else that the process lives, until it ends.
fn count(metrics: Metrics, ledger: Arc<Ledger>) {
    std::thread::spawn(move || {
        let mut last = Vec::new();
        loop {
            let counts = snapshot(&metrics);
            if last != counts {
                ledger.note(&Event::Counted(counts.clone())).unwrap();
                last = counts;
            } else {
                ledger.note(&Event::Alive).unwrap();
            }
            sleep(COUNT_EVERY);
        }
    });
}

fn snapshot(metrics: &Metrics) -> Vec<(String, u64)> {
    let Some(source) = metrics.source("log") else { return Vec::new() };
    let counts = Count::ALL.map(|count| (count.as_str().to_owned(), source.get(count)));
    let gauges = Gauge::ALL.map(|gauge| (gauge.as_str().to_owned(), source.gauge(gauge)));
    let dropped = DropReason::ALL.map(|reason| {
        [
            (format!("dropped.{}", reason.as_str()), source.dropped(reason)),
            (format!("dropped_bytes.{}", reason.as_str()), source.dropped_bytes(reason)),
        ]
    });
    let all = counts.into_iter().chain(gauges).chain(dropped.into_iter().flatten());
    all.filter(|(_, value)| *value > 0).collect()
}
