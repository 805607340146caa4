//! `quality`: how well the scaler decides, beside the HPA's defaults, a KPA and an oracle, in simulation.

#![expect(clippy::print_stdout, reason = "a program that prints tables")]

mod case;
mod compare;
mod profile;
mod report;
mod tune;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use birl_scaler::simulate::{Run, plot};
use clap::Parser;

use crate::case::{
    Case, HELD_OUT, STARTS, TUNING, Who, archetypes, run_all, traces, tuning_traces,
};
use crate::report::{Results, names};

const BEGIN: &str = "<!-- begin: make quality -->\n";
const END: &str = "<!-- end: make quality -->\n";

/// Which of the policies is the profile that the goals are about.
const PROFILE: usize = 4;

/// The same profile on a faster tick.
const FAST: usize = 5;

/// How much of a load a picture shows.
const SHOWN: Duration = Duration::from_secs(4 * 3600);

/// Simulates every policy on the held-out seeds and on the traces, and prints Markdown.
#[derive(Debug, Parser)]
struct Args {
    /// Search the grid on the tuning seeds instead, and print what each point comes to
    #[arg(long)]
    tune: bool,
    /// Judge on the tuning seeds and traces, to look while something is built
    #[arg(long)]
    on_tuning: bool,
    /// The folder of the traces
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data"))]
    data: PathBuf,
    /// Put the tables between the markers of this folder's `scaler-quality.md`, and the plots into its `img/`
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.tune {
        print!("{}", tune::search(&args.data)?);
        return Ok(());
    }
    let (seeds, recorded) = match args.on_tuning {
        true => (TUNING, tuning_traces(&args.data)?),
        false => (HELD_OUT, traces(&args.data)?),
    };
    let seeded = measure(archetypes(seeds))?;
    let mut page = String::from("\n### The profile\n\n```json\n");
    page.push_str(&serde_json::to_string_pretty(&profile::with(profile::STEADY))?);
    page.push_str("\n```\n");
    section(&mut page, "seeds", &seeded)?;
    let traced = measure(recorded)?;
    section(&mut page, "traces", &traced)?;
    print!("{page}");
    let Some(folder) = args.write else { return Ok(()) };
    let path = folder.join("scaler-quality.md");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let marks = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)))
        .with_context(|| format!("{} lacks `{BEGIN}` … `{END}`", path.display()))?;
    std::fs::write(&path, format!("{}{BEGIN}{page}{END}{}", marks.0, marks.1))?;
    pictures(&folder.join("img"), &args.data)
}

fn measure(cases: Vec<Case>) -> anyhow::Result<Results> {
    let who = Who::all();
    let scores = who
        .iter()
        .map(|who| run_all(&cases, |case| Ok(who.run(case)?.score)))
        .collect::<anyhow::Result<_>>()?;
    Ok(Results { cases, scores })
}

fn section(page: &mut String, name: &str, results: &Results) -> anyhow::Result<()> {
    let names = names(&Who::all());
    writeln!(page, "\n### On the {name}: the profile and its goals\n\n{}", results.goals(PROFILE))?;
    writeln!(page, "The same, with a scrape and a tick each 5 s:\n\n{}", results.goals(FAST))?;
    writeln!(page, "### On the {name}: everybody\n\n{}", results.beside_baseline(&names))?;
    writeln!(page, "{}", results.table(&names))?;
    writeln!(page, "{}", results.by_start(&names, &STARTS))?;
    Ok(())
}

/// One picture for each kind of load and for the busiest hours of each trace, with pods that start in
/// 30 s.
fn pictures(folder: &std::path::Path, data: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let first = HELD_OUT.start..HELD_OUT.start + 1;
    let cases = archetypes(first).into_iter().chain(traces(data)?);
    for mut case in cases.filter(|case| case.world.start_delay.as_secs() == 30) {
        case.curve = case.curve.part(case.curve.peak().saturating_sub(SHOWN / 2), SHOWN)?;
        let who = Who::all();
        let shown = [&who[0], &who[2], &who[3], &who[PROFILE]];
        let runs =
            shown.into_iter().map(|who| who.run(&case)).collect::<anyhow::Result<Vec<_>>>()?;
        let title = match case.seed {
            0 => format!("{}, its busiest hours; a pod starts in 30 s", case.group),
            seed => format!("{}, seed {seed}; a pod starts in 30 s", case.group),
        };
        let svg = plot(&title, &case.world, &runs.iter().collect::<Vec<&Run>>());
        let name: String = case
            .group
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        std::fs::write(folder.join(format!("scaler-{}.svg", name.replace("--", "-"))), svg)?;
    }
    Ok(())
}
