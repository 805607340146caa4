//! The shell: sockets, and a thread that hands what they bring to a [`Statsd`].

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{setsockopt, sockopt};

use super::batch::{Batch, Datagrams};
use super::source::Statsd;
use crate::error::{Error, ErrorKind};
use crate::source::{Fault, FaultKind};

/// What the kernel is asked to hold while nobody reads: at half a million short packets a second,
/// some ten milliseconds.
const KERNEL_BUFFER: usize = 4 << 20;

/// The longest packet unless told otherwise: what clients that fill packets fill them to.
const MAX_PACKET: usize = 8192;

/// The longest that a UDP packet can be.
const PACKET_CEILING: usize = 65_535;

/// Where packets come over UDP faster than they are read, so long is waited for more of them: being
/// woken costs more than a packet. A Unix socket holds few, and its senders would wait, too.
const PAUSE: Duration = Duration::from_micros(200);

/// After so many batches from one socket the next one is looked at.
const TURN: usize = 16;

/// Receives StatsD over UDP and Unix datagram sockets, in a thread of its own, until it is dropped.
///
/// ```no_run
/// use birl_scaler::statsd::{Listener, Statistic, Statsd, Watch};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let statsd = Statsd::default();
/// let orders = statsd.signal(Watch::new("orders", "shop.orders", Statistic::Rate))?;
/// let _listener = Listener::builder()
///     .udp("127.0.0.1:8125")
///     .unix("/run/birl/statsd.sock")
///     .start(&statsd)?;
/// # drop(orders); Ok(()) }
/// ```
pub struct Listener {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    udp: Vec<SocketAddr>,
    unix: Vec<PathBuf>,
    /// Device and inode of each, by which it is known whether they are still its own.
    made: Vec<Option<(u64, u64)>>,
}

/// Where a [`Listener`] listens.
#[derive(Debug, Clone)]
pub struct ListenerBuilder {
    udp: Vec<String>,
    unix: Vec<PathBuf>,
    max_packet: usize,
}

impl Listener {
    /// A listener without any socket yet.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder { udp: Vec::new(), unix: Vec::new(), max_packet: MAX_PACKET }
    }

    /// The UDP addresses that it listens on, with the ports that the system chose.
    pub fn udp(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// The Unix sockets that it listens on.
    pub fn unix(&self) -> &[PathBuf] {
        &self.unix
    }
}

impl ListenerBuilder {
    /// Listens on a UDP address, `HOST:PORT` or `[HOST]:PORT`; of a name with several addresses, on
    /// all of them; port 0 lets the system choose. Whoever can reach it can feed the scaler: the
    /// loopback interface is the place for it.
    #[must_use]
    pub fn udp(mut self, address: impl Into<String>) -> Self {
        self.udp.push(address.into());
        self
    }

