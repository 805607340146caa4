//! `birl route test`: what a file says who hears of what, held against the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use birl_router::yaml::Spanned;
use birl_router::{Labels, RouteVerdict};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Asked};
use super::load;
use crate::cli::{RouteTest, Shown};
use crate::config;
use crate::failure::Failure;
use crate::rules::{Answers, counted};

/// One file of expectations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestFile {
    /// The configuration, from the folder of this file.
    config: Option<PathBuf>,
    tests: Vec<Spanned<Case>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Option<String>,
    labels: BTreeMap<String, String>,
    /// Who hears of it, in order; none at all is an empty list.
    receivers: Vec<String>,
    /// The way to the first of them, or one of the ways.
    endpoint: Option<String>,
    /// What the first of them is told together by.
    group_labels: Option<BTreeMap<String, String>>,
}

/// What there is to say of all files.
#[derive(Debug, Default, Serialize)]
struct Report {
    tests: usize,
    failures: Vec<Failed>,
    coverage: Vec<Coverage>,
}

#[derive(Debug, Serialize)]
struct Failed {
    name: String,
    file: String,
    line: u32,
    /// What was expected and what came instead, a sentence each.
    differences: Vec<String>,
    answer: Answer,
}

/// Which routes of one configuration an alert of a test came by.
#[derive(Debug, Serialize)]
struct Coverage {
    config: String,
    routes: usize,
    reached: usize,
    percent: f64,
    /// The paths and conditions of the others.
    missed: Vec<String>,
}

pub(super) fn test(args: &RouteTest) -> Result<(), Failure> {
    let mut out = Answers::new(Some(args.output));
    // By configuration: several files may test one.
    let mut by_config = BTreeMap::<PathBuf, Vec<(String, TestFile)>>::new();
    for path in &args.files {
        let (name, file) = (path.display().to_string(), read(path)?);
        let folder = path.parent().unwrap_or(Path::new("."));
        let own = file.config.as_ref().map(|config| folder.join(config));
        let Some(config) = args.config.clone().or(own) else {
            return Err(Failure::input(format!(
                "{name} names no configuration\n  = help: add `config: alertmanager.yml`, or give `-c FILE`"
            )));
        };
        by_config.entry(config).or_default().push((name, file));
    }
    let mut report = Report::default();
    for (config, files) in &by_config {
        run(config, files, &mut report, args.output, &mut out)?;
    }
    let short =
        report.coverage.iter().find(|c| args.min_coverage.is_some_and(|min| c.percent < min));
    let short = short.map(|c| {
        format!(
            "{} of the routes of {} are tested, less than {} %",
            shown(c.percent),
            c.config,
            args.min_coverage.unwrap_or_default()
        )
    });
    match args.output {
        Shown::Json => out.line(&serde_json::to_string(&report).map_err(Failure::own)?)?,
        Shown::Text => {
            report.coverage.iter().try_for_each(|coverage| coverage.tell(&mut out))?;
            let failures = match report.failures.len() {
                0 => "all passed".to_owned(),
                many => format!("{many} failed"),
            };
            out.line(&format_args!("{}, {failures}", counted(report.tests, "test")))?;
        }
    }
    match (report.failures.len(), short) {
        (0, None) => Ok(()),
        (0, Some(short)) => Err(Failure::running(short)),
        (many, _) => Err(Failure::running(format!("{} failed", counted(many, "test")))),
    }
}

fn read(path: &Path) -> Result<TestFile, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("cannot read {name}: {error}")))?;
    config::parse_yaml(&name, &text).map_err(Failure::input)
}

fn run(
    config: &Path,
    files: &[(String, TestFile)],
    report: &mut Report,
    shown: Shown,
    out: &mut Answers,
) -> Result<(), Failure> {
    let loaded = load::load(config)?;
    let asked = Asked::new(&loaded.config, super::now())?;
    let mut reached = BTreeSet::new();
    for (file, tests) in files {
        for case in &tests.tests {
            let (line, case) = (case.position.line, &case.value);
            let labels = Labels::from(case.labels.clone());
            let answer = asked.about(&labels);
            reached.extend(
                answer.walk.iter().filter(|step| came_by(&step.verdict)).map(|step| step.route),
            );
            report.tests += 1;
            let differences = case.differences(&answer);
            if differences.is_empty() {
                continue;
            }
            let name = case.name.clone().unwrap_or_else(|| labels.to_string());
            let failed = Failed { name, file: file.clone(), line, differences, answer };
            if shown == Shown::Text {
                failed.tell(out)?;
            }
            report.failures.push(failed);
        }
    }
    let routes = asked.tree.routes();
    let missed = routes
        .iter()
        .enumerate()
        .filter(|(i, _)| u32::try_from(*i).is_ok_and(|number| !reached.contains(&number)));
    let missed: Vec<String> =
        missed.map(|(_, route)| format!("{} {}", route.path(), route.matchers())).collect();
    let reached = routes.len() - missed.len();
    report.coverage.push(Coverage {
        config: config.display().to_string(),
        routes: routes.len(),
        reached,
        percent: 100.0 * reached as f64 / routes.len().max(1) as f64,
        missed,
    });
    Ok(())
}

fn came_by(verdict: &RouteVerdict) -> bool {
    verdict.matched() == Some(true)
}

impl Case {
    fn differences(&self, answer: &Answer) -> Vec<String> {
        let list = |names: &[String]| match names {
            [] => "nobody".to_owned(),
            names => names.join(", "),
        };
        let mut differences = Vec::new();
        if self.receivers != answer.receivers {
            let (expected, got) = (list(&self.receivers), list(&answer.receivers));
            differences.push(format!("expected receivers {expected}, got {got}"));
        }
        let endpoints: Vec<String> = answer
            .told
            .iter()
            .flat_map(|told| told.ways.iter().map(|way| way.endpoint.clone()))
            .collect();
        if let Some(endpoint) = &self.endpoint
            && !endpoints.contains(endpoint)
        {
            let got = if endpoints.is_empty() { "none".to_owned() } else { endpoints.join(", ") };
            differences.push(format!("expected endpoint {endpoint}, got {got}"));
        }
        if let Some(expected) = &self.group_labels {
            let expected = Labels::from(expected.clone());
            let got = answer.told.first().map(|told| told.group_labels.clone()).unwrap_or_default();
            if expected != got {
                differences.push(format!("expected group labels {expected}, got {got}"));
            }
        }
        differences
    }
}

impl Failed {
    fn tell(&self, out: &mut Answers) -> Result<(), Failure> {
        out.line(&format_args!("FAILED {} ({}:{})", self.name, self.file, self.line))?;
        self.differences.iter().try_for_each(|one| out.line(&format_args!("  {one}")))?;
        self.answer
            .to_string()
            .lines()
            .try_for_each(|line| out.line(&format_args!("  | {line}")))?;
        out.line("")
    }
}

impl Coverage {
    fn tell(&self, out: &mut Answers) -> Result<(), Failure> {
        let percent = shown(self.percent);
        out.line(&format_args!(
            "{}: {} of {} reached ({percent})",
            self.config,
            self.reached,
            counted(self.routes, "route")
        ))?;
        self.missed.iter().try_for_each(|route| out.line(&format_args!("  not reached: {route}")))
    }
}

fn shown(percent: f64) -> String {
    format!("{} %", (percent * 10.0).floor() / 10.0)
}
