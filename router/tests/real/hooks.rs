//! The receiving end of many webhooks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value;

use crate::alertmanager::PATIENCE;

/// One message: when it came, on which path, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) at: SystemTime,
    pub(crate) path: String,
    pub(crate) message: Value,
}

/// A server that takes everything and remembers it. It lives as long as the test.
#[derive(Debug)]
pub(crate) struct Hooks {
    pub(crate) address: SocketAddr,
    taken: Arc<Mutex<Vec<Delivery>>>,
}

impl Hooks {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a webhook's port");
        let address = listener.local_addr().expect("its address");
        let taken = Arc::new(Mutex::new(Vec::new()));
        let server = Self { address, taken: Arc::clone(&taken) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = Arc::clone(&taken);
                std::thread::spawn(move || serve(stream, &taken));
            }
        });
        server
    }

    /// What has come so far; it is forgotten.
    pub(crate) fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One connection, until the other end closes it.
fn serve(mut stream: TcpStream, taken: &Mutex<Vec<Delivery>>) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut bytes = Vec::new();
    loop {
        let (path, body) = request(&mut stream, &mut bytes)?;
        let at = SystemTime::now();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
        let message = serde_json::from_slice(&body).expect("JSON");
        taken.lock().unwrap_or_else(PoisonError::into_inner).push(Delivery { at, path, message });
    }
}

/// The next request's path and body. What follows it stays in `bytes`.
fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let lengths = head.lines().filter_map(|line| line.split_once(": "));
            let length = lengths
                .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .find_map(|(_, value)| value.trim().parse::<usize>().ok())
                .expect("a length");
            let all = end + 4 + length;
            if bytes.len() >= all {
                let rest = bytes.split_off(all);
                let body = std::mem::replace(bytes, rest).split_off(end + 4);
                return Some((head.split(' ').nth(1)?.to_owned(), body));
            }
        }
        let mut buffer = [0; 16 * 1024];
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}
