//! What the reader writes down, one record at a time, so that a SIGKILL loses nothing but the last.
//!
//! Text, one record a line: `letter run time … .`. A record without its final dot was cut off by a
//! kill and does not count; what it would have said has not happened yet, since the reader writes
//! before it acts.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::clock::now;
use crate::line::LineId;
use crate::model::Ms;

/// One thing that happened in the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// It follows.
    Ready,
    /// A batch was handed out: its number in this run, its file's name, and its lines.
    Batch(u64, String, Vec<Found>),
    /// A batch was acknowledged, a moment ago.
    Acked(u64),
    /// The consumer stops taking,
    Stalled,
    /// and takes again.
    Resumed,
    /// An error came from the stream.
    Error(String),
    /// It runs, and has nothing to say.
    Alive,
    /// What was counted so far in this run: names and values, those that are not 0.
    Counted(Vec<(String, u64)>),
    /// It was asked to stop, and the stream is dropped.
    Stopped,
}

/// A line that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Line(LineId),
    /// The first line of every file, where a scenario asks for it.
    Header,
    /// Not a line that anybody wrote, at least not whole.
    Odd(Vec<u8>),
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) run: u32,
    pub(crate) at: Ms,
    pub(crate) event: Event,
}

/// The writing end. Records of one process do not mix, for each is one `write`.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    run: u32,
}

impl Ledger {
    pub(crate) fn open(path: &Path, run: u32) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        // The last record of the run before may have been cut off.
        file.write_all(b"\n")?;
        Ok(Self { file, run })
    }

    pub(crate) fn note(&self, event: &Event) -> io::Result<()> {
        let (run, at) = (self.run, now());
        let text = match event {
            Event::Ready => format!("R {run} {at} .\n"),
            Event::Batch(batch, name, lines) => {
                format!("D {run} {at} {batch} {name} {}.\n", encode(lines))
            }
            Event::Acked(batch) => format!("A {run} {at} {batch} .\n"),
            Event::Stalled => format!("S {run} {at} .\n"),
            Event::Resumed => format!("C {run} {at} .\n"),
            Event::Error(text) => format!("E {run} {at} {} .\n", text.replace('\n', " ")),
            Event::Alive => format!("B {run} {at} .\n"),
            Event::Counted(counts) => {
                let counts = counts.iter().map(|(name, value)| format!("{name}={value} "));
                format!("M {run} {at} {}.\n", counts.collect::<String>())
            }
            Event::Stopped => format!("Z {run} {at} .\n"),
        };
        (&self.file).write_all(text.as_bytes())
    }
}

/// Lines that follow each other are one word: `3:100-180`.
fn encode(lines: &[Found]) -> String {
    let mut text = String::new();
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let done = match line {
            Found::Header => write!(text, "H "),
            Found::Odd(bytes) => write!(text, "X{} ", hex(bytes)),
            Found::Line(LineId { writer, seq }) => {
                let mut last = *seq;
                while let Some(Found::Line(next)) = lines.peek()
                    && (next.writer, next.seq) == (*writer, last + 1)
                {
                    last += 1;
                    lines.next();
                }
                write!(text, "{writer}:{seq}-{last} ")
            }
        };
        done.expect("a string takes everything");
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reading end: gives the records that came since the last look.
#[derive(Debug)]
pub(crate) struct LedgerReader {
    path: PathBuf,
    at: u64,
}

impl LedgerReader {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), at: 0 }
    }

    pub(crate) fn read(&mut self) -> Vec<Record> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        let mut text = Vec::new();
        let read = file.seek(SeekFrom::Start(self.at)).and_then(|_| file.read_to_end(&mut text));
        read.expect("cannot read the ledger");
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        self.at += text.len() as u64;
        let text = String::from_utf8_lossy(&text);
        text.lines().filter_map(decode).collect()
    }
}

fn decode(line: &str) -> Option<Record> {
    let line = line.strip_suffix('.')?;
    let mut words = line.split_ascii_whitespace();
    let letter = words.next()?;
    let (run, at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let event = match letter {
        "R" => Event::Ready,
        "D" => {
            let (batch, name) = (words.next()?.parse().ok()?, words.next()?.to_owned());
            let mut lines = Vec::new();
            for word in words {
                decode_lines(word, &mut lines)?;
            }
            Event::Batch(batch, name, lines)
        }
        "A" => Event::Acked(words.next()?.parse().ok()?),
        "S" => Event::Stalled,
        "C" => Event::Resumed,
        "E" => Event::Error(words.collect::<Vec<_>>().join(" ")),
        "B" => Event::Alive,
        "M" => {
            let counts = words.filter_map(|word| {
                let (name, value) = word.split_once('=')?;
                Some((name.to_owned(), value.parse().ok()?))
            });
            Event::Counted(counts.collect())
        }
        "Z" => Event::Stopped,
        _ => return None,
    };
    Some(Record { run, at, event })
}

fn decode_lines(word: &str, into: &mut Vec<Found>) -> Option<()> {
    if word == "H" {
        into.push(Found::Header);
    } else if let Some(hex) = word.strip_prefix('X') {
        let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        into.push(Found::Odd((0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?));
    } else {
        let (writer, seqs) = word.split_once(':')?;
        let (first, last) = seqs.split_once('-')?;
        let (writer, first, last): (u32, u32, u32) =
            (writer.parse().ok()?, first.parse().ok()?, last.parse().ok()?);
        into.extend((first..=last).map(|seq| Found::Line(LineId { writer, seq })));
    }
    Some(())
}
