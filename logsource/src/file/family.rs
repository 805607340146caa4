//! The names that a rotation gives to what a log was.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is put behind a name when a rotated file is compressed.
const PACKED: [&[u8]; 4] = [b".gz", b".zst", b".zstd", b".gzip"];

/// Whether `name` is what a rotation of `base` is called: `base.1`, `base-20261123`, `base.old`,
/// `stem-2026-11-23.log` beside `stem.log`; compressed or not. What else there is (`app-worker.log`
/// beside `app.log`) is another log.
pub(super) fn is_rotation_of(name: &OsStr, base: &OsStr) -> bool {
    let name = unpacked(name.as_bytes());
    let base = base.as_bytes();
    if name.len() <= base.len() {
        return false;
    }
    if let Some(suffix) = name.strip_prefix(base) {
        return is_mark(suffix);
    }
    // The mark stands before the extension.
    let Some(dot) = base.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return false;
    };
    let (stem, extension) = base.split_at(dot);
    let between = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(extension));
    between.is_some_and(is_mark)
}

/// Where a file of several that were last written at the same moment belongs: the one with the
/// higher number is the older one, a date is the other way round.
pub(super) fn ordinal(path: &Path) -> (u64, std::cmp::Reverse<u64>) {
    let name = unpacked(path.file_name().unwrap_or_default().as_bytes());
    let digits = name.rsplit(|byte| !byte.is_ascii_digit()).find(|part| !part.is_empty());
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
    match digits {
        // No count of rotated files has six digits, and every date has.
        Some(date @ 100_000..) => (date, std::cmp::Reverse(0)),
        Some(number) => (0, std::cmp::Reverse(number)),
        None => (0, std::cmp::Reverse(0)),
    }
}

/// Whether a name says that the file is compressed.
pub(super) fn is_packed(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    unpacked(name).len() < name.len()
}

fn unpacked(name: &[u8]) -> &[u8] {
    PACKED.iter().find_map(|suffix| name.strip_suffix(*suffix)).unwrap_or(name)
}

/// `.1`, `-20261123`, `.2026-11-23T08:00:00`, `.old`: a separator, and parts that begin with a
/// digit.
fn is_mark(mark: &[u8]) -> bool {
    let mut parts = mark.split(|byte| b".-_".contains(byte));
    // Nothing stands before the first separator.
    parts.next() == Some(b"")
        && mark.len() > 1
        && !mark.ends_with(b".log")
        && parts.all(|part| part == b"old" || part.first().is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(name: &str, base: &str) -> bool {
        is_rotation_of(OsStr::new(name), OsStr::new(base))
    }

    #[test]
    fn rotations_are_told_from_other_logs() {
        let yes = [".1", "-20261123", ".2026-11-23T08:00:00", "_3", ".old", "-20261123.1", ".1.gz"];
        let no = ["", ".", "1", ".log", "-worker.log", "-worker2", "ication.log", ".bak", ".gz"];
        for suffix in yes {
            assert!(is(&format!("app{suffix}"), "app"), "{suffix}");
            assert!(is(&format!("app.log{suffix}"), "app.log"), "{suffix}");
        }
        for suffix in no {
            assert!(!is(&format!("app{suffix}"), "app"), "{suffix}");
        }
        for name in ["app-2026-11-23.log", "app.1.log", "app-20261123.log.zst", "app.old.log"] {
            assert!(is(name, "app.log"), "{name}");
        }
        for name in ["app-worker.log", "app.log", "apple.1.log", "app.loger.1"] {
            assert!(!is(name, "app.log"), "{name}");
        }
    }

    #[test]
    fn the_higher_number_is_the_older_file_and_the_earlier_date_too() {
        let mut names = ["a.1", "a.10", "a.2.gz"];
        names.sort_by_key(|name| ordinal(Path::new(name)));
        assert_eq!(names, ["a.10", "a.2.gz", "a.1"]);
        let mut names = ["a-20261123", "a-20261101", "a-20261122.gz"];
        names.sort_by_key(|name| ordinal(Path::new(name)));
        assert_eq!(names, ["a-20261101", "a-20261122.gz", "a-20261123"]);
    }
}
