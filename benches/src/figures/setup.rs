//! What the figures share: how much to read, and the files of lines, each written once.

use std::cell::OnceCell;
use std::path::Path;

use birl_benches::corpus::Corpus;
use birl_benches::lines::{self, Line};
use tempfile::TempDir;

use crate::scale::Scale;

/// The files live until the last figure is measured.
pub(crate) struct Setup {
    pub(crate) scale: Scale,
    folder: TempDir,
    text: OnceCell<Corpus>,
    json: OnceCell<Corpus>,
    combined: OnceCell<Corpus>,
}

impl Setup {
    pub(crate) fn new(scale: Scale) -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (text, json, combined) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Ok(Self { scale, folder, text, json, combined })
    }

    /// Plain lines of mixed lengths, about 200 bytes each.
    pub(crate) fn text(&self) -> anyhow::Result<&Corpus> {
        self.once(&self.text, "text.log", lines::text)
    }

    /// JSON objects of about 250 bytes.
    pub(crate) fn json(&self) -> anyhow::Result<&Corpus> {
        self.once(&self.json, "json.log", lines::json)
    }

    /// An access log.
    pub(crate) fn combined(&self) -> anyhow::Result<&Corpus> {
        self.once(&self.combined, "access.log", lines::combined)
    }

    fn once<'a>(
        &'a self,
        cell: &'a OnceCell<Corpus>,
        name: &str,
        line: Line,
    ) -> anyhow::Result<&'a Corpus> {
        if let Some(written) = cell.get() {
            return Ok(written);
        }
        room_for(self.folder.path(), self.scale.size)?;
        let written = Corpus::write(&self.folder.path().join(name), self.scale.size, line)?;
        Ok(cell.get_or_init(|| written))
    }
}

/// Refuses to fill the disk: so much must be free twice.
pub(crate) fn room_for(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail * disk.f_frsize;
    anyhow::ensure!(
        free / 2 >= bytes,
        "{} has {free} bytes free, too few beside a file of {bytes}; ask for less with --size or \
         --backlog, or set TMPDIR to a larger disk",
        folder.display()
    );
    Ok(())
}

/// A number of bytes as people write it: `2GiB`, `10GB`, `65536`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit.trim() {
        "" | "B" => 1,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err(format!("`{unit}` is not one of B, MB, MiB, GB, GiB")),
    };
    let number: u64 = number.parse().map_err(|error| format!("`{number}`: {error}"))?;
    match number.checked_mul(unit) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err("not a size".to_owned()),
    }
}
