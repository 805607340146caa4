//! `birl route`: a route tree without the alerts around it: who hears of what, by which way, and why.

mod alerts;
mod answer;
mod check;
mod load;
mod show;
mod svg;
mod test;

use std::io::{IsTerminal as _, Read as _};
use std::time::SystemTime;

use crate::cli::{Ask, Route, RouteCommand};
use crate::failure::Failure;
use crate::rules::Answers;
use answer::Asked;

pub(crate) fn route(args: &Route) -> Result<(), Failure> {
    match &args.command {
        None => ask(&args.ask),
        Some(RouteCommand::Test(args)) => test::test(args),
        Some(RouteCommand::Show(args)) => show::show(args),
        Some(RouteCommand::Check(args)) => check::check(args),
    }
}

fn ask(args: &Ask) -> Result<(), Failure> {
    let Some(config) = &args.config else {
        return Err(Failure::input("no configuration\n  = help: name it: `-c alertmanager.yml`"));
    };
    let loaded = load::load(config)?;
    let at = args.at.map_or_else(now, SystemTime::from);
    let asked = Asked::new(&loaded.config, at)?;
    let mut out = Answers::new(args.output);
    if !args.labels.is_empty() {
        return asked.about(&alerts::labels(&args.labels)?).tell(&mut out);
    }
    if std::io::stdin().is_terminal() {
        return Err(Failure::input(
            "no labels\n  = help: write them as in `team=api severity=page`, or pipe alerts in, a JSON object a line",
        ));
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(alerts::MAX_BYTES).read_to_string(&mut text);
    read.map_err(|error| Failure::input(format!("standard input cannot be read: {error}")))?;
    alerts::each(&text, |labels| asked.about(&labels).tell(&mut out))
}

#[expect(clippy::disallowed_methods, reason = "a shell: time intervals are asked about now")]
fn now() -> SystemTime {
    SystemTime::now()
}
