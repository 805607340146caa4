//! The line that tells the workload's own log about a new size.

use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::builder::open_to_append;

/// Appends `{"ts":…,"level":"info","msg":"scaled to 3",…}` in one write, so that lines of the
/// workers never end up inside it.
pub(crate) fn scaled(path: &Path, target: &str, instances: &[String]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        ts: String,
        level: &'static str,
        msg: String,
        target: &'a str,
        replicas: usize,
        instances: &'a [String],
        logger: &'static str,
    }
    #[expect(clippy::disallowed_methods, reason = "a shell stamps the line that it writes")]
    let now = SystemTime::now();
    let replicas = instances.len();
    let line = Line {
        ts: crate::timestamp::format(now).unwrap_or_default(),
        level: "info",
        msg: format!("scaled to {replicas}"),
        target,
        replicas,
        instances,
        logger: "birl",
    };
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    open_to_append(path)?.write_all(&bytes)
}
