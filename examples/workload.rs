//! The world outside the loop: a small HTTP service, a load that grows and falls, a webhook receiver.
//!
//! `closed_loop` includes this file as a module and starts itself anew as `worker`; on its own it is
//! a workload to point `birl run` at:
//!
//! ```text
//! cargo run --release --example workload -- worker --port 8080 --log /tmp/shop.log --instance a
//! cargo run --release --example workload -- load   --port 8080 --profile 5:8,20:45,10:6
//! ```
//!
//! Workers of one service share one port (`SO_REUSEPORT`: the kernel spreads new connections over
//! them) and one log file, to which each appends whole JSON lines.
// As a module of `closed_loop` not every item is used, and an example has no readers of its docs.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, clippy::allow_attributes_without_reason)]

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// What one request costs: a worker serves one at a time, so it does 25 a second and no more.
const SERVICE_TIME: Duration = Duration::from_millis(40);
/// Requests that wait in a worker; one more is answered 503 at once.
const QUEUE: usize = 512;

#[tokio::main]
pub async fn main() -> ExitCode {
    match take_over().await {
        Some(code) => code,
        None => {
            eprintln!("usage: workload worker --port P --log FILE --instance NAME");
            eprintln!("       workload load --port P --profile SECONDS:RPS,SECONDS:RPS,…");
            ExitCode::from(2)
        }
    }
}

/// Runs as a worker or as a load when the command line says so; `None` when it does not.
pub async fn take_over() -> Option<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (mode, rest) = args.split_first()?;
    let options: HashMap<&str, &str> =
        rest.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let port = options.get("--port").and_then(|port| port.parse().ok());
    let done = match (mode.as_str(), port) {
        ("worker", Some(port)) => {
            worker(port, options.get("--log")?, options.get("--instance")?).await
        }
        ("load", Some(port)) => {
            load(port, parse_profile(options.get("--profile")?)?).await;
            Ok(())
        }
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("workload: {mode}: {error}");
            ExitCode::FAILURE
        }
    })
}

/// Serves until SIGTERM, then finishes what waits and leaves.
async fn worker(port: u16, log: &str, instance: &str) -> io::Result<()> {
    // A demo that is interrupted leaves nobody behind.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    let log = Arc::new(Log { file: open_log(log)?, instance: instance.to_owned() });
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let listener = shared_listener(port)?;
    let (queue, waiting) = mpsc::channel::<(TcpStream, Instant)>(QUEUE);
    let busy = Arc::new(AtomicU64::new(0));
    let serving = tokio::spawn(serve(waiting, Arc::clone(&log), Arc::clone(&busy)));
    let status = tokio::spawn(status(Arc::clone(&log), busy));
    log.line("info", "worker ready", "");
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = terminate.recv() => break,
        };
        if let Err(refused) = queue.try_send((stream, Instant::now())) {
            let (mut stream, _) = refused.into_inner();
            log.line("error", "request", r#","path":"/checkout","status":503,"latency_ms":0"#);
            stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await.ok();
        }
    }
    drop((queue, listener));
    serving.await?;
    status.abort();
    log.line("info", "worker drained", "");
    Ok(())
}

