//! `figures`: the headline numbers, each beside its limit or rival measured in the same run.
//!
//! Exit code 0 when every figure that was asked for holds, 1 when one does not, 2 for an unknown name.

#![expect(clippy::print_stdout, reason = "a program that prints numbers")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]

mod decide;
mod figure;
mod file_read;
mod loop_latency;
mod machine;
mod route_decision;
mod rule_eval;
mod stopwatch;

use std::process::ExitCode;

use clap::Parser;

use crate::figure::Figure;

/// How a figure is measured: a median of at least this many rounds.
const ROUNDS: usize = 5;

type Measure = fn() -> anyhow::Result<Vec<Figure>>;

const ALL: [(&str, Measure); 5] = [
    ("file_read", file_read::measure),
    ("rule_eval", rule_eval::measure),
    ("route_decision", route_decision::measure),
    ("decide", decide::measure),
    ("loop_latency", loop_latency::measure),
];

/// Measures the headline figures of birl.
#[derive(Debug, Parser)]
struct Args {
    /// Which figures; all when none is named
    names: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    // The process that writes the log in `loop_latency` is this program again.
    if let Some(code) = loop_latency::take_over()? {
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
        println!(
            "{:<18} {:>12} {:<6} {:>12}  {:>8}  {:<16} reference",
            "figure", "value", "", "reference", "ratio", "target"
        );
    }
    let mut all_hold = true;
    for (_, measure) in ALL
        .iter()
        .filter(|(name, _)| args.names.is_empty() || args.names.iter().any(|asked| asked == name))
    {
        for figure in measure()? {
            all_hold &= figure.ok;
            if args.json {
                println!("{}", serde_json::to_string(&figure)?);
            } else {
                let Figure { name, value, unit, reference, reference_value, ratio, target, ok } =
                    figure;
                let mark = if ok { "holds" } else { "FALLS SHORT" };
                println!(
                    "{name:<18} {value:>12.3} {unit:<6} {reference_value:>12.3}  {ratio:>8.3}  {:<16} {reference}: {mark}",
                    target.to_string()
                );
            }
        }
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
