//! The log of decisions in a real etcd (Debian's packages `etcd-server` and `etcd-client`): kept exactly once when the
//! answer is lost, in order after a stall.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use birl_scaler::{
    Change, Decider, DecisionEntry, DecisionLine, DecisionLog, DecisionRecorder, ErrorKind,
    EtcdDecisionLog, EtcdLogOptions, Observation, RecorderOptions, Replicas, ScaleIntent,
    ScalerSpec,
};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::programs::signal_child;

const PATIENCE: Duration = Duration::from_secs(60);

/// An etcd of our own, as long as it lives.
struct Etcd {
    child: Child,
    port: u16,
    _data: TempDir,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Etcd {
    fn start() -> Self {
        let (port, peer, data) = (free_port(), free_port(), tempfile::tempdir().unwrap());
        let (client, peer) =
            (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
        let child = Command::new("etcd")
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--data-dir"])
            .arg(data.path().join("etcd"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`etcd` is missing: install Debian's package `etcd-server`");
        let etcd = Self { child, port, _data: data };
        let end = Instant::now() + PATIENCE;
        while !etcd.ctl(&["endpoint", "health"]).1 {
            assert!(Instant::now() < end, "etcd does not get healthy");
            std::thread::sleep(Duration::from_millis(50));
        }
        etcd
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Another program's view of it.
    fn ctl(&self, args: &[&str]) -> (String, bool) {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.url()])
            .args(args)
            .output()
            .expect("`etcdctl` is missing: install Debian's package `etcd-client`");
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    }

    /// Every key, in the order in which they were created.
    fn keys(&self) -> Vec<String> {
        let args =
            ["get", "--prefix", "birl/", "--keys-only", "--sort-by=CREATE", "--order=ASCEND"];
        let (text, _) = self.ctl(&args);
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    fn signal(&self, signal: Signal) {
        signal_child(&self.child, signal);
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_420_800 + seconds)
}

/// Entries as a decider makes them, and the decider.
fn entries(target: &str, count: u64) -> (Vec<DecisionEntry>, Decider) {
    let mut decider = Decider::new(ScalerSpec::new(target, 1, 1000)).unwrap();
    let mut entries = Vec::new();
    for n in 0..count {
        let intent = ScaleIntent::new(format!("rule/{n}"), Change::By(1)).asked_by("rule");
        let seen = Observation::new(Replicas::ready(3)).intent(intent);
        let decision = decider.decide(&seen, at(n * 200));
        entries.push(DecisionEntry::decided(&decider, &seen, &decision));
        decider.applied(&decision, Ok(()), at(n * 200));
        entries.push(DecisionEntry::applied(&decider, &decision, Ok(()), at(n * 200)));
    }
    (entries, decider)
}

fn keys_of(entries: &[DecisionEntry]) -> Vec<String> {
    let key = |entry| format!("birl/decisions/{}", DecisionLine::encode(entry).unwrap().key());
    entries.iter().map(key).collect()
}

fn quick() -> EtcdLogOptions {
    let mut options = EtcdLogOptions::default();
    options.deadline = Duration::from_secs(2);
    options
}

fn waiting() -> RecorderOptions {
    let mut options = RecorderOptions::default();
    options.retry = Duration::from_millis(20);
    options
}

async fn connect(url: &str, options: EtcdLogOptions) -> EtcdDecisionLog {
    EtcdDecisionLog::connect(&[url], options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_kept_in_order_and_a_restart_goes_on_from_them() {
    let etcd = Etcd::start();
    let log = connect(&etcd.url(), quick()).await;
    assert_eq!(log.last_state("workers").await.unwrap(), None);
    let (all, decider) = entries("workers", 150);
    let recorder = DecisionRecorder::start(log, waiting()).unwrap();
    // One tick with more than a transaction takes.
    recorder.record(all.clone());
    assert!(recorder.flush(PATIENCE), "{:?}", recorder.stats());
    assert_eq!(recorder.stats().batches, 1);
    assert_eq!(etcd.keys(), keys_of(&all));
    drop(recorder);
    let log = connect(&etcd.url(), quick()).await;
    let state = log.last_state("workers").await.unwrap();
    assert_eq!(state.as_ref(), Some(decider.state()));
    assert_eq!(
        log.last_state("work").await.unwrap(),
        None,
        "the beginning of a name is another name"
    );
    // The value is the line of a file.
    let (text, _) = etcd.ctl(&["get", "--print-value-only", &keys_of(&all)[0]]);
    assert_eq!(text.trim_end(), DecisionLine::encode(&all[0]).unwrap().text());
}

/// Between a client and etcd: lets requests pass, and can lose the answers.
struct Between {
    port: u16,
    lose: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
}

impl Between {
    fn new(etcd: &Etcd) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (lose, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (far, gate, count) = (etcd.port, Arc::clone(&lose), Arc::clone(&lost));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(("127.0.0.1", far)).unwrap();
                let (near_in, far_in) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let asked = Arc::new(AtomicBool::new(false));
                let asks = Arc::clone(&asked);
                // A request is a large piece; keep-alives and settings are small.
                std::thread::spawn(move || {
                    pump(near_in, far_in, |bytes| {
                        asks.fetch_or(bytes > 300, Ordering::SeqCst);
                        true
                    })
                });
                let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
                std::thread::spawn(move || {
                    pump(far, near, |bytes| {
                        // The answer itself, not the acknowledgement of a window.
                        let answer = bytes > 60 && asked.load(Ordering::SeqCst);
                        if answer && gate.swap(false, Ordering::SeqCst) {
                            count.fetch_add(1, Ordering::SeqCst);
                            return false;
                        }
                        true
                    })
                });
            }
        });
        Self { port, lose, lost }
    }
}

/// Hands bytes on until one side ends, or `passes` says that this is the end.
fn pump(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(usize) -> bool) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !passes(read) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_before_the_connection_closed_is_kept_exactly_once() {
    let etcd = Etcd::start();
    let between = Between::new(&etcd);
    let log = connect(&format!("http://127.0.0.1:{}", between.port), quick()).await;
    let counts = log.counts();
    let recorder = DecisionRecorder::start(log, waiting()).unwrap();
    let (all, _) = entries("workers", 30);
    recorder.record(all[..20].to_vec());
    assert!(recorder.flush(PATIENCE), "{:?}", recorder.stats());
    between.lose.store(true, Ordering::SeqCst);
    recorder.record(all[20..40].to_vec());
    assert!(recorder.flush(PATIENCE), "{:?}", recorder.stats());
    assert_eq!(between.lost.load(Ordering::SeqCst), 1, "no answer was lost");
    assert!(recorder.stats().failures >= 1, "{:?}", recorder.stats());
    recorder.record(all[40..].to_vec());
    assert!(recorder.flush(PATIENCE), "{:?}", recorder.stats());
    assert_eq!((counts.repeated(), counts.conflicts()), (20, 0), "it was not committed before");
    assert_eq!(etcd.keys(), keys_of(&all));
    assert_eq!(recorder.stats().written, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_go_on_while_etcd_stalls_and_are_kept_in_order_then() {
    let etcd = Etcd::start();
    let mut options = quick();
    options.deadline = Duration::from_millis(300);
    let log = connect(&etcd.url(), options).await;
    let recorder = DecisionRecorder::start(log, waiting()).unwrap();
    let (all, _) = entries("workers", 60);
    recorder.record(all[..10].to_vec());
    assert!(recorder.flush(PATIENCE), "{:?}", recorder.stats());
    etcd.signal(Signal::STOP);
    let begun = Instant::now();
    for tick in all[10..].chunks(10) {
        recorder.record(tick.to_vec());
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "a decision waited for etcd");
    let end = Instant::now() + PATIENCE;
    while !recorder.stats().is_degraded() {
        assert!(Instant::now() < end, "nobody was told");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let trouble = recorder.stats().trouble.unwrap_or_default();
    assert!(trouble.contains("etcd"), "{trouble}");
    etcd.signal(Signal::CONT);
    assert!(recorder.flush(PATIENCE), "{:?}", recorder.stats());
    assert_eq!((recorder.stats().dropped, recorder.stats().is_degraded()), (0, false));
    assert_eq!(etcd.keys(), keys_of(&all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_the_first_entry_stays_and_a_giant_does_not_hold_the_rest_up() {
    let etcd = Etcd::start();
    let (first, _) = entries("workers", 1);
    let mut second = first.clone();
    let DecisionEntry::Decided(record) = &mut second[0] else { panic!() };
    record.decision.to = 9;
    let (giant, _) = entries(&"x".repeat(800_000), 1);
    let (other, _) = entries("others", 1);
    let one = DecisionRecorder::start(connect(&etcd.url(), quick()).await, waiting()).unwrap();
    one.record(first.clone());
    assert!(one.flush(PATIENCE));
    let log = connect(&etcd.url(), quick()).await;
    let counts = log.counts();
    let two = DecisionRecorder::start(log, waiting()).unwrap();
    two.record([second[0].clone(), giant[0].clone(), other[0].clone()]);
    assert!(two.flush(PATIENCE), "{:?}", two.stats());
    assert_eq!((counts.conflicts(), counts.too_large(), counts.repeated()), (1, 1, 0));
    let (text, _) = etcd.ctl(&["get", "--print-value-only", &keys_of(&first)[0]]);
    assert_eq!(text.trim_end(), DecisionLine::encode(&first[0]).unwrap().text());
    assert_eq!(etcd.keys().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_kept_for_good_has_a_lease() {
    let etcd = Etcd::start();
    let mut options = quick();
    options.keep = Some(Duration::from_secs(3600));
    let recorder = DecisionRecorder::start(connect(&etcd.url(), options).await, waiting()).unwrap();
    let (all, _) = entries("workers", 2);
    recorder.record(all[..2].to_vec());
    assert!(recorder.flush(PATIENCE));
    recorder.record(all[2..].to_vec());
    assert!(recorder.flush(PATIENCE));
    let (leases, _) = etcd.ctl(&["lease", "list"]);
    let ids: Vec<_> = leases.lines().skip(1).filter(|line| !line.is_empty()).collect();
    assert_eq!(ids.len(), 1, "{leases}");
    let (lease, _) = etcd.ctl(&["lease", "timetolive", ids[0], "--keys"]);
    assert!(lease.contains("granted with TTL(3600s)"), "{lease}");
    assert!(lease.contains(&keys_of(&all)[3]), "{lease}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_and_a_runtime_that_would_stop_are_said() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let mut options = quick();
    options.deadline = Duration::from_millis(300);
    let mut log = connect(&nobody, options).await;
    let error = log.last_state("workers").await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("etcd"), "{error}");
    let (all, _) = entries("workers", 1);
    let error = log.append(&[DecisionLine::encode(&all[0]).unwrap()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("give it to a DecisionRecorder"), "{error}");
    let error = EtcdDecisionLog::connect(&["no url"], quick()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}
