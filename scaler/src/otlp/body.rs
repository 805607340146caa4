//! A request's bytes, as many at a time as there is room for.

use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;

use flate2::read::GzDecoder;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;

/// A whole message. Its room is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    pub(super) packed: bool,
    _room: Room,
}

/// The bytes before a message in gRPC: whether it is packed, and its length.
const PREFIX: usize = 5;

/// Receives the one message of a gRPC call. Room is taken for all of it as soon as its length is
/// known; the bytes before are one frame.
pub(super) async fn framed(
    mut body: Incoming,
    room: &Arc<Semaphore>,
    most: usize,
) -> Result<Message, Refusal> {
    let (mut bytes, mut room) = (Vec::new(), Room::new(room));
    let mut head: Option<(bool, usize)> = None;
    while let Some(data) = next(&mut body).await? {
        bytes.extend_from_slice(&data);
        if let (None, Some(prefix)) = (head, bytes.first_chunk::<PREFIX>()) {
            let [packed, length @ ..] = *prefix;
            let length = u32::from_be_bytes(length) as usize;
            if length > most {
                return Err(Refusal::TooLarge(most));
            }
            room.hold(length)?;
            bytes.drain(..PREFIX);
            bytes.reserve_exact(length.saturating_sub(bytes.len()));
            head = Some((packed == 1, length));
        }
        if head.is_some_and(|(_, length)| bytes.len() > length) {
            return Err(Refusal::Malformed("there is more than one message".into()));
        }
    }
    match head {
        Some((packed, length)) if bytes.len() == length => {
            Ok(Message { bytes, packed, _room: room })
        }
        _ => Err(Refusal::Malformed("the message is shorter than it says".into())),
    }
}

/// Receives a body that is one message.
pub(super) async fn plain(
    mut body: Incoming,
    packed: bool,
    room: &Arc<Semaphore>,
    most: usize,
) -> Result<Message, Refusal> {
    let (mut bytes, mut room) = (Vec::new(), Room::new(room));
    if let Some(length) = body.size_hint().exact() {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > most {
            return Err(Refusal::TooLarge(most));
        }
        room.hold(length)?;
        bytes.reserve_exact(length);
    }
    while let Some(data) = next(&mut body).await? {
        if bytes.len() + data.len() > most {
            return Err(Refusal::TooLarge(most));
        }
        bytes.extend_from_slice(&data);
        room.hold(bytes.capacity())?;
    }
    Ok(Message { bytes, packed, _room: room })
}

/// Unpacks gzip, up to the most bytes that a message may have.
pub(super) fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut limited = GzDecoder::new(packed).take((most as u64).saturating_add(1));
    if limited.read_to_end(&mut bytes).is_err() {
        return Err(Refusal::Malformed("the gzip is broken".into()));
    }
    if bytes.len() > most { Err(Refusal::TooLarge(most)) } else { Ok(bytes) }
}

async fn next(body: &mut Incoming) -> Result<Option<hyper::body::Bytes>, Refusal> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refusal::Aborted),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// So many bytes of what all requests may have together.
#[derive(Debug)]
struct Room {
    all: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn new(all: &Arc<Semaphore>) -> Self {
        Self { all: Arc::clone(all), held: None }
    }

    /// Holds so many bytes at least. Nothing waits: two that wait for each other's room would do so
    /// for ever.
    fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = bytes.checked_sub(held).filter(|more| *more > 0) else { return Ok(()) };
        let more = u32::try_from(more).map_err(|_| Refusal::InFlight)?;
        let permit = Arc::clone(&self.all).try_acquire_many_owned(more);
        let permit = permit.map_err(|_| Refusal::InFlight)?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        Ok(())
    }
}
