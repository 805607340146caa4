//! `strategies`: what each way of reading a log costs, as the table of `docs/logsource-strategies.md`.
//!
//! Every row is the public API on one core: a file in the page cache, acknowledgements and the offset
//! file on, a consumer that hashes what it asked for.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

mod counting;
mod measured;
mod strategy;

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;

use crate::measured::{Measured, measure};

const BEGIN: &str = "<!-- begin: make strategies -->\n";
const END: &str = "<!-- end: make strategies -->";

/// Measures every strategy of reading, and prints a Markdown table.
#[derive(Debug, Parser)]
struct Args {
    /// MiB of lines for each strategy
    #[arg(long, default_value_t = 128)]
    mebibytes: u64,
    /// Also put the table into this file, between its markers
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    if let Some(measured) = measured::take_over()? {
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(());
    }
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let mut table = String::from(
        "| strategy | bytes a line | MB/s | CPU, ns a line | allocations a line | peak RSS, MB |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    print!("{table}");
    for (index, strategy) in strategy::ALL.iter().enumerate() {
        let Measured { speed, cpu, allocations, peak, line } =
            measure(index, folder.path(), args.mebibytes << 20)?;
        let name = strategy.name;
        let row = format!(
            "| {name} | {line:.0} | {speed:.0} | {cpu:.0} | {allocations:.2} | {peak:.1} |"
        );
        println!("{row}");
        writeln!(table, "{row}")?;
    }
    let Some(path) = args.write else { return Ok(()) };
    let page = std::fs::read_to_string(&path)?;
    let marks =
        page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        marks.with_context(|| format!("{} lacks `{BEGIN}` … `{END}`", path.display()))?;
    std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))?;
    Ok(())
}
