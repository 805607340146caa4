//! `birl route check`: mistakes, what has no effect, and what is odd.

use birl_router::lint::{self, LintCode};
use birl_router::{Notice, Position};
use serde::Serialize;

use super::load::{self, Loaded};
use crate::cli::{RouteCheck, Shown};
use crate::failure::Failure;
use crate::rules::{Answers, counted};

/// What there is to say of one file.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mistake: Option<String>,
    notices: Vec<Notice>,
    lints: Vec<Placed>,
}

/// A lint with its place in the file.
#[derive(Debug, Serialize)]
struct Placed {
    #[serde(flatten)]
    lint: lint::Lint,
    #[serde(flatten)]
    position: Option<Position>,
}

pub(super) fn check(args: &RouteCheck) -> Result<(), Failure> {
    let mut out = Answers::new(Some(args.output));
    let (mut reports, mut mistakes, mut warnings) = (Vec::new(), 0, 0);
    for path in &args.paths {
        let file = path.display().to_string();
        match load::load(path) {
            Ok(loaded) => {
                let report = report(file, &loaded);
                warnings += report.lints.len();
                if args.output == Shown::Text {
                    tell(&report, &loaded, &mut out)?;
                }
                reports.push(report);
            }
            Err(failure) => {
                mistakes += 1;
                let mistake = failure.to_string();
                if args.output == Shown::Text {
                    out.line(&mistake)?;
                }
                let mistake = Some(mistake);
                reports.push(Report { file, mistake, notices: Vec::new(), lints: Vec::new() });
            }
        }
    }
    if args.output == Shown::Json {
        out.line(&serde_json::to_string(&reports).map_err(Failure::own)?)?;
    }
    match (mistakes, warnings) {
        (1.., _) => Err(Failure::input(format!("{} with mistakes", counted(mistakes, "file")))),
        (0, 1..) if args.deny_warnings => {
            Err(Failure::input(format!("{} about the routes", counted(warnings, "warning"))))
        }
        _ => Ok(()),
    }
}

fn report(file: String, loaded: &Loaded) -> Report {
    let lints = lint::check(&loaded.config).into_iter();
    let lints = lints.map(|lint| Placed { position: loaded.position(&lint.place), lint });
    Report { file, mistake: None, notices: loaded.notices.clone(), lints: lints.collect() }
}

fn tell(report: &Report, loaded: &Loaded, out: &mut Answers) -> Result<(), Failure> {
    let at = |position: Option<Position>, place: &str| match position {
        Some(at) => format!("{}:{}:{} ({place})", report.file, at.line, at.column),
        None => format!("{} ({place})", report.file),
    };
    for notice in &report.notices {
        let place = at(Some(notice.position), &notice.place);
        out.line(&format_args!(
            "notice: {}\n --> {place}\n  = help: {}\n",
            notice.message, notice.remedy
        ))?;
    }
    for Placed { lint, position } in &report.lints {
        let (code, place): (LintCode, _) = (lint.code, at(*position, &lint.place));
        out.line(&format_args!(
            "warning[{code}]: {}\n --> {place}\n  = help: {}\n",
            lint.message, lint.remedy
        ))?;
    }
    let mut parts = vec![
        counted(routes(&loaded.config.route), "route"),
        counted(loaded.config.receivers.len(), "receiver"),
        "no mistakes".to_owned(),
    ];
    for (many, what) in [(report.lints.len(), "warning"), (report.notices.len(), "notice")] {
        if many > 0 {
            parts.push(counted(many, what));
        }
    }
    out.line(&format_args!("{}: {}", report.file, parts.join(", ")))
}

fn routes(route: &birl_router::RouteConfig) -> usize {
    1 + route.routes.iter().map(routes).sum::<usize>()
}
