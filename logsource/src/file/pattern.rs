//! Which files: one path, or a pattern in the last component.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// More files than this are not followed by one source.
const MAX_FILES: usize = 10_000;

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    directory: PathBuf,
    name: Box<[u8]>,
    is_glob: bool,
}

impl Pattern {
    pub(super) fn new(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let Some(name) = path.file_name() else {
            return Err(Error::invalid(format!("`{shown}` names no file")));
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new("."));
        if directory.as_os_str().as_bytes().contains(&b'*') {
            return Err(Error::invalid(format!(
                "`{shown}` has a pattern in a directory's name; a pattern can stand in the last \
                 component only, so add one source for each directory"
            )));
        }
        if path.is_dir() {
            return Err(Error::invalid(format!(
                "{shown} is a directory; name the files in it, as in {shown}/*.log"
            )));
        }
        // A file of that very name wins over a pattern.
        let is_glob = name.as_bytes().iter().any(|b| b"*?[".contains(b)) && !path.exists();
        Ok(Self { directory: directory.to_owned(), name: name.as_bytes().into(), is_glob })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn is_glob(&self) -> bool {
        self.is_glob
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        if self.is_glob { glob(&self.name, name) } else { *self.name == *name }
    }

    /// The paths to follow now, by name. A plain path is one even while there is no such file.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        if !self.is_glob {
            return vec![self.directory.join(OsStr::from_bytes(&self.name))];
        }
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        let entries = entries.filter_map(Result::ok);
        let names = entries.map(|entry| entry.file_name());
        let found = names.filter(|name| self.matches(name.as_bytes()));
        let mut paths: Vec<PathBuf> =
            found.map(|name| self.directory.join(name)).filter(|path| path.is_file()).collect();
        paths.sort();
        if paths.len() > MAX_FILES {
            let all = paths.len();
            tracing::warn!(all, followed = MAX_FILES, "pattern matches too many files");
            paths.truncate(MAX_FILES);
        }
        paths
    }
}

/// `*`, `?` and `[a-z]`/`[!a-z]`, as a shell would; a leading dot is matched by a dot alone.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    // Where to go on if the rest does not fit: the last star takes one more byte.
    let mut retry = None;
    loop {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, n));
                continue;
            }
            Some(_) if n < name.len() => {
                if let Some(width) = one(&pattern[p..], name[n]) {
                    (p, n) = (p + width, n + 1);
                    continue;
                }
            }
            None if n == name.len() => return true,
            _ => {}
        }
        match retry {
            Some((star, from)) if from < name.len() => {
                retry = Some((star, from + 1));
                (p, n) = (star, from + 1);
            }
            _ => return false,
        }
    }
}

/// How many bytes of the pattern match this one byte of the name.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (negated, class) = match class {
                [b'!' | b'^', class @ ..] => (true, class),
                _ => (false, class),
            };
            // A bracket that is never closed is a plain one.
            let Some(len) = class.iter().skip(1).position(|b| *b == b']').map(|at| at + 1) else {
                return (byte == b'[').then_some(1);
            };
            let (mut found, mut rest) = (false, &class[..len]);
            while let Some((&first, after)) = rest.split_first() {
                if let [b'-', last, after @ ..] = after {
                    found |= (first..=*last).contains(&byte);
                    rest = after;
                } else {
                    found |= first == byte;
                    rest = after;
                }
            }
            (found != negated).then_some(2 + usize::from(negated) + len)
        }
        [plain, ..] => (*plain == byte).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let yes = [
            ("*.log", "app.log"),
            ("app-?.log", "app-1.log"),
            ("a*b*c", "a-b-b-c"),
            ("[a-c]*.log", "b.log"),
            ("[!0-9].log", "x.log"),
            ("*", "x"),
            (".*", ".x"),
            ("x[", "x["),
            ("[]]", "]"),
        ];
        let no = [
            ("*.log", "app.log.1"),
            ("app-?.log", "app-10.log"),
            ("[a-c]*.log", "d.log"),
            ("[!0-9].log", "1.log"),
            ("*", ".hidden"),
            ("a*b", "a"),
        ];
        for (pattern, name) in yes {
            assert!(glob(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!glob(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }
}
