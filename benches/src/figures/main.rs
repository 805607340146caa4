//! `figures`: the headline numbers, each beside its limit or rival measured in the same run.
//!
//! Exit code 0 when every figure that was asked for holds, 1 when one does not, 2 for an unknown name.

#![expect(clippy::print_stdout, reason = "a program that prints numbers")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]

mod alerts;
mod append_latency;
mod backlog;
mod child;
mod decide;
mod endpoint;
mod file_fields;
mod file_read;
mod firing_to_scale;
mod idle_files;
mod loop_latency;
mod machine;
mod many_files;
mod monotonic;
mod mutes;
mod one_pass;
mod pace;
mod route_decision;
mod rule_eval;
mod rules;
mod rules_json_line;
mod rules_threads;
mod scale;
mod setup;
mod statsd;
mod steady;
mod subject;

use std::process::ExitCode;

use birl_benches::figure::{Figure, ROUNDS};
use clap::Parser;

use crate::scale::Scale;
use crate::setup::{Setup, bytes};

type Measure = fn(&Setup) -> anyhow::Result<Vec<Figure>>;

const ALL: [(&str, Measure); 30] = [
    ("file_read", file_read::measure),
    ("file_json", file_fields::json),
    ("file_regex", file_fields::regex),
    ("idle_files", |setup| idle_files::measure(setup.scale)),
    ("many_files", |_| many_files::measure()),
    ("append_latency", |setup| append_latency::measure(setup.scale)),
    ("steady_10mb", |setup| steady::measure(setup.scale)),
    ("backlog_rss", backlog::measure),
    ("rule_eval", |_| rule_eval::measure()),
    ("rules_100", |_| rules::measure::<100>("rules_100")),
    ("rules_1000", |_| rules::measure::<1_000>("rules_1000")),
    ("rules_10000", |_| rules::measure::<10_000>("rules_10000")),
    ("rules_100000", |_| rules::measure_most()),
    ("rules_json_line", |_| rules_json_line::measure()),
    ("rules_threads", |_| rules_threads::measure()),
    ("rules_compile", |_| rules::compile()),
    ("route_decision", |_| route_decision::tree()),
    ("route_10000", |_| route_decision::flat()),
    ("inhibition", |_| mutes::inhibition()),
    ("silences", |_| mutes::silences()),
    ("dedup", |_| alerts::dedup()),
    ("alert_memory", |_| alerts::memory()),
    ("config_swap", |_| alerts::config_swap()),
    ("decisions_threads", |_| alerts::threads()),
    ("endpoint", |_| endpoint::measure()),
    ("decide", |_| decide::measure()),
    ("decide_100k", |_| decide::many()),
    ("firing_to_scale", |setup| firing_to_scale::measure(setup.scale)),
    ("statsd", |_| statsd::measure()),
    ("loop_latency", |setup| loop_latency::measure(setup.scale)),
];

/// Measures the headline figures of birl.
#[derive(Debug, Parser)]
struct Args {
    /// Which figures; all when none is named
    names: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Less of each than is promised: 256 MiB, a backlog of 1 GB, 10 s; to see a slip, not to judge
    #[arg(long)]
    short: bool,
    /// How much the file_* figures read, in the folder for temporary files
    #[arg(long, value_parser = bytes)]
    size: Option<u64>,
    /// How much backlog_rss has before it
    #[arg(long, value_parser = bytes)]
    backlog: Option<u64>,
}

impl Args {
    fn scale(&self) -> Scale {
        let whole = if self.short { Scale::SHORT } else { Scale::FULL };
        Scale {
            size: self.size.unwrap_or(whole.size),
            backlog: self.backlog.unwrap_or(whole.backlog),
            ..whole
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    // What must be a process of its own is this program again.
    if let Some(code) = child::take_over()? {
        return Ok(code);
    }
    let args = Args::parse();
    let known = |name: &String| ALL.iter().any(|(known, _)| known == name);
    if let Some(unknown) = args.names.iter().find(|name| !known(name)) {
        let names: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        println!("unknown figure `{unknown}`; there are {}", names.join(", "));
        return Ok(ExitCode::from(2));
    }
    if !args.json {
        println!("{}", machine::description());
        println!("{}", Figure::heading());
    }
    let setup = Setup::new(args.scale())?;
    let mut all_hold = true;
    for (_, measure) in ALL
        .iter()
        .filter(|(name, _)| args.names.is_empty() || args.names.iter().any(|asked| asked == name))
    {
        for figure in measure(&setup)? {
            all_hold &= figure.ok;
            figure.print(args.json)?;
        }
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `docs/figures.md` has it.
    #[test]
    fn as_much_is_measured_as_is_promised_unless_less_is_asked_for() {
        let of = |words: &[&str]| Args::parse_from([&["figures"], words].concat()).scale();
        let told = |Scale { size, backlog, appends, interval, .. }| {
            (size, backlog, appends, interval.as_secs())
        };
        assert_eq!(told(of(&[])), (2 << 30, 10_000_000_000, 1000, 30));
        assert_eq!(told(of(&["--short"])), (256 << 20, 1_000_000_000, 200, 10));
        assert_eq!(told(of(&["--size", "1GiB"])), (1 << 30, 10_000_000_000, 1000, 30));
    }
}
