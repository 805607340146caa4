//! The command line: what a person types, and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Logs, rules, alerts, routes, scale, and logs again.
///
/// Exit codes: 0 done, 1 something failed while running, `rules fmt --check` found something to format or
/// `route test` something unexpected, 2 bad input (a flag, a configuration, a rule, a port), 3 a fault of birl's own.
#[derive(Debug, Parser)]
#[command(name = "birl", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the loop that a configuration file describes
    Run(Run),
    /// Print what a file, a command or the journal says, an entry a line
    Tail(Tail),
    /// Check and format rule files, judge events by them, and say why
    #[command(subcommand)]
    Rules(Rules),
    /// Say who hears of an alert, by which way, and why; check, test and draw the routes
    ///
    /// Labels are words such as `team=api`. Without any, alerts are read from standard input: JSON objects, a line
    /// each or in a list, with `labels` or being labels themselves.
    Route(Route),
    /// Say what a scaler decides about observations, and why; make the decisions of a log again
    ///
    /// Observations are JSON, an object a line: `{"at": "2026-11-23T08:00:00Z", "seen": {"current": {"desired": 3,
    /// "ready": 3}, "signals": […], "intents": […]}}`. What is decided counts as carried out.
    Decide(Decide),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page in roff
    Man,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Decide everything and apply nothing, whatever `mode` says
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Read and check the configuration and its rules, then stop
    #[arg(long)]
    pub(crate) check: bool,
    /// How birl's own log is written to standard error [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// A file or `*.log`, `cmd:COMMAND ARGS`, `-` for standard input, `journald:unit=NAME,priority=err`
    #[arg(required = true, value_name = "WHAT")]
    pub(crate) what: Vec<String>,
    /// Stop at the end of what is there now
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// Where to begin in what exists already
    #[arg(long, value_enum, default_value_t = From::Start)]
    pub(crate) from: From,
    /// How a line becomes fields: auto, raw, json, logfmt, ltsv, syslog, combined, nginx or apache
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    pub(crate) parse: String,
    /// A regular expression whose named groups become fields
    #[arg(long, value_name = "PATTERN", conflicts_with = "parse")]
    pub(crate) regex: Option<String>,
    /// The field that holds the time of an entry
    #[arg(long, value_name = "FIELD")]
    pub(crate) timestamp: Option<String>,
    /// How bytes become lines, as in `encoding=gbk`, `multiline=java` or `containers=true`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) framing: Vec<String>,
    /// Files to leave out, as in `*.gz` or `archive/*.log`
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<PathBuf>,
    /// Do not read files that were last written longer ago, as in `24h`
    #[arg(long, value_name = "DURATION", value_parser = crate::config::parse_duration)]
    pub(crate) ignore_older: Option<Duration>,
    /// Remove files that were printed to their end, once nobody has written to them for this long
    #[arg(
        long,
        value_name = "QUIET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "5s",
        conflicts_with = "no_follow",
        value_parser = crate::config::parse_duration
    )]
    pub(crate) remove_after_ack: Option<Duration>,
    /// How entries are printed [default: text on a terminal, else json]
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Output>,
    /// Serve /metrics and /healthz on this address meanwhile
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Print every mistake in rule files, with its place and remedy, and what is odd about good ones
    Check {
        /// Rule files, or folders of them
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// How mistakes are printed
        #[arg(short, long, visible_alias = "format", value_enum, default_value_t = Shown::Text)]
        output: Shown,
        /// Exit with 2 for what is odd as well
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Print the JSON Schema of rule files, for editors to complete and check them by
    Schema,
    /// Write rule files in one way, and print the names of those that changed
    ///
    /// Spaces in conditions and intents, quotes of texts, and the ends of lines change; comments, line
    /// breaks, the order of keys and what the rules mean do not. Files are replaced whole. One with
    /// mistakes in it is left as it is: they are printed, and the exit code is 2.
    Fmt {
        /// Rule files, or folders of them; `-` formats YAML from standard input to standard output
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Change nothing, print the names of the files that would change, and exit with 1 if there
        /// are any
        #[arg(long)]
        check: bool,
    },
    /// Read events from standard input, a JSON object a line, and print what fires
    Eval {
        #[command(flatten)]
        events: Events,
    },
    /// Read events from standard input, a JSON object a line, and print why rules hold or do not
    Explain {
        #[command(flatten)]
        events: Events,
        /// The rule; all of them if not given
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Route {
    #[command(subcommand)]
    pub(crate) command: Option<RouteCommand>,
    #[command(flatten)]
    pub(crate) ask: Ask,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ask {
    /// Alertmanager's configuration file, or birl's
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The alert's labels
    #[arg(value_name = "LABEL=VALUE")]
    pub(crate) labels: Vec<String>,
    /// When it fires, as in `2026-11-29T22:00:00Z`; time intervals are asked about then [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<jiff::Timestamp>,
    /// How answers are printed [default: text on a terminal, else json]
    #[arg(short, long, visible_alias = "format", value_enum)]
    pub(crate) output: Option<Shown>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Print every mistake in configuration files, what has no effect here, and what is odd
    ///
    /// A mistake ends the file's check; the exit code is 2 then. Notices name what Alertmanager would do and birl does
    /// not, warnings what is most likely not meant.
    Check(RouteCheck),
    /// Hold what files expect against the routes, and say which routes no test reached
    ///
    /// A file is YAML: `config: alertmanager.yml` and `tests:`, a list of `labels` and the `receivers` that have to hear
    /// of them, in order, and if wanted a `name`, an `endpoint` and `group_labels`. The exit code is 1 when something
    /// came otherwise.
    Test(RouteTest),
    /// Print the tree of routes, or draw it; with labels, the way of an alert through it
    ///
    /// A `*` stands before the routes that take the alert, a `+` before those that it passes.
    Show(RouteShow),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RouteCheck {
    /// Configuration files, Alertmanager's or birl's
    #[arg(required = true, value_name = "FILE")]
    pub(crate) paths: Vec<PathBuf>,
    /// How they are printed
    #[arg(short, long, visible_alias = "format", value_enum, default_value_t = Shown::Text)]
    pub(crate) output: Shown,
    /// Exit with 2 for what is odd as well
    #[arg(long)]
    pub(crate) deny_warnings: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RouteTest {
    /// Files of expectations
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The configuration, in place of the one that each file names
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How failures are printed
    #[arg(short, long, visible_alias = "format", value_enum, default_value_t = Shown::Text)]
    pub(crate) output: Shown,
    /// Exit with 1 when the tests reach a smaller part of the routes
    #[arg(long, value_name = "PERCENT")]
    pub(crate) min_coverage: Option<f64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RouteShow {
    /// Alertmanager's configuration file, or birl's
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The labels of an alert whose way is shown
    #[arg(value_name = "LABEL=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Draw it into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Decide {
    /// The scaler: its `spec`, a `CustomScaler` resource, or birl's configuration
    #[arg(value_name = "SCALER", required_unless_present = "replay")]
    pub(crate) scaler: Option<PathBuf>,
    /// The observations [default: standard input]
    #[arg(value_name = "OBSERVATIONS", conflicts_with = "replay")]
    pub(crate) observations: Option<PathBuf>,
    /// Which scaler, if the configuration has several
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print all that went into each decision as well: inputs with their ages, proposals, limits
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print changes only
    #[arg(long)]
    pub(crate) changes: bool,
    /// Go on from what this file remembers, if it is there, and write into it what is remembered in the end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["log", "replay"])]
    pub(crate) state: Option<PathBuf>,
    /// Go on from what the decision log in this folder remembers, and append to it
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    pub(crate) log: Option<PathBuf>,
    /// Make the decisions of the log in this folder again, by SCALER if it is given, and print what comes otherwise;
    /// the exit code is 1 then
    #[arg(long, value_name = "DIR")]
    pub(crate) replay: Option<PathBuf>,
    /// How answers are printed [default: text on a terminal, else json]
    #[arg(short, long, visible_alias = "format", value_enum)]
    pub(crate) output: Option<Shown>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// Rule files, or folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The field that holds the time of an event, in seconds (or thousandths) since 1970 or as RFC 3339;
    /// events without one happen when they are read
    #[arg(long, value_name = "FIELD", default_value = "ts")]
    pub(crate) timestamp: String,
    /// How answers are printed [default: text on a terminal, else json]
    #[arg(short, long, visible_alias = "format", value_enum)]
    pub(crate) output: Option<Shown>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shown {
    /// JSON: an object a line, or one list of mistakes
    Json,
    /// For people
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// Everything that is there
    Start,
    /// Only what comes from now on
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// One JSON object a line
    Json,
    /// One YAML document an entry
    Yaml,
    /// Time, source and line
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_help_names_every_parser() {
        let command = Cli::command();
        let tail = command.find_subcommand("tail").unwrap();
        let parse = tail.get_arguments().find(|argument| argument.get_id() == "parse").unwrap();
        let help = parse.get_help().unwrap().to_string().replace(" or ", ", ");
        let refusal = birl_logsource::Parser::from_name("?").unwrap_err().to_string();
        assert_eq!(help.split_once(": ").unwrap().1, refusal.split_once("parsers are ").unwrap().1);
    }
}
