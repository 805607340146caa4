//! `statsd`: lines of StatsD over the loopback interface, through the listener into windows, beside a bare `recvmmsg` of
//! the same packets. Both are told for each second that the receiving thread ran.

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use birl_benches::figure::{Figure, Target};
use birl_scaler::statsd::{Counts, Listener, Statistic, Statsd, StatsdSignal, Watch};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};
use rustix::time::{ClockId, clock_gettime};

use crate::ROUNDS;

/// How many pods report.
const PODS: usize = 50;
/// The longest packet of clients that fill packets: what fits an Ethernet frame.
const FRAME: usize = 1432;
/// How many packets a round of ours sends, at least.
const PACKETS: usize = 100_000;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let lines: Vec<String> = (0..PODS).flat_map(report).collect();
    let single: Vec<_> = lines.iter().map(|line| line.clone().into_bytes()).collect();
    let mut filled = vec![String::new()];
    for line in &lines {
        match filled.last_mut() {
            Some(last) if last.len() + line.len() < FRAME => {
                last.push_str(line);
                last.push('\n');
            }
            _ => filled.push(format!("{line}\n")),
        }
    }
    let filled: Vec<_> = filled.into_iter().map(String::into_bytes).collect();
    let figure = |name, packets: &[Vec<u8>], count: usize, least| -> anyhow::Result<Figure> {
        let of_packet = lines.len() as f64 / packets.len() as f64;
        let rounds: anyhow::Result<Vec<_>> =
            (0..ROUNDS).map(|_| Ok((ours(packets, count)?, bare(packets)? * of_packet))).collect();
        let reference = "bare recvmmsg of the same packets";
        Ok(Figure::of_rounds(name, "line/s", reference, Target::RatioAtLeast(least), &rounds?))
    };
    Ok(vec![
        figure("statsd", &single, PACKETS, 0.3)?,
        // Here the kernel does once what the listener does for every line.
        figure("statsd (full packets)", &filled, PACKETS / 10, 0.1)?,
    ])
}

/// What a pod says of itself, one line of which nobody wants to know.
fn report(pod: usize) -> Vec<String> {
    let tags = format!("#env:production,pod:api-7f9c5d-{pod}");
    vec![
        format!("shop.orders:1|c|{tags}"),
        format!("shop.orders:3|c|@0.5|{tags}"),
        format!("shop.checkout:{}.{pod}|ms|{tags}", 20 + pod * 7 % 90),
        format!("shop.waiting:{}|g|{tags}", pod * 3 % 40),
        format!("shop.cache.hits:{pod}|c|{tags},cache:carts"),
    ]
}

/// Lines for each second that the listener's thread ran, while packets come as fast as one thread sends them.
fn ours(packets: &[Vec<u8>], count: usize) -> anyhow::Result<f64> {
    let statsd = Statsd::default();
    let watch = |name, statistic| statsd.signal(Watch::new(name, name, statistic).instance("pod"));
    let _signals: [StatsdSignal; 3] = [
        watch("shop.orders", Statistic::Rate)?,
        watch("shop.checkout", Statistic::P99)?,
        watch("shop.waiting", Statistic::Value)?,
    ];
    let listener = Listener::builder().udp("127.0.0.1:0").start(&statsd)?;
    let to = listener.udp().first().context("no address")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    let mut sent = 0;
    for packet in packets.iter().cycle().take(count) {
        socket.send(packet)?;
        sent += 1;
    }
    // What was dropped is told with what was not.
    let arrived = |counts: Counts| counts.packets + counts.dropped;
    let begun = Instant::now();
    while arrived(statsd.counts()) < sent {
        ensure!(begun.elapsed() < Duration::from_secs(20), "lost count: {:?}", statsd.counts());
        std::thread::sleep(Duration::from_millis(5));
        if arrived(statsd.counts()) < sent {
            socket.send(b"")?;
            sent += 1;
        }
    }
    let ran = listener_ran()?;
    let counts = statsd.counts();
    ensure!(counts.refused_total() == 0, "{counts:?}");
    Ok((counts.taken + counts.unwatched) as f64 / ran.as_secs_f64())
}

/// How long the listener's thread ran.
fn listener_ran() -> anyhow::Result<Duration> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim_end() == "birl-statsd" {
            let text = std::fs::read_to_string(task.join("schedstat"))?;
            let nanos = text.split_whitespace().next().context("an empty schedstat")?;
            return Ok(Duration::from_nanos(nanos.parse()?));
        }
    }
    anyhow::bail!("no thread birl-statsd")
}

/// Packets for each second that the thread ran: in full batches, with nothing else to do, headers made once.
fn bare(packets: &[Vec<u8>]) -> anyhow::Result<f64> {
    const AT_ONCE: usize = 64;
    const LONGEST: usize = 8192;
    const BUFFER: usize = 4 << 20;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
    }
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.connect(socket.local_addr()?)?;
    let mut room = vec![0; AT_ONCE * LONGEST];
    let mut headers = MultiHeaders::<()>::preallocate(AT_ONCE, None);
    let (mut received, mut took) = (0_usize, Duration::ZERO);
    let mut packets = packets.iter().cycle();
    while received < 50_000 {
        for packet in packets.by_ref().take(1024) {
            sender.send(packet)?;
        }
        let begun = thread_time();
        loop {
            let mut rooms = room.chunks_exact_mut(LONGEST);
            let mut rooms: [[IoSliceMut<'_>; 1]; AT_ONCE] =
                std::array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
            let flags = MsgFlags::MSG_DONTWAIT;
            match recvmmsg(socket.as_raw_fd(), &mut headers, &mut rooms, flags, None) {
                Ok(batch) => received += batch.count(),
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        took += thread_time().saturating_sub(begun);
    }
    Ok(received as f64 / took.as_secs_f64())
}

fn thread_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}
