//! From text to a [`Config`], or to an error that points at the place and names the remedy.

use std::fmt::Write as _;
use std::path::Path;

use birl_router::{Position, yaml};
use serde::de::DeserializeOwned;

use super::Config;
use crate::failure::Failure;

/// A configuration is written by hand; anything larger is a mistake (a log file, say).
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads, parses and checks the file. Relative paths in it count from its folder.
pub(crate) fn load(path: &Path) -> Result<Config, Failure> {
    let place = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| {
        Failure::input(format!("cannot read the configuration {place}: {error}"))
    })?;
    if metadata.is_dir() {
        return Err(Failure::input(format!(
            "{place} is a directory; name a file such as {place}/birl.yaml"
        )));
    }
    if metadata.len() > MAX_BYTES {
        return Err(Failure::input(format!(
            "{place} is larger than 4 MiB; is it a configuration?"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::input(format!("cannot read the configuration {place}: {error}"))
    })?;
    let mut config = parse(&place.to_string(), &text).map_err(Failure::input)?;
    config.resolve_paths(path.parent().unwrap_or(Path::new(".")));
    Ok(config)
}

/// Parses and checks `text`; `name` stands in the messages.
pub(crate) fn parse(name: &str, text: &str) -> Result<Config, Complaint> {
    let config: Config = parse_yaml(name, text)?;
    config
        .check()
        .map_err(|(location, message, help)| Complaint::new(name, text, location, message, help))?;
    Ok(config)
}

/// Parses any YAML of birl's own, strictly; `name` stands in the messages.
pub(crate) fn parse_yaml<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, Complaint> {
    yaml::from_str(text).map_err(|error| {
        Complaint::new(name, text, error.position(), error.message().to_owned(), None)
    })
}

/// "did you mean" for a near miss, else what would have been right.
pub(crate) fn suggest<S: AsRef<str>>(found: &str, expected: &[S]) -> String {
    let near = expected
        .iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(found, candidate.as_ref()), candidate.as_ref())
        })
        .min()
        .filter(|(distance, candidate)| {
            *distance <= 2 + candidate.len() / 8 && *distance < found.len().max(2)
        });
    match near {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if expected.is_empty() => "there is none to choose from".to_owned(),
        None => {
            let all: Vec<_> =
                expected.iter().map(|candidate| format!("`{}`", candidate.as_ref())).collect();
            format!("expected one of {}", all.join(", "))
        }
    }
}

/// What is wrong in a file, where, and what would help; shown with the line and a caret.
#[derive(Debug)]
pub(crate) struct Complaint {
    rendered: String,
}

impl Complaint {
    pub(crate) fn new(
        name: &str,
        text: &str,
        at: Option<Position>,
        message: String,
        help: Option<String>,
    ) -> Self {
        let mut rendered = format!("error: {message}\n");
        match at {
            Some(at) => {
                let (line, column) = (at.line as usize, at.column as usize);
                let source = text.lines().nth(line - 1).unwrap_or_default();
                let gutter = " ".repeat(line.to_string().len());
                let token = source
                    .chars()
                    .skip(column - 1)
                    .take_while(|c| !c.is_whitespace() && *c != ':')
                    .count();
                let _ = writeln!(rendered, "{gutter}--> {name}:{line}:{column}");
                let _ = writeln!(rendered, "{gutter} |\n{line} | {source}");
                let _ = writeln!(
                    rendered,
                    "{gutter} | {}{}",
                    " ".repeat(column - 1),
                    "^".repeat(token.max(1))
                );
                if let Some(help) = help {
                    let _ = writeln!(rendered, "{gutter} = help: {help}");
                }
            }
            None => {
                let _ = writeln!(rendered, " --> {name}");
                if let Some(help) = help {
                    let _ = writeln!(rendered, "  = help: {help}");
                }
            }
        }
        Self { rendered: rendered.trim_end().to_owned() }
    }
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.rendered)
    }
}
