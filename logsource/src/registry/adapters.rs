//! The kinds of sources of this crate.

use super::Adapter;
#[cfg(any(feature = "file", feature = "stdout", feature = "journald"))]
use super::DetectOptions;
#[cfg(any(feature = "file", feature = "stdout", feature = "journald"))]
use crate::{Error, LogSource};

#[cfg(any(feature = "file", feature = "stdout", feature = "journald"))]
type Detected = Option<Result<Box<dyn LogSource>, Error>>;

#[cfg(any(feature = "file", feature = "stdout", feature = "journald"))]
fn boxed<S: LogSource>(built: Result<S, Error>) -> Detected {
    Some(built.map(|source| Box::new(source) as Box<dyn LogSource>))
}

/// All of them; the one that takes any path comes last.
pub(super) fn all() -> Vec<Box<dyn Adapter>> {
    vec![
        #[cfg(feature = "stdout")]
        Box::new(Stdin),
        #[cfg(feature = "stdout")]
        Box::new(Command),
        #[cfg(feature = "journald")]
        Box::new(Journald),
        #[cfg(feature = "file")]
        Box::new(File),
    ]
}

#[cfg(feature = "stdout")]
#[derive(Debug)]
struct Stdin;

#[cfg(feature = "stdout")]
impl Adapter for Stdin {
    fn name(&self) -> &str {
        "stdin"
    }

    fn forms(&self) -> &[&'static str] {
        &["-"]
    }

    fn detect(&self, what: &str, options: &DetectOptions) -> Detected {
        if !matches!(what, "-" | "stdin") {
            return None;
        }
        let mut builder = crate::StdinSource::builder()
            .framing(options.framing.clone())
            .parser(options.parser.clone())
            .metrics(options.metrics.clone());
        for (name, value) in &options.labels {
            builder = builder.label(name, value);
        }
        if let Some(id) = &options.id {
            builder = builder.id(id);
        }
        boxed(builder.build())
    }
}

#[cfg(feature = "stdout")]
#[derive(Debug)]
struct Command;

#[cfg(feature = "stdout")]
impl Adapter for Command {
    fn name(&self) -> &str {
        "stdout"
    }

    fn forms(&self) -> &[&'static str] {
        &["stdout:COMMAND"]
    }

    fn detect(&self, what: &str, options: &DetectOptions) -> Detected {
        let line = what.strip_prefix("stdout:").or_else(|| what.strip_prefix("cmd:"));
        let line = match (line, what) {
            (Some(line), _) => line,
            (None, "stdout" | "cmd") => {
                return Some(Err(Error::invalid(format!(
                    "`{what}` needs a command whose output to read, as in `{what}:COMMAND ARGS`"
                ))));
            }
            _ => return None,
        };
        let words = match super::words::split_words(line) {
            Ok(words) => words,
            Err(error) => return Some(Err(error)),
        };
        let mut builder = crate::CommandSource::builder(words)
            .framing(options.framing.clone())
            .id(options.id.as_deref().unwrap_or(what))
            .parser(options.parser.clone())
            .metrics(options.metrics.clone());
        for (name, value) in &options.labels {
            builder = builder.label(name, value);
        }
        boxed(builder.build())
    }
}

#[cfg(feature = "journald")]
#[derive(Debug)]
struct Journald;

#[cfg(feature = "journald")]
impl Journald {
    const KEYS: &str = "unit, priority, since, directory, file, namespace and journalctl";

    fn set(
        builder: crate::JournaldSourceBuilder,
        setting: &str,
    ) -> Result<crate::JournaldSourceBuilder, Error> {
        let Some((key, value)) = setting.split_once('=') else {
            return Err(Error::invalid(format!(
                "`{setting}` in the description of a journal is no setting; write key=value, \
                 where the keys are {}",
                Self::KEYS
            )));
        };
        Ok(match key {
            "unit" => builder.unit(value),
            "priority" => builder.priority(value),
            "directory" => builder.directory(value),
            "file" => builder.file(value),
            "namespace" => builder.namespace(value),
            "journalctl" => builder.journalctl(value),
            "since" => match value.parse::<jiff::Timestamp>() {
                Ok(time) => builder.since(time.into()),
                Err(_) => {
                    return Err(Error::invalid(format!(
                        "`since={value}` is no time; write it as in since=2026-11-23T08:00:00Z"
                    )));
                }
            },
            _ => {
                return Err(Error::invalid(format!(
                    "a journal has no setting `{key}`; its settings are {}",
                    Self::KEYS
                )));
            }
        })
    }
}

#[cfg(feature = "journald")]
impl Adapter for Journald {
    fn name(&self) -> &str {
        "journald"
    }

    fn forms(&self) -> &[&'static str] {
        &["journald", "journald:unit=NAME,priority=LEVEL", "FILE.journal"]
    }

    fn detect(&self, what: &str, options: &DetectOptions) -> Detected {
        let mut builder = crate::JournaldSource::builder();
        let path = std::path::Path::new(what);
        if let Some(settings) = what.strip_prefix("journald:") {
            for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
                builder = match Self::set(builder, setting) {
                    Ok(builder) => builder,
                    Err(error) => return Some(Err(error)),
                };
            }
        } else if what != "journald" {
            if what.is_empty() || !crate::journald::is_journal(path) {
                return None;
            }
            builder = if path.is_dir() { builder.directory(path) } else { builder.file(path) };
        }
        let id = options.id.as_deref().unwrap_or(what);
        builder = builder.id(id).parser(options.parser.clone()).metrics(options.metrics.clone());
        for (name, value) in &options.labels {
            builder = builder.label(name, value);
        }
        if let Some(path) = options.offset_file(id) {
            builder = builder.offset_file(path);
        }
        boxed(builder.build())
    }
}

#[cfg(feature = "file")]
#[derive(Debug)]
struct File;

#[cfg(feature = "file")]
impl Adapter for File {
    fn name(&self) -> &str {
        "file"
    }

    fn forms(&self) -> &[&'static str] {
        &["PATH"]
    }

    fn detect(&self, what: &str, options: &DetectOptions) -> Detected {
        if !super::is_path(what) {
            return None;
        }
        let id = options.id.as_deref().unwrap_or(what);
        let mut builder = crate::FileSource::builder(what)
            .options(&options.files)
            .framing(options.framing.clone())
            .id(id)
            .parser(options.parser.clone())
            .metrics(options.metrics.clone());
        for (name, value) in &options.labels {
            builder = builder.label(name, value);
        }
        if let Some(path) = options.offset_file(id) {
            builder = builder.offset_file(path);
        }
        boxed(builder.build())
    }
}
