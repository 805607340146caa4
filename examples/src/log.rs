//! birl's own log, on standard error: JSON lines for machines, text for a terminal.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Installs it. `BIRL_LOG` filters, in the words of `tracing` (`debug`, `birl_router=trace`).
pub(crate) fn init(format: Option<LogFormat>, default_level: &str) {
    let filter =
        EnvFilter::try_from_env("BIRL_LOG").unwrap_or_else(|_| EnvFilter::new(default_level));
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call is a second command in one process, which only tests do: the first log stays.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
    };
}