/// One request after the other: the queue in front of it is where latency comes from.
async fn serve(
    mut waiting: mpsc::Receiver<(TcpStream, Instant)>,
    log: Arc<Log>,
    busy: Arc<AtomicU64>,
) {
    while let Some((mut stream, accepted)) = waiting.recv().await {
        let begun = Instant::now();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await; // one that says nothing costs as much as any
        tokio::time::sleep(SERVICE_TIME).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").await.ok();
        busy.fetch_add(begun.elapsed().as_micros() as u64, Relaxed);
        let latency = accepted.elapsed().as_millis();
        log.line(
            "info",
            "request",
            &format!(r#","path":"/checkout","status":200,"latency_ms":{latency}"#),
        );
    }
}

/// Says once in 500 ms how busy this worker was, in percent.
async fn status(log: Arc<Log>, busy: Arc<AtomicU64>) {
    let (mut since, mut before) = (Instant::now(), 0);
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let total = busy.load(Relaxed);
        let utilization = (total - before) as f64 / since.elapsed().as_micros() as f64 * 100.0;
        (since, before) = (Instant::now(), total);
        log.line("info", "status", &format!(r#","utilization":{utilization:.1}"#));
    }
}

/// The service's log: JSON lines, each appended by one `write`, so that workers can share the file.
struct Log {
    file: File,
    instance: String,
}

impl Log {
    fn line(&self, level: &str, message: &str, fields: &str) {
        let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        let line = format!(
            "{{\"ts\":\"{now:.6}\",\"level\":\"{level}\",\"service\":\"shop\",\
             \"instance\":\"{}\",\"msg\":\"{message}\"{fields}}}\n",
            self.instance
        );
        if let Err(error) = (&self.file).write_all(line.as_bytes()) {
            eprintln!("workload: cannot write the log: {error}");
        }
    }
}

fn open_log(path: &str) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn shared_listener(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(1024)
}

/// A new folder for a demo's files.
pub fn folder() -> io::Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("birl-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A port that nobody listens on, for the service to share.
pub fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Seconds, and the requests a second in them: `5:8,20:45` is 8 a second for 5 seconds, then 45 for 20.
pub type Profile = Vec<(f64, u32)>;

fn parse_profile(text: &str) -> Option<Profile> {
    let step = |step: &str| {
        let (seconds, rate) = step.split_once(':')?;
        Some((seconds.parse().ok()?, rate.parse().ok()?))
    };
    text.split(',').map(step).collect()
}

/// An open loop: requests leave at their rate whether or not earlier ones were answered.
pub async fn load(port: u16, profile: Profile) {
    for (seconds, rate) in profile {
        let mut every = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < end {
            every.tick().await;
            tokio::spawn(tokio::time::timeout(Duration::from_secs(10), request(port)));
        }
    }
}

/// One request on a connection of its own; tried once more if a worker that leaves resets it.
async fn request(port: u16) -> io::Result<()> {
    for last in [false, true] {
        let attempt = async {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            stream.write_all(b"GET /checkout HTTP/1.1\r\nhost: shop\r\n\r\n").await?;
            stream.read(&mut [0; 256]).await
        };
        match attempt.await {
            Ok(_) => break,
            Err(error) if last => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Someone who wants to know: takes each webhook, answers 200, hands the body on.
pub async fn webhook_receiver() -> io::Result<(String, mpsc::Receiver<serde_json::Value>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let (told, inbox) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(receive(stream, told.clone()));
        }
    });
    Ok((url, inbox))
}

/// Reads requests of one keep-alive connection; bodies come with a content-length.
async fn receive(mut stream: TcpStream, told: mpsc::Sender<serde_json::Value>) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let (head, length) = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                let length = head.split("content-length:").nth(1).and_then(|rest| {
                    rest.lines().next().and_then(|value| value.trim().parse::<usize>().ok())
                });
                break (end + 4, length.unwrap_or(0));
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        while bytes.len() < head + length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        if let Ok(body) = serde_json::from_slice(&bytes[head..head + length]) {
            told.send(body).await.ok();
        }
        bytes.drain(..head + length);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
}

/// A table of two acts, leg by leg, in milliseconds since the line was written; success when no leg
/// of either is missing.
pub fn print_legs(
    legs: &[&'static str],
    acts: &[BTreeMap<&'static str, SystemTime>; 2],
) -> ExitCode {
    print!("\n{:<12}", "");
    legs.iter().for_each(|leg| print!("{leg:>12}"));
    let mut missing = Vec::new();
    for (name, act) in ["scale out", "scale in"].iter().zip(acts) {
        print!("\n{name:<12}");
        for leg in legs {
            match (act.get(leg), act.get("written")) {
                (Some(at), Some(written)) => {
                    let after = at.duration_since(*written).unwrap_or_default();
                    print!("{:>9.1} ms", after.as_secs_f64() * 1e3);
                }
                (Some(_), None) => print!("{:>12}", "yes"),
                (None, _) => {
                    print!("{:>12}", "-");
                    missing.push(format!("{name}: {leg}"));
                }
            }
        }
    }
    println!("\n");
    if missing.is_empty() {
        println!("every leg verified");
        return ExitCode::SUCCESS;
    }
    println!("missing: {}", missing.join(", "));
    ExitCode::FAILURE
}
