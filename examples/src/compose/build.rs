//! From a [`Config`] to the parts it describes, with everything checked that can be before a start.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use birl_logsource::{
    CommandSource, DetectOptions, Edge, FileOptions, FileSource, Framing, JournaldSource,
    LogSource, Parser, Position, StdinSource,
};
use birl_router::{
    DispatchConfig, Dispatcher, NamedNotifier, Router, WriterNotifier, notifiers_for,
};
use birl_rules_dsl::reload::{RuleFiles, Watcher};
use birl_rules_dsl::{Compiler, Engine, EngineConfig, RuleSet};
use birl_scaler::Replicas;
use prometheus::Registry;
use tokio::sync::mpsc;

use super::decisions::Decisions;
use super::fleet::Fleet;
use super::names::Names;
use super::serve::Served;
use super::signals::{SignalPlan, register};
use super::sizes::Sizes;
use super::story::Story;
use super::targets::Targets;
use super::{Core, Live};
use crate::config::{BrakeConfig, Config, Mode, SourceConfig, Start};
use crate::failure::Failure;

/// How often rule files are looked at; an edit is live well within a second.
const RULES_POLL: Duration = Duration::from_millis(250);
/// Reloads that wait for the loop; each holds a whole set, and only the newest matters.
const RELOADS: usize = 4;

/// Everything, ready to run.
pub(crate) struct Built {
    pub(crate) live: Live,
    pub(crate) served: Served,
    /// Watches the rule files; dropping it ends that.
    pub(crate) watcher: Option<Watcher>,
    /// Held for as long as birl runs: the state directory is its own.
    pub(crate) lock: Option<File>,
}

/// Checks everything. Starts the dispatcher's idle tasks (so it is called inside a runtime) and the
/// watch on the rule files; reads, notifies and scales nothing.
pub(crate) fn build(config: Config) -> Result<Built, Failure> {
    let registry = Registry::new();
    let lock = match config.stateless {
        true => None,
        false => Some(prepare_state_dir(&config.state_dir)?),
    };
    let sources = sources(&config, &registry)?;
    let mut engine_config = EngineConfig::default();
    engine_config.max_event_age = Some(config.max_event_age);
    register(&registry, engine_config.metrics.clone())?;
    let files = rule_files(&config, engine_config.metrics.clone())?;
    let rules = match &files {
        Some(files) => files.current(),
        None => Arc::new(RuleSet::compile(&[]).map_err(Failure::own)?),
    };
    let names = Names::of(&config);
    names.check(&rules).map_err(Failure::input)?;
    let engine = Engine::new(Arc::clone(&rules), engine_config);

    let (router, notifiers) = router(&config)?;
    let mut dispatch = DispatchConfig::default();
    if let Some(router) = &router {
        dispatch.metrics = router.metrics().clone();
    }
    register(&registry, dispatch.metrics.clone())?;
    let (dispatcher, reports) =
        Dispatcher::builder(dispatch).endpoints(notifiers).start().map_err(Failure::own)?;

    let scale_metrics = birl_scaler::Metrics::new();
    register(&registry, scale_metrics.clone())?;
    let tick = config.tick().map_err(Failure::input)?;
    let decisions = Decisions::open(&config)?;
    let deciders = config.scalers.iter().map(|scaler| decisions.decider(&scaler.value));
    let deciders = deciders.collect::<Result<Vec<_>, _>>()?;
    let log = decisions.record()?;
    let mut fleet = Fleet::new(scale_metrics.clone(), tick, log);
    let sizes = Sizes::in_folder(&config.state_dir);
    let mut targets = Targets::default();
    let brake = config.brake.map(BrakeConfig::build);
    for (scaler, mut decider) in config.scalers.iter().zip(deciders) {
        let scaler = &scaler.value;
        if let Some(brake) = &brake {
            decider = decider.with_global_brake(brake.clone());
        }
        if scaler.has_sole_owner() {
            // Nobody else sets its size: none of them is no pause by hand.
            decider = decider.with_sole_owner();
        }
        // Workers of birl's own do not run while it observes; it decides as if the least did.
        let assumed = config.mode == Mode::Observe && !scaler.is_outside();
        let assumed = assumed.then(|| Replicas::ready(scaler.spec.min_replicas));
        let (signals, verify) = (scaler.signals.clone(), scaler.verify.clone());
        fleet.add(scaler.name(), decider, signals, verify, assumed);
        targets.add(scaler, config.mode, &sizes)?;
    }

    let (announce, reloads) = mpsc::channel(RELOADS);
    let watch = |files: RuleFiles| {
        files.watch(RULES_POLL, move |event| {
            // Blocks the watcher's own thread while the loop is busy; an error means that it is gone.
            let _ = announce.blocking_send(event);
        })
    };
    let watcher = files.map(watch).transpose().map_err(Failure::own)?;
    let story = Story::new(&registry).map_err(Failure::own)?;
    let core =
        Core::new(config.mode, config.include_own_output, rules, engine, router, fleet, story);
    let served = Served {
        registry: registry.clone(),
        sources: sources.iter().map(|(source, _)| Arc::clone(source)).collect(),
        mode: if config.mode == Mode::Act { "act" } else { "observe" },
    };
    let live = Live {
        core,
        sources,
        dispatcher,
        reports,
        targets,
        sizes,
        reloads,
        names,
        scale_metrics,
        signals: SignalPlan::of(&config, registry, tick),
    };
    Ok(Built { live, served, watcher, lock })
}

