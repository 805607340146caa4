//! `birl decide --replay`: the decisions of a log, made again.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use birl_scaler::{DeciderState, Decision, DecisionEntry, DecisionLogReader, Replay, Replayed};
use serde::Serialize;

use super::load;
use super::show::Time;
use crate::cli::Decide;
use crate::failure::Failure;
use crate::rules::{Answers, counted};

/// What came otherwise.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Told<'a> {
    Differs { recorded: &'a Decision, found: &'a Decision },
    Remembers { entry: &'a DecisionEntry, found: &'a DeciderState },
    Unknown { target: &'a str, decision: String, why: &'static str },
    Damaged { why: String },
    Sum(&'a Sum),
}

#[derive(Default, Serialize)]
struct Sum {
    same: usize,
    differ: usize,
    unknown: usize,
    damaged: usize,
}

pub(super) fn replay(args: &Decide, folder: &Path) -> Result<(), Failure> {
    let mut replay = match &args.scaler {
        Some(path) => Replay::with_spec(load::spec(path, args.name.as_deref())?),
        None => Replay::new(),
    };
    let (mut out, mut sum) = (Answers::new(args.output), Sum::default());
    for entry in DecisionLogReader::open(folder).map_err(Failure::input)? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.kind() == birl_scaler::ErrorKind::Io => {
                return Err(Failure::running(error));
            }
            Err(error) => {
                sum.damaged += 1;
                tell(&mut out, Told::Damaged { why: error.to_string() })?;
                continue;
            }
        };
        let found = replay.step(&entry);
        match (&found, &entry) {
            (Replayed::Same, DecisionEntry::Decided(_)) => sum.same += 1,
            (Replayed::Differs(found), DecisionEntry::Decided(record)) => {
                sum.differ += 1;
                tell(&mut out, Told::Differs { recorded: &record.decision, found })?;
            }
            (Replayed::Remembers(found), _) => {
                sum.differ += 1;
                tell(&mut out, Told::Remembers { entry: &entry, found })?;
            }
            (Replayed::Unknown(why), _) => {
                sum.unknown += 1;
                let (target, decision) = (&**entry.target(), entry.decision_id().to_string());
                tell(&mut out, Told::Unknown { target, decision, why })?;
            }
            _ => {}
        }
    }
    tell(&mut out, Told::Sum(&sum))?;
    match sum.differ + sum.damaged {
        0 => Ok(()),
        _ => Err(Failure::running(format!(
            "{} came otherwise, {} damaged",
            counted(sum.differ, "decision"),
            counted(sum.damaged, "entry").replace("entrys", "entries")
        ))),
    }
}

fn tell(out: &mut Answers, told: Told<'_>) -> Result<(), Failure> {
    out.answer(&told, &told)
}

impl Display for Told<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { recorded, found } => {
                write!(f, "{} differs\n  was: {recorded}\n  is:  {found}", Time(recorded.at))
            }
            Self::Remembers { entry, .. } => write!(
                f,
                "decision {} of {}: {} the same, but what is remembered after it is not",
                entry.decision_id(),
                entry.target(),
                entry.kind()
            ),
            Self::Unknown { target, decision, why } => {
                write!(f, "decision {decision} of {target} cannot be told: {why}")
            }
            Self::Damaged { why } => f.write_str(why),
            Self::Sum(Sum { same, differ, unknown, damaged }) => {
                write!(f, "{same} the same, {differ} otherwise, {unknown} cannot be told, ")?;
                write!(f, "{damaged} damaged")
            }
        }
    }
}
