//! The configuration that is asked about: Alertmanager's file, or birl's.

use std::path::Path;

use birl_router::{AlertmanagerFile, Config, Error, Notice, Position};

use crate::config::{self, Complaint};
use crate::failure::Failure;

/// A configuration is written by hand; anything larger is a mistake.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Keys that only birl's own file has, at its top.
const OWN: [&str; 6] = ["sources", "rules", "scalers", "mode", "tick", "state_dir"];

pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) notices: Vec<Notice>,
    /// Where places are, in Alertmanager's file.
    file: Option<AlertmanagerFile>,
}

impl Loaded {
    pub(super) fn position(&self, place: &str) -> Option<Position> {
        self.file.as_ref()?.position(place)
    }
}

pub(super) fn load(path: &Path) -> Result<Loaded, Failure> {
    let text = read(path)?;
    let name = path.display().to_string();
    if is_own(&text) {
        let config = config::load(path)?;
        let Some(config) = config.router() else {
            return Err(Failure::input(format!(
                "{name} has no `route`\n  = help: add `route: {{receiver: NAME}}` and `receivers:`"
            )));
        };
        return Ok(Loaded { config, notices: Vec::new(), file: None });
    }
    let file = AlertmanagerFile::parse(&text)
        .map_err(|error| Failure::input(complaint(&name, &text, &error)))?;
    let (config, notices) = (file.config.clone(), file.notices.clone());
    Ok(Loaded { config, notices, file: Some(file) })
}

fn read(path: &Path) -> Result<String, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::input(format!("cannot read the configuration {}: {error}", path.display()))
    };
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if metadata.is_file() && metadata.len() > MAX_BYTES {
        let place = path.display();
        return Err(Failure::input(format!(
            "{place} is larger than 16 MiB; is it a configuration?"
        )));
    }
    std::fs::read_to_string(path).map_err(cannot)
}

/// Alertmanager's file has none of these words at the beginning of a line.
fn is_own(text: &str) -> bool {
    text.lines().any(|line| {
        OWN.iter().any(|key| {
            line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'))
        })
    })
}

pub(super) fn complaint(name: &str, text: &str, error: &Error) -> Complaint {
    let message = match error.place() {
        "the file" => error.message().to_owned(),
        place => format!("{place}: {}", error.message()),
    };
    Complaint::new(name, text, error.position(), message, None)
}
