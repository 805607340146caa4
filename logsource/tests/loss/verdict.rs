//! What should have come, and what came.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use crate::counted::{self, Loss};
use crate::ledger::{Event, Found, Record};
use crate::line::{self, LineId};
use crate::model::{BodyId, Cause, Fate, Model, Ms};
use crate::scenario::Scenario;
use crate::spans::Spans;

/// Bytes that were there for so long, while a reader was running that was held up by nobody, could
/// have been read: if they were not, that is a loss, not bad luck.
const READABLE: Ms = 1000;

/// An acknowledgement is written within so long: in 100 ms, and as long again for the disk, on a machine that
/// has much else to do. The soak tells the longest that was seen.
const COMMIT: Ms = 250;

/// More failures than this are not told one by one.
const TOLD: usize = 12;

/// One life of the reader.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) from: Ms,
    pub(crate) until: Ms,
    pub(crate) killed: bool,
}

/// Everything that is known once a scenario has been played.
pub(crate) struct Case<'a> {
    pub(crate) scenario: Scenario,
    pub(crate) models: Vec<&'a Model>,
    pub(crate) cuts: u64,
    pub(crate) lives: Vec<Life>,
    pub(crate) blind: Vec<(Ms, Ms)>,
    pub(crate) records: Vec<Record>,
}

/// What is to be said about a case.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) kills: u64,
    pub(crate) cuts: u64,
    pub(crate) written: u64,
    pub(crate) delivered: u64,
    pub(crate) duplicates: u64,
    /// Lines that were destroyed before anybody could read them.
    pub(crate) destroyed: u64,
    /// Halves of lines that were cut by a truncate.
    pub(crate) halves: u64,
    /// The longest that it took until a line was handed out,
    pub(crate) read_in: Ms,
    /// that a line came again after its acknowledgement and a kill,
    pub(crate) kept_in: Ms,
    /// and that it took until a loss was counted; all of it time in which the reader was able to.
    pub(crate) counted_in: Ms,
    /// What the reader counted, over all its lives.
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) failures: Vec<String>,
}

/// When a reader ran, and when nobody held it up besides.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) alive: Spans,
    pub(crate) able: Spans,
}

/// One time that a line was handed out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) run: u32,
    pub(crate) at: Ms,
    /// When it and everything before it in its file was acknowledged.
    settled: Ms,
}

