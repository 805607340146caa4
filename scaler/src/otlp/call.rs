//! Spans, reduced to what is needed of them, and how they are read from a request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::marks::RetryMarks;
use super::wire::{Fields, Malformed};

/// One call that a client made, as its span tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCall<'a> {
    /// Tells this span from others; zero if it cannot be told.
    pub id: u64,
    /// Who called: the resource's `service.name`, empty if it has none.
    pub service: &'a str,
    /// Who was called: the first of `service.peer.name`, `peer.service`, `server.address` and
    /// `net.peer.name` that is there, else empty.
    pub peer: &'a str,
    /// What was called for: the first of `url.template`, `http.route` and `rpc.method` that is
    /// there, else the span's name.
    pub route: &'a str,
    /// Whether it is the repetition of a call; see [`RetryMarks`].
    pub retry: bool,
    /// Whether it failed: the span's status is an error.
    pub error: bool,
    /// When it ended.
    pub end: SystemTime,
    /// How long it took; `None` if it ended before it began, as with a clock that was set.
    pub duration: Option<Duration>,
}

impl<'a> ClientCall<'a> {
    /// A call without a name that went well and ended at `end`.
    pub fn new(end: SystemTime) -> Self {
        let (service, peer, route) = ("", "", "");
        Self { id: 0, service, peer, route, retry: false, error: false, end, duration: None }
    }

    /// Sets who called and who was called.
    #[must_use]
    pub fn between(mut self, service: &'a str, peer: &'a str) -> Self {
        (self.service, self.peer) = (service, peer);
        self
    }

    /// Sets what was called for.
    #[must_use]
    pub fn route(mut self, route: &'a str) -> Self {
        self.route = route;
        self
    }

    /// Sets whether it is the repetition of a call.
    #[must_use]
    pub fn retry(mut self, retry: bool) -> Self {
        self.retry = retry;
        self
    }

    /// Sets whether it failed.
    #[must_use]
    pub fn error(mut self, error: bool) -> Self {
        self.error = error;
        self
    }

    /// Sets how long it took.
    #[must_use]
    pub fn took(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// Sets what tells its span from others.
    #[must_use]
    pub fn id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }
}

/// What a request holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Batch<'a> {
    /// The spans of clients that have ended.
    pub(super) calls: Vec<ClientCall<'a>>,
    /// Spans of every kind.
    pub(super) spans: u64,
    /// Those of clients that say no time of their end.
    pub(super) unfinished: u64,
    /// Those that were not looked at, because there were too many before them.
    pub(super) over: u64,
}

/// `SPAN_KIND_CLIENT`.
const CLIENT: u32 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u32 = 2;
/// The most specific first.
const PEERS: [&str; 4] = ["service.peer.name", "peer.service", "server.address", "net.peer.name"];
const ROUTES: [&str; 3] = ["url.template", "http.route", "rpc.method"];

/// Reads an `ExportTraceServiceRequest`. Nothing is copied, and of the spans past the first `most`
/// only the count is taken.
pub(super) fn read<'a>(
    request: &'a [u8],
    marks: &RetryMarks,
    most: u64,
) -> Result<Batch<'a>, Malformed> {
    let mut batch = Batch::default();
    for field in Fields::of(request) {
        if let (1, value) = field? {
            read_resource_spans(value.bytes()?, marks, most, &mut batch)?;
        }
    }
    Ok(batch)
}

fn read_resource_spans<'a>(
    resource_spans: &'a [u8],
    marks: &RetryMarks,
    most: u64,
    batch: &mut Batch<'a>,
) -> Result<(), Malformed> {
    // The resource may be written after its spans.
    let mut service = "";
    for field in Fields::of(resource_spans) {
        if let (1, value) = field? {
            service_name(value.bytes()?, &mut service)?;
        }
    }
    for field in Fields::of(resource_spans) {
        let (2, scope_spans) = field? else { continue };
        for field in Fields::of(scope_spans.bytes()?) {
            let (2, span) = field? else { continue };
            let span = span.bytes()?;
            batch.spans += 1;
            if batch.spans > most {
                batch.over += 1;
            } else {
                read_span(span, service, marks, batch)?;
            }
        }
    }
    Ok(())
}

