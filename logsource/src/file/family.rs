//! The names that a rotation gives to what a log was.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use super::disk::Stat;

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

/// What a rotation says of when a file was renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// `app.log.3`: the higher number is the older file.
    Number(u64),
    /// `app.log-20261123-080000`: digits, as many as there may be.
    Date(u64),
    Nothing,
}

impl Mark {
    fn of(path: &Path) -> Self {
        /// Year, month, day, hour, minute, second.
        const DIGITS: usize = 14;
        let name = path.file_name().unwrap_or_default();
        let bytes = unpacked(name.as_bytes());
        let base = bases(name).into_iter().min_by_key(Vec::len).unwrap_or_default();
        // What the names have in common is none of it.
        let shared = bytes.iter().zip(&base).take_while(|(a, b)| a == b).count();
        let groups = bytes[shared..].split(|byte| !byte.is_ascii_digit());
        let groups: Vec<&[u8]> = groups.filter(|group| !group.is_empty()).collect();
        let mut digits: Vec<u8> = groups.concat();
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
        let of_digits = match (groups.len(), digits.len()) {
            (0, _) => None,
            (1, ..6) => number(&digits).map(Self::Number),
            _ => {
                digits.resize(DIGITS, b'0');
                number(&digits).map(Self::Date)
            }
        };
        of_digits.unwrap_or(Self::Nothing)
    }
}

/// Where a file belongs among those of one log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age {
    mark: Mark,
    /// Of an archive, that is when it was made.
    born: Option<SystemTime>,
    modified: Option<SystemTime>,
}

/// How the files of one log are ordered: by what their names say, else by when they were last
/// written, which a rename keeps, and so does who compresses.
///
/// Names tell more. Whoever had a file open may write to it after it was renamed, and after the
/// next one was as well; and a file that is copied and cut, and then renamed, came to be before
/// its copies did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The higher number is the older file, as logrotate has it; or the younger one.
    Number {
        is_older: bool,
    },
    Date,
    Time,
}

impl Age {
    pub(super) fn of(path: &Path, stat: &Stat) -> Self {
        let born = stat.born.filter(|_| !is_packed(path));
        Self { mark: Mark::of(path), born, modified: stat.modified }
    }
}

impl Order {
    /// What the names of these files show.
    pub(super) fn of(ages: &[Age]) -> Self {
        let is_of = |kind: fn(&Mark) -> bool| ages.iter().all(|age| kind(&age.mark));
        if is_of(|mark| matches!(mark, Mark::Date(_))) {
            return Self::Date;
        }
        if !is_of(|mark| matches!(mark, Mark::Number(_))) {
            return Self::Time;
        }
        let mut ages: Vec<Age> = ages.iter().filter(|age| age.born.is_some()).copied().collect();
        ages.sort_by(|one, two| Self::Number { is_older: false }.compare(one, two));
        // Two files of which one came to be later, and was written later, show which way it is.
        let votes = ages.windows(2).map(|pair| match pair {
            [one, two] if one.born < two.born && one.modified < two.modified => -1,
            [one, two] if one.born > two.born && one.modified > two.modified => 1,
            _ => 0,
        });
        Self::Number { is_older: votes.sum::<i64>() >= 0 }
    }

    /// Whether a file came after another one.
    pub(super) fn is_after(self, one: &Age, two: &Age) -> bool {
        self.compare(one, two).is_gt()
    }

    pub(super) fn compare(self, one: &Age, two: &Age) -> Ordering {
        let by_time = one.modified.cmp(&two.modified);
        match (self, one.mark, two.mark) {
            (Self::Number { is_older: true }, Mark::Number(one), Mark::Number(two)) => {
                two.cmp(&one).then(by_time)
            }
            (Self::Number { .. }, Mark::Number(one), Mark::Number(two)) => {
                one.cmp(&two).then(by_time)
            }
            (Self::Date, Mark::Date(one), Mark::Date(two)) => one.cmp(&two).then(by_time),
            (_, one, two) => by_time.then(one.cmp(&two)),
        }
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

    /// Names, and when each file came to be and was last written.
    fn sorted<const N: usize>(names: [(&str, u64, u64); N]) -> [&str; N] {
        let time = |seconds| Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        let age = |(name, born, modified): &(&str, u64, u64)| Age {
            mark: Mark::of(Path::new(name)),
            born: time(*born).filter(|_| !is_packed(Path::new(name))),
            modified: time(*modified),
        };
        let mut files = names.to_vec();
        let order = Order::of(&files.iter().map(age).collect::<Vec<_>>());
        files.sort_by(|one, two| order.compare(&age(one), &age(two)));
        files.iter().map(|(name, ..)| *name).collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn the_higher_number_is_the_older_file_and_the_earlier_date_too() {
        // Somebody has written to one after the next one was there.
        let names = [("a.log.1", 3, 7), ("a.log.10", 1, 9), ("a.log.2.gz", 9, 8)];
        assert_eq!(sorted(names), ["a.log.10", "a.log.2.gz", "a.log.1"]);
        // Some count upwards.
        let names = [("a.log.3", 5, 6), ("a.log.1", 1, 9), ("a.log.2", 3, 4)];
        assert_eq!(sorted(names), ["a.log.1", "a.log.2", "a.log.3"]);
        let names = [("a-20261123", 1, 1), ("a-20261101", 2, 2), ("a-20261122.gz", 3, 3)];
        assert_eq!(sorted(names), ["a-20261101", "a-20261122.gz", "a-20261123"]);
        let names = [("a.log.2026-11-09", 2, 2), ("a.log.2026-10-31", 3, 3)];
        assert_eq!(sorted(names), ["a.log.2026-10-31", "a.log.2026-11-09"]);
        let names = [("a-20261123-080000.log", 1, 1), ("a-20261122-235959.log", 2, 2)];
        assert_eq!(sorted(names), ["a-20261122-235959.log", "a-20261123-080000.log"]);
        // Of several kinds, and with a number that is none of a rotation.
        let names = [("app7.log.1", 3, 3), ("app7.log-20261123", 2, 2), ("app7.log.old", 1, 1)];
        assert_eq!(sorted(names), ["app7.log.old", "app7.log-20261123", "app7.log.1"]);
        assert_eq!(Mark::of(Path::new("app-2026.log")), Mark::Number(2026));
        assert_eq!(Mark::of(Path::new("app7.log.3")), Mark::Number(3));
    }
}
