//! `birl decide`: a scaler without the loop around it: what it decides about observations, and why.

mod load;
mod replay;
mod show;

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use birl_scaler::{
    Decider, DeciderState, DecisionEntry, DecisionLine, DecisionLog as _, FileDecisionLog,
    FileLogOptions, Moment, last_state,
};

use crate::cli::Decide;
use crate::failure::Failure;
use crate::rules::Answers;
use show::Answer;

/// An observation is a few hundred samples; a longer line is something else.
const MAX_LINE: u64 = 64 * 1024 * 1024;
/// A state has some kilobytes.
const MAX_STATE: u64 = 16 * 1024 * 1024;

pub(crate) fn decide(args: &Decide) -> Result<(), Failure> {
    if let Some(folder) = &args.replay {
        return replay::replay(args, folder);
    }
    let Some(scaler) = &args.scaler else {
        return Err(Failure::input("no scaler\n  = help: name it: `birl decide scaler.yaml`"));
    };
    let spec = load::spec(scaler, args.name.as_deref())?;
    let target = Arc::clone(&spec.target_ref.name);
    let before = match (&args.state, &args.log) {
        (Some(path), _) => read_state(path)?,
        (None, Some(folder)) => last_state(folder, &target).map_err(Failure::input)?,
        (None, None) => None,
    };
    let mut log = match &args.log {
        Some(folder) => {
            let opened = FileDecisionLog::open(folder, FileLogOptions::default());
            Some(opened.map_err(Failure::input)?)
        }
        None => None,
    };
    let decider = match before {
        Some(state) => Decider::with_state(spec, state),
        None => Decider::new(spec),
    };
    let mut decider = decider.map_err(Failure::input)?;
    let mut out = Answers::new(args.output);
    each_moment(args.observations.as_deref(), |Moment { at, seen, .. }| {
        let decision = decider.decide(&seen, at);
        let mut entries = vec![DecisionEntry::decided(&decider, &seen, &decision)];
        // What is decided here counts as carried out: the next observation shows whether it was.
        if decision.is_change() {
            decider.applied(&decision, Ok(()), at);
            entries.push(DecisionEntry::applied(&decider, &decision, Ok(()), at));
        }
        if let Some(log) = &mut log {
            let lines: Result<Vec<_>, _> = entries.iter().map(DecisionLine::encode).collect();
            let kept = lines.and_then(|lines| log.append(&lines));
            kept.map_err(Failure::running)?;
        }
        if args.changes && !decision.is_change() {
            return Ok(());
        }
        Answer::new(&decision, &seen, args.explain).tell(&mut out)
    })?;
    match &args.state {
        Some(path) => write_state(path, decider.state()),
        None => Ok(()),
    }
}

fn each_moment(
    path: Option<&Path>,
    each: impl FnMut(Moment) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match path.filter(|path| *path != Path::new("-")) {
        None if std::io::stdin().is_terminal() => Err(Failure::input(
            "no observations\n  = help: name a file of them, or pipe them in, a JSON object a line",
        )),
        None => read_moments("standard input", std::io::stdin().lock(), each),
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path)
                .map_err(|error| Failure::input(format!("cannot read {name}: {error}")))?;
            read_moments(&name, BufReader::new(file), each)
        }
    }
}

/// Every line, which must be an observation; one that is none is an error with its place.
fn read_moments(
    name: &str,
    mut reader: impl BufRead,
    mut each: impl FnMut(Moment) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut line = String::new();
    for number in 1u64.. {
        line.clear();
        let read = std::io::Read::take(&mut reader, MAX_LINE).read_line(&mut line);
        let read = read.map_err(|error| {
            Failure::input(format!("line {number} of {name} cannot be read: {error}"))
        })?;
        if read == 0 {
            break;
        }
        if !line.trim().is_empty() {
            each(moment(name, number, &line)?)?;
        }
    }
    Ok(())
}

fn moment(name: &str, number: u64, line: &str) -> Result<Moment, Failure> {
    let error = match serde_json::from_str::<Moment>(line) {
        Ok(moment) => return Ok(moment),
        Err(error) => error,
    };
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
    // Whoever pipes live readings in has no time in them.
    if message == "missing field `at`"
        && let Ok(serde_json::Value::Object(mut object)) = serde_json::from_str(line)
        && let Some(seen) = object.remove("seen").filter(|_| object.is_empty())
        && let Ok(seen) = serde_json::from_value(seen)
    {
        return Ok(Moment::new(seen, now()));
    }
    let column = error.column();
    Err(Failure::input(format!(
        "no observation: {message}\n --> {name}:{number}:{column}\n  = help: write `{{\"at\": \"2026-11-23T08:00:00Z\", \
         \"seen\": {{\"current\": {{\"desired\": 3, \"ready\": 3}}, \"signals\": [{{\"name\": \"cpu\", \"at\": \
         \"2026-11-23T08:00:00Z\", \"samples\": [{{\"instance\": \"a\", \"value\": 92}}]}}]}}}}`, on one line"
    )))
}

#[expect(clippy::disallowed_methods, reason = "a shell: an observation without a time is new")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// What was remembered, if anything was.
fn read_state(path: &Path) -> Result<Option<DeciderState>, Failure> {
    let place = path.display();
    let cannot =
        |error: std::io::Error| Failure::input(format!("cannot read the state {place}: {error}"));
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(cannot)?,
    };
    let mut text = String::new();
    let file = std::io::Read::take(file, MAX_STATE);
    BufReader::new(file)
        .lines()
        .try_for_each(|line| line.map(|line| text.push_str(&line)))
        .map_err(cannot)?;
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Failure::input(format!(
            "{place} is no state of a decider: {error}\n  = help: name a file that `birl decide --state` wrote, or one \
             that is not there yet"
        ))
    })
}

/// Replaces the file whole, so that no half of one is ever read.
fn write_state(path: &Path, state: &DeciderState) -> Result<(), Failure> {
    let text = serde_json::to_string(state).map_err(Failure::own)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    std::fs::write(&fresh, text + "\n").and_then(|()| std::fs::rename(&fresh, path)).map_err(
        |error| Failure::running(format!("cannot write the state {}: {error}", path.display())),
    )
}
