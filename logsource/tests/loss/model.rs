//! What was written, and where its bytes are at any time.
//!
//! A [`Body`] is one content: a file between two cuts of it, or a copy. The model and the disk
//! move together, under one lock, so the model is exact.

use std::collections::{BTreeMap, HashSet};

use crate::line::LineId;

/// Milliseconds since 1970.
pub(crate) type Ms = u64;

/// Which body.
pub(crate) type BodyId = usize;

/// How a body came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Its file was cut to nothing.
    Truncated,
    /// Its last name was removed.
    Removed,
}

#[derive(Debug)]
pub(crate) struct Body {
    /// How it came to be.
    pub(crate) origin: String,
    /// What it is a copy of.
    pub(crate) copy_of: Option<BodyId>,
    pub(crate) ino: u64,
    pub(crate) names: Vec<(Ms, String)>,
    pub(crate) runs: Vec<Run>,
    pub(crate) gone: Option<(Ms, Cause)>,
}

/// Lines of one writer that follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) writer: u32,
    pub(crate) first: u32,
    pub(crate) last: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) bodies: Vec<Body>,
    /// When each line was written; lines of a writer count from 0.
    pub(crate) written: BTreeMap<u32, Vec<Ms>>,
    /// Lines of which one half was cut off. They may come or not.
    pub(crate) torn: HashSet<LineId>,
    /// Those halves, without a line end. They may come, too.
    pub(crate) halves: HashSet<Vec<u8>>,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there.
    There,
    /// It was destroyed.
    Destroyed(Ms, Cause),
}

impl Model {
    pub(crate) fn add(&mut self, origin: String, ino: u64, now: Ms, name: &str) -> BodyId {
        let names = vec![(now, name.to_owned())];
        let (copy_of, runs, gone) = (None, Vec::new(), None);
        self.bodies.push(Body { origin, copy_of, ino, names, runs, gone });
        self.bodies.len() - 1
    }

    /// A copy of a body, as it is now.
    pub(crate) fn copy(&mut self, of: BodyId, how: &str, ino: u64, now: Ms, name: &str) -> BodyId {
        let copy = self.add(format!("{how} of body {of}"), ino, now, name);
        self.bodies[copy].runs = self.bodies[of].runs.clone();
        self.bodies[copy].copy_of = Some(of);
        copy
    }

    pub(crate) fn rename(&mut self, body: BodyId, now: Ms, name: &str) {
        self.bodies[body].names.push((now, name.to_owned()));
    }

    pub(crate) fn end(&mut self, body: BodyId, now: Ms, cause: Cause) {
        self.bodies[body].gone.get_or_insert((now, cause));
    }

    /// A whole line was written.
    pub(crate) fn wrote(&mut self, body: BodyId, id: LineId, now: Ms) {
        self.note(id, now);
        let runs = &mut self.bodies[body].runs;
        match runs.iter_mut().rev().find(|run| run.writer == id.writer) {
            Some(run) if run.last + 1 == id.seq => run.last = id.seq,
            _ => runs.push(Run { writer: id.writer, first: id.seq, last: id.seq }),
        }
    }

    /// A line was written in two halves, and the file was cut between them.
    pub(crate) fn tore(&mut self, id: LineId, halves: [&[u8]; 2], now: Ms) {
        self.note(id, now);
        self.torn.insert(id);
        self.halves.extend(halves.map(|half| half.trim_ascii_end().to_vec()));
    }

    fn note(&mut self, id: LineId, now: Ms) {
        let times = self.written.entry(id.writer).or_default();
        assert_eq!(times.len(), id.seq as usize, "a writer counts its lines");
        times.push(now);
    }

    /// What became of every line that is not torn, by writer and number.
    pub(crate) fn fates(&self) -> BTreeMap<u32, Vec<Option<Fate>>> {
        let blank = |(writer, times): (&u32, &Vec<Ms>)| (*writer, vec![None; times.len()]);
        let mut fates: BTreeMap<u32, Vec<Option<Fate>>> = self.written.iter().map(blank).collect();
        for body in &self.bodies {
            for run in &body.runs {
                let times = &self.written[&run.writer];
                let Some(of_writer) = fates.get_mut(&run.writer) else { continue };
                for seq in run.first as usize..=run.last as usize {
                    let here = match body.gone {
                        None => Fate::There,
                        // What is written to a file without a name is gone at once.
                        Some((at, cause)) => Fate::Destroyed(at.max(times[seq]), cause),
                    };
                    let fate = &mut of_writer[seq];
                    *fate = Some(later(*fate, here));
                }
            }
        }
        fates
    }

    /// The bodies that a line is or was in.
    pub(crate) fn bodies_of(&self, id: LineId) -> impl Iterator<Item = (BodyId, &Body)> {
        let holds =
            move |run: &Run| run.writer == id.writer && (run.first..=run.last).contains(&id.seq);
        self.bodies.iter().enumerate().filter(move |(_, body)| body.runs.iter().any(holds))
    }
}

/// A line is there as long as the last of its copies.
fn later(one: Option<Fate>, other: Fate) -> Fate {
    match (one, other) {
        (None, fate) => fate,
        (Some(Fate::There), _) | (_, Fate::There) => Fate::There,
        (Some(Fate::Destroyed(a, _)), Fate::Destroyed(b, _)) if b >= a => other,
        (Some(fate), _) => fate,
    }
}
