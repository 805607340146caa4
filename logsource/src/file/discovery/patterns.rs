//! Which files are meant: paths and patterns, and what is left out of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component as Step, Path, PathBuf};
use std::sync::Arc;

use super::glob::{self, Component};
use super::trie::{End, Nodes, Root, Trie};
use crate::Error;

/// More files than this are not followed by one source, unless it is asked for.
const MAX_FILES: usize = 100_000;

/// Paths and patterns of files, and those to leave out.
///
/// A pattern is as in a shell: `*` and `?` stay within a name, `[a-z]` and `[!a-z]` are one
/// character of it, `**` as a whole name is any number of directories, `{a,b}` is either, `\` takes
/// what follows as it is. A leading dot is matched by a dot alone. A path at which there is a file
/// is that file, whatever its name looks like. Links are followed, to files and to directories;
/// `**` does not enter a directory that it is in already.
///
/// What is left out is found with leading dots, too. A relative pattern to leave out may begin at
/// any directory (`*.gz`, `archive/*.log`), and one that matches a directory leaves out all in it,
/// unless an include names that directory without a wildcard and the pattern is relative.
#[derive(Debug, Clone)]
pub(in crate::file) struct Patterns {
    tries: Arc<Tries>,
    limit: usize,
}

#[derive(Debug)]
struct Tries {
    include: Trie,
    exclude: Trie,
    /// The paths that are named without a wildcard.
    named: Vec<PathBuf>,
    /// They are all that there is.
    all_named: bool,
    /// What is included, for messages.
    shown: String,
}

/// Where a directory is among the patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::file) struct Place {
    include: Nodes,
    exclude: Nodes,
}

/// What a name would be to the patterns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fit {
    /// A file of that name is meant.
    pub(super) file: bool,
    /// Files that are meant can be in a directory of that name.
    pub(super) directory: bool,
}

impl Patterns {
    /// Reads patterns. It is looked once whether there are files of just these names.
    ///
    /// # Errors
    /// If there is nothing to include, something cannot be read as a pattern, or names a directory.
    pub(in crate::file) fn new(include: &[PathBuf], exclude: &[PathBuf]) -> Result<Self, Error> {
        if include.is_empty() {
            return Err(Error::invalid("there is no path to follow; name a file, or a pattern"));
        }
        let (mut included, mut excluded) = (Trie::new(false), Trie::new(true));
        let (mut named, mut all_named) = (Vec::new(), true);
        for path in include {
            let root = root(path);
            for components in included_paths(path)? {
                let name = named_path(root, &components);
                all_named &= name.is_some();
                named.extend(name);
                included.insert(root, &components, End::Whole);
            }
        }
        for path in exclude {
            for components in alternatives(path)? {
                if components.is_empty() {
                    let shown = path.display();
                    return Err(Error::invalid(format!("`{shown}` leaves nothing out")));
                }
                match root(path) {
                    Root::Absolute => excluded.insert(Root::Absolute, &components, End::Whole),
                    Root::Relative => {
                        let mut floating = vec![Component::AnyDepth];
                        floating.extend(components);
                        excluded.insert(Root::Absolute, &floating, End::Floating);
                        excluded.insert(Root::Relative, &floating, End::Floating);
                    }
                }
            }
        }
        named.sort();
        named.dedup();
        let shown = match include {
            [one] => format!("`{}`", one.display()),
            [first, rest @ ..] => format!("`{}` and {} more", first.display(), rest.len()),
            [] => String::new(),
        };
        let tries = Tries { include: included, exclude: excluded, named, all_named, shown };
        Ok(Self { tries: Arc::new(tries), limit: MAX_FILES })
    }

    /// More files than this are not found; 100,000 if not set.
    #[must_use]
    pub(in crate::file) fn limit(mut self, files: usize) -> Self {
        self.limit = files;
        self
    }

    /// The paths that are named without a wildcard, whether there is such a file or not.
    pub(in crate::file) fn named(&self) -> &[PathBuf] {
        &self.tries.named
    }

