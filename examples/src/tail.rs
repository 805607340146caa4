//! `birl tail`: what a source says, an entry a line.

use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::sync::Arc;

use birl_logsource::{
    Batch, DetectOptions, Framing, Health, HealthState, LogEntry, LogSource, Metrics, Parser,
    Position, Registry, SourceKind,
};
use futures_util::{StreamExt as _, stream};

use crate::cli::{From, Output, Tail};
use crate::compose::{Served, serve};
use crate::failure::Failure;

/// Lines that one `read` may give, so that `--no-follow` on a large file stays small in memory.
const CHUNK: usize = 4096;

pub(crate) fn tail(args: &Tail) -> Result<(), Failure> {
    crate::log::init(None, "warn");
    let registry = prometheus::Registry::new();
    let metrics = Metrics::default();
    registry.register(Box::new(metrics.clone())).map_err(Failure::own)?;
    let mut options = DetectOptions::default();
    options.parser = parser(args)?;
    options.framing = framing(args)?;
    options.metrics = metrics;
    options.files.exclude.clone_from(&args.exclude);
    options.files.ignore_older = args.ignore_older;
    options.files.remove_after_ack = args.remove_after_ack;
    let detector = Registry::default();
    let sources: Vec<Arc<dyn LogSource>> = args
        .what
        .iter()
        .map(|what| detector.detect_with(what, &options).map(Arc::from).map_err(Failure::input))
        .collect::<Result<_, _>>()?;
    crate::runtime()?.block_on(async {
        if let Some(listen) = &args.listen {
            let served = Served { registry, sources: sources.clone(), mode: "tail" };
            serve(listen, served).await?;
        }
        let mut printer = Printer::new(args.output);
        if args.no_follow {
            read(&sources, args.from, &mut printer).await
        } else {
            follow(&sources, args.from, &mut printer).await
        }
    })
}

fn parser(args: &Tail) -> Result<Parser, Failure> {
    let parser = match &args.regex {
        Some(pattern) => Parser::regex(pattern),
        None => Parser::from_name(&args.parse),
    };
    let parser = parser.map_err(Failure::input)?;
    Ok(match &args.timestamp {
        Some(field) => parser.timestamp_field(field),
        None => parser,
    })
}

fn framing(args: &Tail) -> Result<Framing, Failure> {
    let words = args.framing.iter().map(|word| {
        word.split_once('=').ok_or_else(|| {
            Failure::input(format!(
                "`--framing {word}` has no value\n  = help: write KEY=VALUE, as in multiline=java"
            ))
        })
    });
    Framing::from_words(words.collect::<Result<Vec<_>, _>>()?).map_err(Failure::input)
}

fn position(from: From) -> Position {
    match from {
        From::Start => Position::Start,
        From::End => Position::End,
    }
}

/// What is there now, one source after the other.
async fn read(
    sources: &[Arc<dyn LogSource>],
    from: From,
    printer: &mut Printer,
) -> Result<(), Failure> {
    for source in sources {
        let mut position = position(from);
        let health = source.health_check().await.map_err(Failure::running)?;
        let is_file = source.origin().kind() == SourceKind::File;
        if is_file && matches!(health.state, HealthState::Waiting | HealthState::Failed) {
            return Err(Failure::input(
                health.reason.unwrap_or_else(|| "there is nothing to read".into()),
            ));
        }
        loop {
            let chunk = source.read(position, CHUNK).await.map_err(Failure::running)?;
            if let Some(batch) = chunk.batch
                && printer.print(batch)?.is_break()
            {
                return Ok(());
            }
            if chunk.at_end {
                break;
            }
            position = Position::At(chunk.next);
        }
    }
    Ok(())
}

/// All sources at once, for as long as any has more to say.
async fn follow(
    sources: &[Arc<dyn LogSource>],
    from: From,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut all = stream::select_all(sources.iter().map(|source| source.tail(position(from))));
    for source in sources.iter().filter(|source| source.origin().kind() == SourceKind::File) {
        if let Ok(Health { state: HealthState::Waiting, reason: Some(reason), .. }) =
            source.health_check().await
        {
            tracing::warn!(source = source.origin().id(), "waiting: {reason}");
        }
    }
    let mut failed = None;
    while let Some(next) = all.next().await {
        match next {
            Ok(batch) => {
                if printer.print(batch)?.is_break() {
                    return Ok(());
                }
            }
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "reading goes on after an error")
            }
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(()), |error| Err(Failure::running(error)))
}

/// Writes entries to standard output, a batch at a time.
#[derive(Debug)]
struct Printer {
    output: Output,
    out: BufWriter<std::io::Stdout>,
}

impl Printer {
    fn new(output: Option<Output>) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let output = output.unwrap_or(if terminal { Output::Text } else { Output::Json });
        Self { output, out: BufWriter::new(std::io::stdout()) }
    }

    /// Breaks when nobody reads any more, as `birl tail … | head` ends.
    fn print(&mut self, batch: Batch) -> Result<std::ops::ControlFlow<()>, Failure> {
        let written = batch
            .entries()
            .try_for_each(|entry| self.entry(&entry.to_entry()))
            .and_then(|()| self.out.flush());
        match written {
            Ok(()) => {
                batch.ack();
                Ok(std::ops::ControlFlow::Continue(()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Ok(std::ops::ControlFlow::Break(()))
            }
            Err(error) => {
                Err(Failure::running(format!("cannot write to standard output: {error}")))
            }
        }
    }

    fn entry(&mut self, entry: &LogEntry) -> std::io::Result<()> {
        match self.output {
            Output::Json => {
                serde_json::to_writer(&mut self.out, entry)?;
                self.out.write_all(b"\n")
            }
            Output::Yaml => {
                let entry = serde_json::to_value(entry)?;
                write!(self.out, "---\n{}", crate::yaml::Document(&entry))
            }
            Output::Text => {
                let at = jiff::Timestamp::try_from(entry.timestamp).unwrap_or_default();
                let source = entry
                    .labels
                    .get("path")
                    .or_else(|| entry.labels.get("source"))
                    .map_or("", String::as_str);
                write!(self.out, "{at:.3} {source} ")?;
                self.out.write_all(&entry.line)?;
                self.out.write_all(b"\n")
            }
        }
    }
}
