//! Lines as programs write them, each made from its number alone.

use std::io::{self, Write};

/// Writes the line of that number, its end included.
pub type Line = fn(u64, &mut Vec<u8>) -> io::Result<()>;

/// Plain text of 100 to 300 bytes.
pub fn text(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let words = "the quick brown fox jumps over the lazy dog while nobody looks ".as_bytes();
    let length = 100 + (number as usize).wrapping_mul(7919) % 200;
    let begin = into.len();
    write!(into, "{} {} request {number} ", time(number), level(number))?;
    while into.len() - begin < length {
        let left = length - (into.len() - begin);
        into.extend_from_slice(&words[..left.min(words.len())]);
    }
    into.push(b'\n');
    Ok(())
}

/// A JSON object of about 250 bytes, as structured loggers write it.
pub fn json(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let (time, level, service) = (time(number), level(number), number % 17);
    let (status, trace) = (status(number), scrambled(number));
    writeln!(
        into,
        "{{\"timestamp\":\"{time}\",\"level\":\"{level}\",\"service\":\"shop-{service}\",\
         \"method\":\"GET\",\"path\":\"/api/v1/items/{number}\",\"status\":{status},\
         \"latency_ms\":{}.{},\"client\":\"10.1.{}.{}\",\"message\":\"request was handled\",\
         \"trace_id\":\"{trace:016x}{:016x}\"}}",
        number % 900,
        number % 10,
        number % 250,
        number % 241,
        scrambled(trace),
    )
}

/// An access log, field by field.
pub const ACCESS: &str = concat!(
    r#"^(?P<client>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) "#,
    r#"[^"]*" (?P<status>\d+) (?P<size>\d+) "(?P<referrer>[^"]*)""#
);

/// The groups of [`ACCESS`].
pub const ACCESS_FIELDS: [&str; 8] =
    ["client", "user", "time", "method", "path", "status", "size", "referrer"];

/// An access log as nginx and Apache write it by default, about 230 bytes.
pub fn combined(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        into,
        "10.1.{}.{} - user{} [01/Jan/2026:00:{:02}:{:02} +0000] \"GET /api/v1/items/{number} \
         HTTP/1.1\" {} {} \"https://shop.example/list?page={}\" \"Mozilla/5.0 (X11; Linux x86_64) \
         AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36\"",
        number % 250,
        number % 241,
        number % 97,
        number / 60 % 60,
        number % 60,
        status(number),
        scrambled(number) % 100_000,
        number % 50,
        100 + number % 40,
    )
}

/// `key=value` pairs, about 230 bytes.
pub fn logfmt(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        into,
        "ts={} level={} service=shop-{} method=GET path=/api/v1/items/{number} status={} \
         latency_ms={}.{} client=10.1.{}.{} msg=\"request was handled\" trace_id={:016x}{:016x}",
        time(number),
        level(number),
        number % 17,
        status(number),
        number % 900,
        number % 10,
        number % 250,
        number % 241,
        scrambled(number),
        scrambled(scrambled(number)),
    )
}

/// Fields between tabs, about 180 bytes.
pub fn delimited(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        into,
        "{}\t{}\tshop-{}\tGET\t/api/v1/items/{number}\t{}\t{}.{}\t10.1.{}.{}\t\
         request was handled\t{:016x}{:016x}",
        time(number),
        level(number),
        number % 17,
        status(number),
        number % 900,
        number % 10,
        number % 250,
        number % 241,
        scrambled(number),
        scrambled(scrambled(number)),
    )
}

/// RFC 5424, with structured data, about 230 bytes.
pub fn syslog_5424(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        into,
        "<{}>1 {} host-{} shop {} ID{} [request@32473 method=\"GET\" status=\"{}\" \
         path=\"/api/v1/items/{number}\"][trace@32473 id=\"{:016x}\"] request was handled by {} \
         in {} ms",
        16 * 8 + number % 8,
        time(number),
        number % 40,
        1000 + number % 900,
        number % 100,
        status(number),
        scrambled(number),
        level(number),
        number % 900,
    )
}

/// RFC 3164, about 130 bytes.
pub fn syslog_3164(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let (minute, second) = (number / 60 % 60, number % 60);
    writeln!(
        into,
        "<{}>Jan  1 00:{minute:02}:{second:02} host-{} shop[{}]: request {number} was handled with \
         {} in {} ms for 10.1.{}.{}",
        16 * 8 + number % 8,
        number % 40,
        1000 + number % 900,
        status(number),
        number % 900,
        number % 250,
        number % 241,
    )
}

/// Pairs of LTSV, about 210 bytes.
pub fn ltsv(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        into,
        "time:{}\tlevel:{}\tservice:shop-{}\tmethod:GET\tpath:/api/v1/items/{number}\tstatus:{}\t\
         latency_ms:{}.{}\tclient:10.1.{}.{}\tmessage:request was handled\ttrace_id:{:016x}{:016x}",
        time(number),
        level(number),
        number % 17,
        status(number),
        number % 900,
        number % 10,
        number % 250,
        number % 241,
        scrambled(number),
        scrambled(scrambled(number)),
    )
}

/// A sentence with `key=value` pairs in it, about 200 bytes.
pub fn pairs_in_prose(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        into,
        "{} [{}] shop: a request of {} was handled, path=/api/v1/items/{number} status={} after \
         latency_ms={} of waiting and of work, in all, for trace_id={:016x}{:016x}",
        time(number),
        level(number),
        number % 17,
        status(number),
        number % 900,
        scrambled(number),
        scrambled(scrambled(number)),
    )
}

/// What containerd writes: of four messages three are whole, and one is in three parts.
pub fn cri(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let flag = if goes_on(number) { 'P' } else { 'F' };
    write!(into, "{} stdout {flag} ", time(number))?;
    text(number, into)
}

/// The same as Docker's `json-file` has it.
pub fn docker(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    into.extend_from_slice(b"{\"log\":\"");
    text(number, into)?;
    // Its end is written in letters, or left out.
    into.pop();
    let end = if goes_on(number) { "" } else { "\\n" };
    writeln!(into, "{end}\",\"stream\":\"stdout\",\"time\":\"{}\"}}", time(number))
}

/// Whether the message of a container is not over with this line.
fn goes_on(number: u64) -> bool {
    matches!(number % 6, 3 | 4)
}

/// A Java program: of ten lines, six are a stack trace.
pub fn stack_traces(number: u64, into: &mut Vec<u8>) -> io::Result<()> {
    match number % 10 {
        4 => writeln!(into, "java.lang.IllegalStateException: request {number} was not handled"),
        line @ 5..=9 => writeln!(
            into,
            "\tat com.example.shop.handlers.Handler{line}.handle(Handler{line}.java:{})",
            number % 900
        ),
        _ => text(number, into),
    }
}

fn time(number: u64) -> String {
    let (minute, second) = (number / 60 % 60, number % 60);
    format!("2026-01-01T00:{minute:02}:{second:02}.{:03}Z", number % 1000)
}

fn level(number: u64) -> &'static str {
    match number % 20 {
        0 => "error",
        1..=3 => "warn",
        4..=15 => "info",
        _ => "debug",
    }
}

fn status(number: u64) -> u16 {
    match number % 20 {
        0 => 503,
        1 | 2 => 404,
        _ => 200,
    }
}

/// Digits without a pattern.
fn scrambled(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