    /// Whether one file alone is meant, whichever bears the name.
    pub(in crate::file) fn is_one(&self) -> bool {
        self.tries.all_named && self.tries.named.len() == 1
    }

    /// What is included, in quotes, for messages.
    pub(in crate::file) fn shown(&self) -> &str {
        &self.tries.shown
    }

    /// Whether a file of this path is meant.
    pub(in crate::file) fn matches(&self, path: &Path) -> bool {
        let (mut place, mut next) = (self.start(root(path)), Place::default());
        let mut fit = Fit::default();
        for name in names(path) {
            fit = self.enter(&place, name.as_bytes(), &mut next);
            if next.include.is_empty() {
                return false;
            }
            std::mem::swap(&mut place, &mut next);
        }
        fit.file
    }

    pub(in crate::file) fn most(&self) -> usize {
        self.limit
    }

    pub(super) fn start(&self, root: Root) -> Place {
        Place { include: self.tries.include.start(root), exclude: self.tries.exclude.start(root) }
    }

    /// What a name in a directory is. Its own place, should it be a directory, is put into `next`.
    pub(super) fn enter(&self, place: &Place, name: &[u8], next: &mut Place) -> Fit {
        let Tries { include, exclude, .. } = &*self.tries;
        include.step(&place.include, name, &mut next.include);
        if next.include.is_empty() {
            next.exclude.clear();
            return Fit::default();
        }
        exclude.step(&place.exclude, name, &mut next.exclude);
        let file = include.end(&next.include).is_some();
        match exclude.end(&next.exclude) {
            None => Fit { file, directory: include.goes_on(&next.include) },
            Some(End::Floating) => {
                include.keep_plain(&mut next.include);
                Fit { file: false, directory: include.goes_on(&next.include) }
            }
            Some(End::Whole) => {
                next.include.clear();
                Fit::default()
            }
        }
    }

    pub(super) fn needs_listing(&self, place: &Place) -> bool {
        self.tries.include.needs_listing(&place.include)
    }

    /// The names in a directory that are asked for without a wildcard.
    pub(super) fn names<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = &'a [u8]> {
        self.tries.include.names(&place.include)
    }

    /// For a directory that is in itself: `**` ends there.
    pub(super) fn end_any_depth(&self, place: &mut Place) {
        self.tries.include.drop_any_depth(&mut place.include);
    }

    pub(super) fn goes_on(&self, place: &Place) -> bool {
        self.tries.include.goes_on(&place.include)
    }
}

pub(super) fn root(path: &Path) -> Root {
    if path.is_absolute() { Root::Absolute } else { Root::Relative }
}

/// The names of a path from its root on.
pub(super) fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components()
        .filter(|step| !matches!(step, Step::RootDir | Step::CurDir | Step::Prefix(_)))
        .map(Step::as_os_str)
}

fn included_paths(path: &Path) -> Result<Vec<Vec<Component>>, Error> {
    let shown = path.display();
    let bytes = path.as_os_str().as_bytes();
    let meta = std::fs::metadata(path);
    if meta.as_ref().is_ok_and(std::fs::Metadata::is_dir) || bytes.ends_with(b"/") {
        let shown = shown.to_string();
        let shown = shown.trim_end_matches('/');
        return Err(Error::invalid(format!(
            "{shown}/ is a directory; name the files in it, as in {shown}/*.log, or \
             {shown}/**/*.log for those below it, too"
        )));
    }
    // A file of that very name wins over a pattern.
    let paths = if meta.is_ok() || !glob::is_pattern(bytes) {
        vec![glob::plain(bytes)]
    } else {
        alternatives(path)?
    };
    let names_no_file = |components: &Vec<Component>| match components.last() {
        None => true,
        Some(Component::Plain(name)) => **name == *b"..",
        Some(_) => false,
    };
    if paths.iter().any(names_no_file) {
        return Err(Error::invalid(format!("`{shown}` names no file; give the path of one")));
    }
    Ok(paths)
}