/// Creates it, proves that it can be written (better now than at the first acknowledgement), and
/// locks it: two that share offsets would each tell of everything.
fn prepare_state_dir(folder: &Path) -> Result<File, Failure> {
    let shown = folder.display();
    let path = folder.join("lock");
    let opened =
        std::fs::create_dir_all(folder).and_then(|()| File::create(&path)).and_then(|mut file| {
            file.write_all(b"birl\n")?;
            Ok(file)
        });
    let file = opened.map_err(|error| {
        Failure::input(format!(
            "the state directory {shown} cannot be written: {error}\n  = help: make it writable, or set `state_dir` to a folder that is"
        ))
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::input(format!(
            "another birl uses the state directory {shown}\n  = help: stop it, or give this one a `state_dir` of its own"
        ))),
        Err(TryLockError::Error(error)) => {
            Err(Failure::input(format!("the state directory {shown} cannot be locked: {error}")))
        }
    }
}

type Sources = Vec<(Arc<dyn LogSource>, Position)>;

fn sources(config: &Config, registry: &Registry) -> Result<Sources, Failure> {
    let metrics = birl_logsource::Metrics::new();
    register(registry, metrics.clone())?;
    let mut state = DetectOptions::default();
    state.state_dir = Some(config.state_dir.clone());
    let mut sources = Sources::new();
    for source in &config.sources {
        let source = &source.value;
        let id = source.id();
        let offsets = state.offset_file(&id).filter(|_| !config.stateless);
        if offsets.as_ref().is_some_and(|offsets| !offsets.exists())
            && source.start == Start::End
            && (source.file.is_some() || source.journald.is_some())
        {
            tracing::info!(
                source = id,
                "a first run: beginning at the end of what exists; `start: beginning` changes that"
            );
        }
        if source.journald.is_some() && !source.framing.is_empty() {
            return Err(Failure::input(format!(
                "source `{id}`: `framing` is for bytes, and a journal has entries\n  = help: take `framing` out"
            )));
        }
        let of_files = !source.exclude.is_empty()
            || source.ignore_older.is_some()
            || source.remove_after_ack.is_some();
        if of_files && source.file.is_none() {
            return Err(Failure::input(format!(
                "source `{id}`: `exclude`, `ignore_older` and `remove_after_ack` are for files\n  = help: take them out, or name a `file`"
            )));
        }
        let built = build_source(source, &id, offsets.as_deref(), &metrics)
            .map_err(|error| Failure::input(format!("source `{id}`: {error}")))?;
        let otherwise = match source.start {
            Start::End => Edge::End,
            Start::Beginning => Edge::Start,
        };
        sources.push((built, Position::Resume { otherwise }));
    }
    Ok(sources)
}

fn build_source(
    source: &SourceConfig,
    id: &str,
    offsets: Option<&Path>,
    metrics: &birl_logsource::Metrics,
) -> Result<Arc<dyn LogSource>, birl_logsource::Error> {
    let parser = match (&source.regex, &source.parse) {
        (Some(pattern), _) => Parser::regex(pattern)?,
        (None, Some(name)) => Parser::from_name(name)?,
        (None, None) => Parser::auto(),
    };
    let parser = match &source.timestamp {
        Some(field) => parser.timestamp_field(field),
        None => parser,
    };
    let words = source.framing.iter().map(|(key, word)| (key, word.to_string()));
    let framing = Framing::from_words(words)?;
    // Four builders with the same words, and no trait among them: the words are said once.
    macro_rules! finish {
        ($builder:expr) => {{
            let builder = $builder.id(id).parser(parser).metrics(metrics.clone());
            let labeled = source
                .labels
                .iter()
                .fold(builder, |builder, (name, value)| builder.label(name, value));
            Arc::new(labeled.build()?)
        }};
    }
    Ok(if let Some(path) = &source.file {
        let mut files = FileOptions::default();
        files.exclude.clone_from(&source.exclude);
        files.ignore_older = source.ignore_older;
        files.remove_after_ack = source.remove_after_ack;
        let builder = FileSource::builder(path).options(&files).framing(framing);
        finish!(match offsets {
            Some(offsets) => builder.offset_file(offsets),
            None => builder,
        })
    } else if let Some(command) = &source.command {
        finish!(CommandSource::builder(command.iter()).framing(framing))
    } else if let Some(journald) = &source.journald {
        let mut builder = JournaldSource::builder().exclude_pid(std::process::id());
        if let Some(offsets) = offsets {
            builder = builder.offset_file(offsets);
        }
        if let Some(unit) = &journald.unit {
            builder = builder.unit(unit);
        }
        if let Some(priority) = &journald.priority {
            builder = builder.priority(priority);
        }
        if let Some(since) = journald.since {
            builder = builder.since(since.into());
        }
        if let Some(directory) = &journald.directory {
            builder = builder.directory(directory);
        }
        finish!(builder)
    } else {
        finish!(StdinSource::builder().framing(framing))
    })
}

fn rule_files(
    config: &Config,
    metrics: birl_rules_dsl::Metrics,
) -> Result<Option<RuleFiles>, Failure> {
    if config.rules.is_empty() {
        return Ok(None);
    }
    let paths: Vec<_> = config.rules.iter().map(|path| path.value.clone()).collect();
    RuleFiles::open_with(paths, Compiler::new(), metrics).map(Some).map_err(Failure::input)
}

fn router(config: &Config) -> Result<(Option<Router>, Vec<NamedNotifier>), Failure> {
    let Some(config) = config.router() else { return Ok((None, Vec::new())) };
    let stdout = Arc::new(WriterNotifier::new(std::io::stdout()));
    let notifiers = notifiers_for(&config, stdout).map_err(Failure::input)?;
    let router = Router::new(config).map_err(Failure::input)?;
    Ok((Some(router), notifiers))
}