fn service_name<'a>(resource: &'a [u8], service: &mut &'a str) -> Result<(), Malformed> {
    for field in Fields::of(resource) {
        let (1, attribute) = field? else { continue };
        let attribute = attribute.bytes()?;
        if key(attribute)? == "service.name" {
            *service = text(attribute)?;
        }
    }
    Ok(())
}

fn read_span<'a>(
    span: &'a [u8],
    service: &'a str,
    marks: &RetryMarks,
    batch: &mut Batch<'a>,
) -> Result<(), Malformed> {
    let (mut kind, mut start, mut end, mut id, mut links, mut status) = (0, 0, 0, 0, false, 0);
    let mut call = ClientCall::new(UNIX_EPOCH).between(service, "");
    let (mut peer, mut route) = (Best::of(&PEERS), Best::of(&ROUTES));
    for field in Fields::of(span) {
        let (number, value) = field?;
        match number {
            1 | 2 => id ^= fold(value.bytes()?, number),
            5 => call.route = value.text()?,
            6 => kind = value.varint()? as u32,
            7 => start = value.fixed64()?,
            8 => end = value.fixed64()?,
            9 => {
                let attribute = value.bytes()?;
                let key = key(attribute)?;
                call.retry |= marks.mark(key, attribute)?;
                peer.offer(key, attribute)?;
                route.offer(key, attribute)?;
            }
            13 => links = true,
            15 => status_code(value.bytes()?, &mut status)?,
            _ => {}
        }
    }
    if kind != CLIENT {
        return Ok(());
    }
    if end == 0 {
        batch.unfinished += 1;
        return Ok(());
    }
    call.id = id;
    call.error = status == ERROR;
    call.peer = peer.value;
    if !route.value.is_empty() {
        call.route = route.value;
    }
    call.retry |= links && marks.has_links();
    call.end = UNIX_EPOCH + Duration::from_nanos(end);
    call.duration = end.checked_sub(start).filter(|_| start > 0).map(Duration::from_nanos);
    batch.calls.push(call);
    Ok(())
}

/// The value of the first key of a list that is there.
struct Best<'a> {
    keys: &'static [&'static str],
    value: &'a str,
}

impl<'a> Best<'a> {
    fn of(keys: &'static [&'static str]) -> Self {
        Self { keys, value: "" }
    }

    fn offer(&mut self, key: &str, attribute: &'a [u8]) -> Result<(), Malformed> {
        let Some(rank) = self.keys.iter().position(|known| *known == key) else { return Ok(()) };
        let value = text(attribute)?;
        if !value.is_empty() {
            self.value = value;
            self.keys = self.keys.get(..rank).unwrap_or_default();
        }
        Ok(())
    }
}

/// The key of a `KeyValue`.
fn key(attribute: &[u8]) -> Result<&str, Malformed> {
    let mut key = "";
    for field in Fields::of(attribute) {
        if let (1, value) = field? {
            key = value.text()?;
        }
    }
    Ok(key)
}

/// The text in a `KeyValue`, empty if its value is something else.
fn text(attribute: &[u8]) -> Result<&str, Malformed> {
    let mut text = "";
    for field in Fields::of(attribute) {
        let (2, any) = field? else { continue };
        for field in Fields::of(any.bytes()?) {
            text = match field? {
                (1, value) => value.text()?,
                (2..=7, _) => "",
                _ => text,
            };
        }
    }
    Ok(text)
}

fn status_code(status: &[u8], code: &mut u32) -> Result<(), Malformed> {
    for field in Fields::of(status) {
        if let (3, value) = field? {
            // As protobuf reads what is larger than an enumeration.
            *code = value.varint()? as u32;
        }
    }
    Ok(())
}

/// Eight bytes at a time; of two identifiers that are swapped, another one comes out.
fn fold(bytes: &[u8], turn: u32) -> u64 {
    let word = |chunk: &[u8]| chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    bytes.chunks(8).fold(0u64, |id, chunk| id.rotate_left(7) ^ word(chunk)).rotate_left(turn * 11)
}