fn alternatives(path: &Path) -> Result<Vec<Vec<Component>>, Error> {
    let bytes = path.as_os_str().as_bytes();
    glob::parse(bytes).map_err(|fault| {
        let (shown, place) = (path.display(), fault.at + 1);
        Error::invalid(format!("in the pattern `{shown}`, at byte {place}: {}", fault.what))
    })
}

fn named_path(root: Root, components: &[Component]) -> Option<PathBuf> {
    let mut path = PathBuf::from(if root == Root::Absolute { "/" } else { "" });
    for component in components {
        let Component::Plain(name) = component else { return None };
        path.push(OsStr::from_bytes(name));
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(include: &[&str], exclude: &[&str]) -> Result<Patterns, Error> {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        Patterns::new(&paths(include), &paths(exclude))
    }

    #[test]
    fn a_path_is_matched_whole() {
        let patterns = new(
            &["/v/**/*.log", "/v/{a,b}/x", "rel/*.txt", "/v/p/d/keep", "/v/.h/*"],
            &["*.1.log", "archive/**", "/v/private", "d", "/v/z/**/no.log"],
        )
        .unwrap();
        let yes = [
            "/v/a.log",
            "/v/s/t/a.log",
            "/v/b/x",
            "//v/./a.log",
            "rel/a.txt",
            "./rel/a.txt",
            "/v/p/d/keep",
            "/v/.h/x",
            "/v/z/yes.log",
        ];
        let no = [
            "/v",
            "/v/c/x",
            "/v/a.1.log",
            "/v/.h.log",
            "/v/.h/t/a.log",
            "/v/s/archive/a.log",
            "/v/private/a.log",
            "/v/p/d/a.log",
            "/rel/a.txt",
            "rel",
            "/v/z/no.log",
            "/v/z/y/no.log",
            "/v/b/x/y",
            "/v/.h/.x",
        ];
        // A directory that an include names plainly stays, and so does what is asked for in it.
        let inside = new(&["/v/a/**/*.log", "/v/b/*.log"], &["a", "b"]).unwrap();
        assert!(
            inside.matches(Path::new("/v/a/c/x.log")) && inside.matches(Path::new("/v/b/x.log"))
        );
        assert!(!inside.matches(Path::new("/v/a/b/x.log")));
        for path in yes {
            assert!(patterns.matches(Path::new(path)), "{path}");
        }
        for path in no {
            assert!(!patterns.matches(Path::new(path)), "{path}");
        }
        let named: Vec<_> = ["/v/a/x", "/v/b/x", "/v/p/d/keep"].map(PathBuf::from).into();
        assert_eq!(patterns.named(), named);
    }

    #[test]
    fn what_cannot_be_a_pattern_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let shown = dir.path().display();
        let cases = [
            (dir.path().to_str().unwrap(), format!("as in {shown}/*.log")),
            ("/none/", "as in /none/*.log".to_owned()),
            ("", "names no file".to_owned()),
            ("/v/*/..", "names no file".to_owned()),
            ("/v/[a.log", "in the pattern `/v/[a.log`, at byte 4: the `[` is".to_owned()),
        ];
        for (pattern, says) in cases {
            let error = new(&[pattern], &[]).unwrap_err().to_string();
            assert!(error.contains(&says), "{error}");
        }
        for (include, exclude) in [(&[][..], &[][..]), (&["a"][..], &[""][..]), (&["a"], &["{"])] {
            assert!(new(include, exclude).is_err());
        }
    }

    #[test]
    fn a_file_of_that_very_name_wins_over_a_pattern() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app[1].log");
        let patterns = Patterns::new(std::slice::from_ref(&path), &[]).unwrap();
        assert!(patterns.matches(&dir.path().join("app1.log")) && !patterns.matches(&path));
        std::fs::write(&path, "").unwrap();
        let patterns = Patterns::new(std::slice::from_ref(&path), &[]).unwrap();
        assert!(!patterns.matches(&dir.path().join("app1.log")) && patterns.matches(&path));
    }
}
