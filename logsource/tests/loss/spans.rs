//! When there was a reader that could see, and when there was one at all.
//!
//! Every limit of the verdict is one of such time, not of the clock's: on a machine that has no
//! turn to give, or while nobody lives, no time passes.

use crate::ledger::{Event, Record};
use crate::model::Ms;
use crate::verdict::Life;

/// A reader says something every 50 ms. Of a longer silence so much was its own time at most: for the
/// rest it had no turn.
const TURN: Ms = 60;

/// From when to when, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spans(Vec<(Ms, Ms)>);

impl Spans {
    /// When a reader ran.
    pub(crate) fn alive(lives: &[Life], records: &[Record]) -> Self {
        let mut spans = Vec::new();
        for (run, life) in lives.iter().enumerate() {
            let of_run = records.iter().filter(|record| record.run as usize == run);
            let mut times: Vec<Ms> = of_run.map(|record| record.at).collect();
            times.sort_unstable();
            let Some(mut last) = times.first().copied() else { continue };
            for at in times.into_iter().chain([life.until]) {
                if at > last {
                    spans.push((last.max(at.saturating_sub(TURN)), at));
                }
                last = last.max(at);
            }
        }
        Self(spans)
    }

    /// When a reader ran and nobody held it up.
    pub(crate) fn able(lives: &[Life], records: &[Record], blind: &[(Ms, Ms)]) -> Self {
        let mut spans = Self::alive(lives, records);
        for (run, life) in lives.iter().enumerate() {
            let of_run = records.iter().filter(|record| record.run as usize == run);
            // Until it follows it is not there.
            let mut held = Some(0);
            for record in of_run {
                match record.event {
                    Event::Ready | Event::Resumed => {
                        if let Some(from) = held.take() {
                            spans.remove(life.from.max(from), record.at);
                        }
                    }
                    Event::Stalled => held = Some(record.at),
                    _ => {}
                }
            }
            if let Some(from) = held {
                spans.remove(life.from.max(from), life.until);
            }
        }
        for (from, until) in blind {
            spans.remove(*from, *until);
        }
        spans
    }

    pub(crate) fn remove(&mut self, from: Ms, until: Ms) {
        let cut = |(a, b): (Ms, Ms)| [(a, b.min(from)), (a.max(until), b)];
        let spans = std::mem::take(&mut self.0);
        self.0 = spans.into_iter().flat_map(cut).filter(|(a, b)| a < b).collect();
    }

    /// How long between two times, all in all.
    pub(crate) fn between(&self, from: Ms, until: Ms) -> Ms {
        let overlap = |(a, b): &(Ms, Ms)| (*b).min(until).saturating_sub((*a).max(from));
        self.0[self.first_after(from)..].iter().take_while(|(a, _)| *a < until).map(overlap).sum()
    }

    /// The time until which so much has passed.
    pub(crate) fn after(&self, from: Ms, mut left: Ms) -> Ms {
        for (a, b) in &self.0[self.first_after(from)..] {
            let a = (*a).max(from);
            if b - a >= left {
                return a + left;
            }
            left -= b - a;
        }
        Ms::MAX
    }

    fn first_after(&self, from: Ms) -> usize {
        self.0.partition_point(|(_, b)| *b <= from)
    }
}
