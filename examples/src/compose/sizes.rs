//! How many workers ran last, kept across restarts: a restart of birl is no reason to scale.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// First line of each file; a later format reads this one too.
const HEAD: &str = "birl-size 1";

/// One small file for each scaler, in the state directory.
#[derive(Debug)]
pub(crate) struct Sizes {
    folder: PathBuf,
}

impl Sizes {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// What ran last, within the bounds of today; the least when nothing is known.
    pub(crate) fn last(&self, target: &str, least: u32, most: u32) -> u32 {
        self.known(target).unwrap_or(least).clamp(least, most.max(least))
    }

    /// What ran last, if that is known.
    pub(crate) fn known(&self, target: &str) -> Option<u32> {
        let text = std::fs::read_to_string(self.path(target)).unwrap_or_default();
        text.strip_prefix(HEAD).and_then(|rest| rest.trim().parse().ok())
    }

    /// Writes beside, syncs, renames: a crash leaves the old size or the new one.
    pub(crate) fn remember(&self, target: &str, size: u32) -> std::io::Result<()> {
        let path = self.path(target);
        let beside = path.with_extension("new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(format!("{HEAD}\n{size}\n").as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        std::fs::File::open(&self.folder)?.sync_all()
    }

    /// Where the workers' processes are noted, so that what a killed birl left running is ended by
    /// the next one.
    pub(crate) fn pid_file(&self, target: &str) -> PathBuf {
        self.path(target).with_extension("pids")
    }

    fn path(&self, target: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        self.folder.join(target.chars().map(plain).collect::<String>()).with_extension("size")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_comes_back_within_the_bounds_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = Sizes::in_folder(folder.path());
        assert_eq!(sizes.last("api", 2, 9), 2, "nothing is known yet");
        sizes.remember("api", 5).unwrap();
        assert_eq!(sizes.last("api", 2, 9), 5);
        assert_eq!(sizes.last("api", 2, 4), 4);
        assert_eq!(sizes.last("other", 1, 9), 1);
    }

    #[test]
    fn a_damaged_file_counts_as_nothing_known() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = Sizes::in_folder(folder.path());
        for text in ["", "birl-size 1", "birl-size 2\n7\n", "\u{0}\u{0}"] {
            std::fs::write(folder.path().join("api.size"), text).unwrap();
            assert_eq!(sizes.last("api", 1, 9), 1, "{text:?}");
        }
    }
}
