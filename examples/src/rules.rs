//! `birl rules`: rule files without the loop around them.

use std::fmt::Display;
use std::io::{BufRead as _, BufWriter, IsTerminal as _, StdoutLock, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_rules_dsl::reload::RuleFiles;
use birl_rules_dsl::{
    Engine, EngineConfig, Event, FieldPath, JSON_SCHEMA, JsonLine, Record, RuleSet, Scratch, Value,
};
use serde::Serialize;

use crate::cli::{Events, Rules, Shown};
use crate::failure::Failure;

pub(crate) fn rules(args: &Rules) -> Result<(), Failure> {
    match args {
        Rules::Check { paths, output, deny_warnings } => check(paths, *output, *deny_warnings),
        Rules::Schema => Answers::new(Some(Shown::Text)).text(JSON_SCHEMA),
        Rules::Fmt { paths, check } => crate::fmt::fmt(paths, *check),
        Rules::Eval { events } => eval(events),
        Rules::Explain { events, rule } => explain(events, rule.as_deref()),
    }
}

fn check(paths: &[PathBuf], output: Shown, deny_warnings: bool) -> Result<(), Failure> {
    let mut out = Answers::new(Some(output));
    // A folder that is empty is more likely another one than was meant.
    if RuleFiles::read(paths).is_ok_and(|files| files.is_empty()) {
        let paths = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let message = format!("there are no rule files in {}", paths.join(", "));
        let help = "they end in .yaml, .yml or .json";
        return Err(Failure::input(format!("{message}\n  = help: {help}")));
    }
    let wrong = match RuleFiles::open(paths) {
        Ok(files) => {
            let rules = files.current();
            let warnings = rules.warnings();
            match output {
                Shown::Json => out.line(&serde_json::to_string(warnings).map_err(Failure::own)?)?,
                Shown::Text => {
                    warnings.iter().try_for_each(|one| out.line(one))?;
                    let odd = match warnings.len() {
                        0 => String::new(),
                        many => format!(", {}", counted(many, "warning")),
                    };
                    out.line(&format!("{}, no mistakes{odd}", counted(rules.len(), "rule")))?;
                }
            }
            if deny_warnings && !warnings.is_empty() {
                let count = counted(warnings.len(), "warning");
                return Err(Failure::input(format!("{count} about the rules")));
            }
            return Ok(());
        }
        Err(wrong) => wrong,
    };
    // What cannot be read at all is told as any other failure is.
    let Some(diagnostics) = wrong.diagnostics() else { return Err(Failure::input(wrong)) };
    match output {
        Shown::Json => out.line(&serde_json::to_string(diagnostics).map_err(Failure::own)?)?,
        Shown::Text => diagnostics.iter().try_for_each(|one| out.line(one))?,
    }
    Err(Failure::input(format!("{} in the rules", counted(diagnostics.len(), "mistake"))))
}

pub(crate) fn counted(many: usize, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}

fn eval(args: &Events) -> Result<(), Failure> {
    let rules = open(&args.paths)?;
    // Old events fire as well: nothing is done about it here.
    let mut config = EngineConfig::default();
    config.max_event_age = None;
    let mut engine = Engine::new(Arc::clone(&rules), config);
    let (mut out, mut scratch) = (Answers::new(args.output), Scratch::new());
    each_event(args, |event, _| {
        let hits = rules.matches([event], &mut scratch);
        let fired = engine.advance(hits, event.time);
        fired.iter().try_for_each(|firing| out.answer(firing, &firing.explain))
    })?;
    for (name, stats) in &engine.stats().rules {
        if let Some(why) = &stats.last_error {
            let events = counted(usize::try_from(stats.errors).unwrap_or(usize::MAX), "event");
            let told = format!("rule {name} could not judge {events}, the last one because {why}");
            writeln!(std::io::stderr(), "{told}").ok();
        }
    }
    Ok(())
}

fn explain(args: &Events, rule: Option<&str>) -> Result<(), Failure> {
    let rules = open(&args.paths)?;
    let names: Vec<Arc<str>> = rules.rules().map(|rule| Arc::clone(&rule.name)).collect();
    if let Some(rule) = rule
        && !names.iter().any(|name| **name == *rule)
    {
        let help = crate::config::suggest(rule, &names);
        return Err(Failure::input(format!("no rule is called `{rule}`\n  = help: {help}")));
    }
    let mut out = Answers::new(args.output);
    each_event(args, |event, line| {
        let asked = names.iter().filter(|name| rule.is_none_or(|rule| **name == rule.into()));
        let mut explained = asked.filter_map(|name| rules.explain(name, event.record));
        if out.shown == Shown::Text {
            out.line(&format_args!("{}", line.trim_end()))?;
        }
        explained.try_for_each(|why| out.answer(&why, &why))
    })
}

fn open(paths: &[PathBuf]) -> Result<Arc<RuleSet>, Failure> {
    Ok(RuleFiles::open(paths).map_err(Failure::input)?.current())
}

/// Every line of standard input that is a JSON object; one that is none is an error with its number.
fn each_event(
    args: &Events,
    mut each: impl for<'t> FnMut(Event<'t, JsonLine<'t>>, &'t str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let path = FieldPath::new(&args.timestamp);
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let number = number + 1;
        let line = line.map_err(|error| {
            Failure::input(format!("line {number} of standard input cannot be read: {error}"))
        })?;
        if line.trim().is_empty() {
            continue;
        }
        serde_json::from_str::<serde::de::IgnoredAny>(&line)
            .map_err(|error| error.to_string())
            .and_then(|_| match line.trim_start().starts_with('{') {
                true => Ok(()),
                false => Err("expected an object in braces".to_owned()),
            })
            .map_err(|error| {
                Failure::input(format!(
                    "line {number} of standard input is no JSON object: {error}\n  \
                     = help: `birl tail WHAT --output json` turns logs into such lines"
                ))
            })?;
        let record = JsonLine::new(&line);
        let time = match record.get(&path) {
            #[expect(
                clippy::disallowed_methods,
                reason = "a shell: an event without a time is new"
            )]
            None => SystemTime::now(),
            Some(value) => time(&value).ok_or_else(|| {
                Failure::input(format!(
                    "line {number} of standard input: `{path}` is no time: {value}\n  \
                     = help: write it as in RFC 3339, with a zone, or as a number of seconds since \
                     1970 (or thousandths of them); `--timestamp` names another field"
                ))
            })?,
        };
        each(Event::new(&record, time), &line)?;
    }
    Ok(())
}