impl Case<'_> {
    pub(crate) fn judge(&self) -> Verdict {
        let mut verdict = Verdict { cuts: self.cuts, ..Verdict::default() };
        verdict.kills = self.lives.iter().filter(|life| life.killed).count() as u64;
        let times = Times {
            alive: Spans::alive(&self.lives, &self.records),
            able: Spans::able(&self.lives, &self.records, &self.blind),
        };
        let deliveries = self.deliveries(&mut verdict);
        self.judge_lines(&deliveries, &times, &mut verdict);
        if self.scenario.ordered {
            self.judge_order(&mut verdict);
        }
        verdict.counts = self.counts();
        let told = verdict.failures.len();
        if told > TOLD {
            verdict.failures.truncate(TOLD);
            verdict.failures.push(format!("… and {} more", told - TOLD));
        }
        verdict
    }

    /// Every line that came, and when. What is no line is judged here.
    fn deliveries(&self, verdict: &mut Verdict) -> HashMap<LineId, Vec<Delivery>> {
        let settled = self.settled();
        let mut found: HashMap<LineId, Vec<Delivery>> = HashMap::new();
        for record in &self.records {
            let at = record.at;
            match &record.event {
                Event::Batch(number, name, lines) => {
                    let settled = settled[&(record.run, *number)];
                    for line in lines {
                        match line {
                            Found::Header => {}
                            Found::Line(id) => {
                                let delivery = Delivery { run: record.run, at, settled };
                                found.entry(*id).or_default().push(delivery);
                            }
                            Found::Odd(bytes) if self.is_half(bytes, at) => verdict.halves += 1,
                            Found::Odd(bytes) => verdict.failures.push(format!(
                                "BROKEN: run {}, at {}, from {name}: nobody wrote {}",
                                record.run,
                                self.time(at),
                                shown(bytes)
                            )),
                        }
                    }
                }
                Event::Error(text) => {
                    let when = self.time(at);
                    verdict.failures.push(format!("ERROR: run {}, at {when}: {text}", record.run));
                }
                _ => {}
            }
        }
        found
    }

    /// When each batch was settled: acknowledged, and everything before it in its file as well.
    fn settled(&self) -> HashMap<(u32, u64), Ms> {
        let mut acked = HashMap::new();
        for record in &self.records {
            if let Event::Acked(number) = record.event {
                acked.insert((record.run, number), record.at);
            }
        }
        let mut before: HashMap<(u32, &str), Ms> = HashMap::new();
        let mut settled = HashMap::new();
        for record in &self.records {
            if let Event::Batch(number, name, _) = &record.event {
                let key = (record.run, *number);
                let last = before.entry((record.run, name)).or_default();
                *last = (*last).max(acked.get(&key).copied().unwrap_or(Ms::MAX));
                settled.insert(key, *last);
            }
        }
        settled
    }

    /// Whether it is what a cut left of a line: of one that was written in two halves, or that was
    /// read while it was written. The beginning may be too short to tell which one that was: then it
    /// is one that was cut off before.
    fn is_half(&self, bytes: &[u8], at: Ms) -> bool {
        let bytes = bytes.trim_ascii_end();
        // It may come long after the cut: from a copy, say, by a reader that is far behind.
        let is_before = |cut: Ms| cut <= at + 100;
        let is_cut_off = |writer: u32, fates: &[Option<Fate>]| {
            fates.iter().enumerate().any(|(seq, fate)| {
                let id = LineId { writer, seq: u32::try_from(seq).unwrap_or(u32::MAX) };
                matches!(fate, Some(Fate::Destroyed(cut, Cause::Truncated)) if is_before(*cut))
                    && line::begins(id, bytes)
            })
        };
        self.models.iter().any(|model| {
            model.halves.contains(bytes)
                || model.fates().iter().any(|(writer, fates)| is_cut_off(*writer, fates))
        })
    }

    fn judge_lines(
        &self,
        deliveries: &HashMap<LineId, Vec<Delivery>>,
        times: &Times,
        verdict: &mut Verdict,
    ) {
        let mut known = 0;
        let mut losses: Vec<Loss<'_>> = Vec::new();
        for model in &self.models {
            let mut lost: BTreeMap<BodyId, Vec<(LineId, Ms)>> = BTreeMap::new();
            let mut wrong = Vec::new();
            for (writer, fates) in model.fates() {
                for (seq, fate) in fates.into_iter().enumerate() {
                    let id = LineId { writer, seq: u32::try_from(seq).unwrap_or(u32::MAX) };
                    let written = model.written[&writer][seq];
                    verdict.written += 1;
                    let came = deliveries.get(&id).map_or(&[][..], Vec::as_slice);
                    known += came.len();
                    verdict.delivered += u64::from(!came.is_empty());
                    verdict.duplicates += came.len().saturating_sub(1) as u64;
                    let is_lost = match fate {
                        Some(Fate::There) => Some("LOST: its bytes are still there"),
                        Some(Fate::Destroyed(at, _)) if self.was_readable(written, at, times) => {
                            Some("LOST: its bytes were there for long enough")
                        }
                        _ => None,
                    };
                    let is_missing = came.is_empty();
                    if let Some(first) = came.first() {
                        let took = self.longest_look(written, first.at, times);
                        verdict.read_in = verdict.read_in.max(took);
                    }
                    let repeat = self.illegal_repeat(came, times, &mut verdict.kept_in);
                    wrong.extend(repeat.map(|what| (what, id)));
                    wrong.extend(is_lost.filter(|_| is_missing).map(|what| (what, id)));
                    if let (Some(Fate::Destroyed(at, _)), true, None) = (fate, is_missing, is_lost)
                    {
                        verdict.destroyed += 1;
                        let last = model.bodies_of(id).max_by_key(|(_, body)| body.gone);
                        let last = last.map_or(0, |(last, _)| last);
                        lost.entry(last).or_default().push((id, at));
                    }
                }
            }
            // Lines that follow each other fare alike: the first tells.
            let follows = |a: &(&str, LineId), b: &(&str, LineId)| {
                (a.0, a.1.writer, a.1.seq + 1) == (b.0, b.1.writer, b.1.seq)
            };
            for alike in wrong.chunk_by(follows) {
                let [(what, id), ..] = alike else { continue };
                let came = deliveries.get(id).map_or(&[][..], Vec::as_slice);
                let what = format!("{what}, {} lines", alike.len());
                verdict.failures.push(self.history(&what, *id, model, came));
            }
            losses.extend(lost.into_iter().map(|(body, lines)| Loss { model, body, lines }));
        }
        let all: usize = deliveries.values().map(Vec::len).sum();
        if all > known {
            verdict.failures.push(format!("FORGED: {} lines that nobody wrote", all - known));
        }
        counted::judge(self, losses, deliveries, times, verdict);
    }

    /// Why a line that came more than once should not have.
    fn illegal_repeat(
        &self,
        came: &[Delivery],
        times: &Times,
        kept_in: &mut Ms,
    ) -> Option<&'static str> {
        for (index, again) in came.iter().enumerate() {
            for first in &came[..index] {
                if first.run == again.run {
                    return Some("DUPLICATE: twice in one run");
                }
                let life = &self.lives[first.run as usize];
                if !life.killed && first.settled <= life.until {
                    return Some("DUPLICATE: it was acknowledged before an orderly end");
                }
                let took = times.alive.between(first.settled.min(life.until), life.until);
                *kept_in = (*kept_in).max(took);
                if life.killed && took > COMMIT {
                    return Some("DUPLICATE: it was acknowledged long before the kill");
                }
            }
        }
        None
    }

    /// Whether one of the lives had time enough.
    fn was_readable(&self, from: Ms, until: Ms, times: &Times) -> bool {
        self.longest_look(from, until, times) >= READABLE
    }

    /// The longest time that one of the lives had.
    fn longest_look(&self, from: Ms, until: Ms, times: &Times) -> Ms {
        let in_life = |life: &Life| times.able.between(from.max(life.from), until.min(life.until));
        self.lives.iter().map(in_life).max().unwrap_or(0)
    }

    /// The lines of a writer come in order within a life.
    fn judge_order(&self, verdict: &mut Verdict) {
        let mut last: HashMap<(u32, u32), (u32, Ms)> = HashMap::new();
        for record in &self.records {
            let Event::Batch(_, _, lines) = &record.event else { continue };
            for line in lines {
                let Found::Line(id) = line else { continue };
                let entry = last.entry((record.run, id.writer)).or_insert((0, 0));
                if id.seq < entry.0 {
                    let (run, at) = (record.run, self.time(record.at));
                    let model = self.models.iter().find(|m| m.written.contains_key(&id.writer));
                    let what = format!("ORDER: run {run}, at {at}, after {}", entry.0);
                    let history = model.map(|model| self.history(&what, *id, model, &[]));
                    verdict.failures.extend(history);
                }
                *entry = (id.seq, record.at);
            }
        }
    }

    /// Sums over the lives; what goes up and down is what it was last.
    fn counts(&self) -> BTreeMap<String, u64> {
        let mut last: HashMap<u32, &Vec<(String, u64)>> = HashMap::new();
        for record in &self.records {
            if let Event::Counted(counts) = &record.event {
                last.insert(record.run, counts);
            }
        }
        let mut sums = BTreeMap::new();
        for (name, value) in last.values().copied().flatten() {
            *sums.entry(name.clone()).or_default() += value;
        }
        sums
    }

    /// What happened to a line.
    pub(crate) fn history(
        &self,
        what: &str,
        id: LineId,
        model: &Model,
        came: &[Delivery],
    ) -> String {
        let mut text = format!("{what}: w{} {}", id.writer, id.seq);
        let written = model.written[&id.writer].get(id.seq as usize);
        let written = written.map_or("never".to_owned(), |at| self.time(*at));
        write!(text, "\n      written at {written}").ok();
        for (number, body) in model.bodies_of(id) {
            write!(text, "\n      in body {number} ({}, inode {})", body.origin, body.ino).ok();
            // Long chains have many names: the first and the last few tell enough.
            let skipped = body.names.len().saturating_sub(5);
            for (at, name) in
                body.names.iter().take(1).chain(body.names.iter().skip(skipped.max(1)))
            {
                write!(text, ", {name} from {}", self.time(*at)).ok();
            }
            if let Some((at, cause)) = body.gone {
                write!(text, ", {cause:?} at {}", self.time(at)).ok();
            }
        }
        for delivery in came {
            let settled = match delivery.settled {
                Ms::MAX => "never".to_owned(),
                at => self.time(at),
            };
            let (run, at) = (delivery.run, self.time(delivery.at));
            write!(text, "\n      came in run {run} at {at}, settled {settled}").ok();
        }
        text
    }

    /// The lives of the reader, for who reads a failure.
    pub(crate) fn time(&self, at: Ms) -> String {
        let begun = self.lives.first().map_or(0, |life| life.from);
        format!("{:.3}", (at as f64 - begun as f64) / 1000.0)
    }
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let start: String = text.chars().take(60).collect();
    let end: String = text.chars().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect();
    format!("{start:?} … {end:?} ({} bytes)", bytes.len())
}

/// The lines that are there and have not come yet.
#[derive(Debug)]
pub(crate) struct Missing(BTreeSet<LineId>);

impl Missing {
    pub(crate) fn new<'a>(models: impl Iterator<Item = &'a Model>) -> Self {
        let mut missing = BTreeSet::new();
        for model in models {
            for (writer, fates) in model.fates() {
                let there = fates.iter().enumerate().filter(|(_, f)| **f == Some(Fate::There));
                let seqs = there.filter_map(|(seq, _)| u32::try_from(seq).ok());
                missing.extend(seqs.map(|seq| LineId { writer, seq }));
            }
        }
        Self(missing)
    }

    pub(crate) fn take(&mut self, records: &[Record]) {
        for record in records {
            if let Event::Batch(_, _, lines) = &record.event {
                for line in lines {
                    if let Found::Line(id) = line {
                        self.0.remove(id);
                    }
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
