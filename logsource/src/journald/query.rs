//! What `journalctl` is asked.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use crate::Error;

/// Which entries are asked for.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) journalctl: PathBuf,
    pub(super) units: Vec<String>,
    pub(super) priority: Option<String>,
    pub(super) since: Option<SystemTime>,
    pub(super) directory: Option<PathBuf>,
    pub(super) files: Vec<PathBuf>,
    pub(super) namespace: Option<String>,
    pub(super) excluded_pids: Vec<u32>,
    pub(super) excluded_units: Vec<String>,
}

/// Where a child begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Begin {
    Start,
    End,
    Since(SystemTime),
    After(Arc<str>),
}

impl Query {
    pub(super) fn new() -> Self {
        Self {
            journalctl: "journalctl".into(),
            units: Vec::new(),
            priority: None,
            since: None,
            directory: None,
            files: Vec::new(),
            namespace: None,
            excluded_pids: Vec::new(),
            excluded_units: Vec::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        const LEVELS: [&str; 8] =
            ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
        if let Some(priority) = &self.priority {
            let number = priority.parse::<u8>().is_ok_and(|number| number < 8);
            if !number && !LEVELS.contains(&priority.as_str()) {
                let levels = LEVELS.join(", ");
                return Err(Error::invalid(format!(
                    "there is no priority `{priority}`; the priorities are {levels}, or 0 to 7"
                )));
            }
        }
        let places = usize::from(self.directory.is_some())
            + usize::from(!self.files.is_empty())
            + usize::from(self.namespace.is_some());
        if places > 1 {
            return Err(Error::invalid(
                "a journal is in a directory, in files or in a namespace; name one of the three",
            ));
        }
        if self.units.iter().any(String::is_empty) {
            return Err(Error::invalid("a unit's name is empty"));
        }
        Ok(())
    }

    pub(super) fn command(&self, begin: &Begin, follow: bool) -> Command {
        let mut command = Command::new(&self.journalctl);
        command.args(["--output=export", "--no-pager", "--quiet"]);
        if follow {
            // Following means this boot alone, in most versions of it. What undoes that depends
            // on the version, and where both of these stand they do in every one of them.
            command.args(["--follow", "--merge", "--boot=all"]);
        }
        let option = |name: &str, value: &std::ffi::OsStr| {
            let mut option = OsString::from(name);
            option.push(value);
            option
        };
        command.args(self.units.iter().map(|unit| format!("--unit={unit}")));
        command.args(self.priority.iter().map(|priority| format!("--priority={priority}")));
        command.args(self.namespace.iter().map(|name| format!("--namespace={name}")));
        command.args(self.directory.iter().map(|path| option("--directory=", path.as_os_str())));
        command.args(self.files.iter().map(|path| option("--file=", path.as_os_str())));
        let since = match begin {
            Begin::Start => self.since,
            Begin::Since(time) => Some(self.since.map_or(*time, |since| since.max(*time))),
            Begin::End | Begin::After(_) => None,
        };
        command.args(since.map(|time| format!("--since=@{}", micros(time))));
        match begin {
            Begin::End => command.arg("--lines=0"),
            Begin::After(cursor) => command.arg(format!("--after-cursor={cursor}")),
            _ => &mut command,
        };
        if follow && *begin != Begin::End {
            command.arg("--no-tail");
        }
        command
    }
}

/// Seconds since 1970, with six digits after the point.
fn micros(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}
