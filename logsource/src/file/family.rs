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

/// The names of which `name` may be a rotation, as [`is_rotation_of`] has it.
pub(super) fn bases(name: &OsStr) -> Vec<Vec<u8>> {
    let name = unpacked(name.as_bytes());
    let mut bases: Vec<Vec<u8>> = marked(name).map(|at| name[..at].to_vec()).collect();
    if let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) {
        let (stem, extension) = name.split_at(dot);
        bases.extend(marked(stem).map(|at| [&stem[..at], extension].concat()));
    }
    bases
}

/// Where a name may have been without what follows.
fn marked(name: &[u8]) -> impl Iterator<Item = usize> {
    let separators = name.iter().enumerate().skip(1).filter(|(_, byte)| b".-_".contains(byte));
    separators.map(|(at, _)| at).filter(|at| is_mark(&name[*at..]))
}

/// What the names of one log have in common: without what a rotation and a compression put there.
/// `app.log`, `app.log.1` and `app-20261123.log.gz` have the same.
pub(super) fn root(name: &OsStr) -> Vec<u8> {
    // The longest mark there is, so the shortest name without one.
    let shortest = bases(name).into_iter().min_by_key(Vec::len);
    shortest.unwrap_or_else(|| unpacked(name.as_bytes()).to_vec())
}

/// Whether a file of this name may have been made of one of that name, by copying or compressing.
pub(super) fn may_derive(name: &OsStr, from: &OsStr) -> bool {
    let packed = unpacked(name.as_bytes());
    is_rotation_of(name, from) || (packed.len() < name.len() && root(name) == root(from))
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
    fn names_of_one_log_have_one_root() {
        let root = |name: &str| String::from_utf8(root(OsStr::new(name))).unwrap();
        let names = [
            "app.log",
            "app.log.1",
            "app.log.2.gz",
            "app.log-20261123.zst",
            "app.log.old",
            "app-2026-11-23.log",
            "app.1.log.gz",
        ];
        for name in names {
            assert_eq!(root(name), "app.log", "{name}");
        }
        assert_eq!(bases(OsStr::new("app.log.1-2.gz")), [&b"app.log"[..], b"app.log.1"]);
        assert_eq!(root("syslog.1"), "syslog");
        assert_eq!(root(".1"), ".1");
        assert_ne!(root("app-worker.log"), "app.log");
        let may = |name: &str, from: &str| may_derive(OsStr::new(name), OsStr::new(from));
        assert!(may("a.log.1", "a.log") && may("a.log.2.gz", "a.log.1") && may("a.gz", "a"));
        // One of these is no copy of the other, whatever is in them.
        assert!(!may("a-1.log", "a-2.log") && !may("a.log", "a.log.1") && !may("a.log", "a.log"));
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