/// Seconds since 1970 beyond this, in the year 5138, are thousandths of seconds.
const MILLISECONDS: f64 = 1e11;

fn time(value: &Value<'_>) -> Option<SystemTime> {
    if let Value::Str(text) = value {
        return text.parse::<jiff::Timestamp>().ok().map(SystemTime::from);
    }
    let number = value.as_f64()?;
    let seconds = if number.abs() >= MILLISECONDS { number / 1e3 } else { number };
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// Standard output, for people or for programs.
pub(crate) struct Answers {
    shown: Shown,
    out: BufWriter<StdoutLock<'static>>,
}

impl Answers {
    pub(crate) fn new(shown: Option<Shown>) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let shown = shown.unwrap_or(if is_terminal { Shown::Text } else { Shown::Json });
        Self { shown, out: BufWriter::new(std::io::stdout().lock()) }
    }

    /// One answer: as data, or in words.
    pub(crate) fn answer(
        &mut self,
        data: &impl Serialize,
        words: &impl Display,
    ) -> Result<(), Failure> {
        match self.shown {
            Shown::Json => {
                let text = serde_json::to_string(data).map_err(Failure::own)?;
                self.line(&text)
            }
            Shown::Text => self.line(words),
        }
    }

    pub(crate) fn line(&mut self, line: &(impl Display + ?Sized)) -> Result<(), Failure> {
        self.text(&format_args!("{line}\n"))
    }

    /// What brings its own line breaks.
    pub(crate) fn text(&mut self, text: &(impl Display + ?Sized)) -> Result<(), Failure> {
        let written = write!(self.out, "{text}").and_then(|()| self.out.flush());
        match written {
            // Nobody reads any more, as in `birl rules eval … | head`.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => {
                Err(Failure::running(format!("cannot write to standard output: {error}")))
            }
            Ok(()) => Ok(()),
        }
    }
}
