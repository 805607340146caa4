//! `birl`: logs, rules, alerts, routes, scale, and logs again.
//!
//! A thin program. It reads a configuration, composes the four libraries, and decides nothing itself.

mod cli;
mod compose;
mod config;
mod decide;
mod failure;
mod fmt;
mod log;
mod route;
mod rules;
mod run;
mod tail;
mod yaml;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Tail(args) => tail::tail(&args),
        Command::Rules(args) => rules::rules(&args),
        Command::Route(args) => route::route(&args),
        Command::Decide(args) => decide::decide(&args),
        Command::Completions { shell } => completions(shell),
        Command::Man => manual(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to do when even standard error is gone.
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    clap_complete::generate(shell, &mut Cli::command(), "birl", &mut std::io::stdout());
    Ok(())
}

fn manual() -> Result<(), Failure> {
    clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout()).map_err(Failure::running)
}

/// The runtime of the commands that wait for more than one thing.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::own)
}