    /// Listens on a Unix datagram socket at this path. A socket that nobody listens on any more is
    /// replaced; the one made is removed at the end, unless somebody has replaced it. Who may write to it is a matter of its folder
    /// and of the process's umask. A sender whose packets are not taken in time waits, or is told.
    #[must_use]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix.push(path.into());
        self
    }

    /// Sets the longest packet that is read whole, from 512 bytes to 65,535; 8192 by default.
    #[must_use]
    pub fn max_packet(mut self, bytes: usize) -> Self {
        self.max_packet = bytes.clamp(512, PACKET_CEILING);
        self
    }

    /// Binds the sockets and starts the thread. Without any socket named it listens on UDP
    /// `127.0.0.1:8125`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] where a socket cannot be bound or the thread cannot be started, with the
    /// address and the remedy.
    pub fn start(mut self, statsd: &Statsd) -> Result<Listener, Error> {
        if self.udp.is_empty() && self.unix.is_empty() {
            self.udp.push("127.0.0.1:8125".to_owned());
        }
        let mut sockets = Vec::new();
        let mut listener = Listener {
            stop: Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(failed)?),
            thread: None,
            udp: Vec::new(),
            unix: Vec::new(),
            made: Vec::new(),
        };
        for address in &self.udp {
            let unbound = |error: io::Error| {
                Error::new(
                    ErrorKind::Io,
                    format!(
                        "statsd: cannot listen on UDP {address}: is it an address of this machine, \
                         and does another program listen there?"
                    ),
                )
                .with_source(error)
            };
            for address in address.to_socket_addrs().map_err(unbound)? {
                let socket = UdpSocket::bind(address).map_err(unbound)?;
                listener.udp.push(socket.local_addr().map_err(unbound)?);
                sockets.push(Socket::Udp(socket));
            }
        }
        for path in &self.unix {
            let socket = bind_unix(path).map_err(|error| {
                Error::new(
                    ErrorKind::Io,
                    format!(
                        "statsd: cannot listen on {}: does its folder exist, may this user write \
                         there, and does another program listen?",
                        path.display()
                    ),
                )
                .with_source(error)
            })?;
            listener.unix.push(path.clone());
            listener.made.push(identity(path));
            sockets.push(Socket::Unix(socket));
        }
        for socket in &sockets {
            // More where the system lets us, what it lets us otherwise.
            if setsockopt(socket, sockopt::RcvBufForce, &KERNEL_BUFFER).is_err() {
                let _smaller = setsockopt(socket, sockopt::RcvBuf, &KERNEL_BUFFER);
            }
            let _uncounted = setsockopt(socket, sockopt::RxqOvfl, &1);
        }
        statsd.set_ended(None);
        let (statsd, stop) = (statsd.clone(), Arc::clone(&listener.stop));
        let max_packet = self.max_packet;
        let thread = std::thread::Builder::new().name("birl-statsd".to_owned());
        let run = move || {
            if let Err(error) = receive(&sockets, &stop, max_packet, &statsd) {
                let detail = format!("the StatsD listener ended: {error}; start it again");
                tracing::error!(target: "birl_scaler", "{detail}");
                statsd.set_ended(Some(Fault::new(FaultKind::Unreachable, detail)));
            }
        };
        listener.thread = Some(thread.spawn(run).map_err(failed)?);
        Ok(listener)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _woken = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
        for (path, made) in self.unix.iter().zip(&self.made) {
            if identity(path) != *made {
                continue;
            }
            let _gone = std::fs::remove_file(path);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { udp, unix, .. } = self;
        f.debug_struct("Listener").field("udp", udp).field("unix", unix).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

fn failed(error: impl Into<io::Error>) -> Error {
    Error::new(ErrorKind::Io, "statsd: cannot start the listener").with_source(error.into())
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|file| (file.dev(), file.ino()))
}

/// Replaces a socket that nobody listens on, and nothing else.
fn bind_unix(path: &Path) -> io::Result<UnixDatagram> {
    match UnixDatagram::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = path.symlink_metadata()?.file_type().is_socket();
            let nobody = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            if !is_socket || !UnixDatagram::unbound()?.connect(path).is_err_and(nobody) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixDatagram::bind(path)
        }
        bound => bound,
    }
}

/// Receives until it is told to stop.
#[expect(clippy::disallowed_methods, reason = "a shell reads the clock, once a batch")]
fn receive(
    sockets: &[Socket],
    stop: &EventFd,
    max_packet: usize,
    statsd: &Statsd,
) -> io::Result<()> {
    let mut batch = Batch::new(max_packet);
    // What the kernel has dropped so far, a number for each socket.
    let mut dropped = vec![0; sockets.len()];
    loop {
        let mut ready: Vec<_> = std::iter::once(stop.as_fd())
            .chain(sockets.iter().map(AsFd::as_fd))
            .map(|socket| PollFd::new(socket, PollFlags::POLLIN))
            .collect();
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut ready = ready.iter().map(|fd| fd.any().unwrap_or(true));
        if ready.next() == Some(true) {
            return Ok(());
        }
        let (mut over_udp, mut over_unix) = (0, 0);
        for ((socket, dropped), _) in
            sockets.iter().zip(&mut dropped).zip(ready).filter(|(_, ready)| *ready)
        {
            for _ in 0..TURN {
                let all = batch.receive(socket.as_fd(), |datagrams: &mut Datagrams<'_>| {
                    statsd.give_way();
                    let mut aggregator = statsd.writer();
                    let now = SystemTime::now();
                    let brought = match socket {
                        Socket::Udp(_) => &mut over_udp,
                        Socket::Unix(_) => &mut over_unix,
                    };
                    for datagram in datagrams {
                        *brought += 1;
                        if let Some(so_far) = datagram.dropped {
                            let more = so_far.wrapping_sub(*dropped);
                            *dropped = so_far;
                            aggregator.dropped(u64::from(more));
                        }
                        if datagram.is_cut {
                            aggregator.truncated(datagram.bytes, now);
                        } else {
                            aggregator.packet(datagram.bytes, now);
                        }
                    }
                })?;
                if all {
                    break;
                }
            }
        }
        if over_udp > 1 && over_unix == 0 {
            std::thread::sleep(PAUSE);
        }
    }
}
