//! `birl rules fmt`: rule files written in one way, in place.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use birl_rules_dsl::reload::RuleFiles;
use birl_rules_dsl::{Diagnostics, SourceText, format};

use crate::cli::Shown;
use crate::failure::Failure;
use crate::rules::Answers;

/// More of standard input is not read; the library refuses less than this.
const MAX_INPUT: u64 = 64 * 1024 * 1024;

pub(crate) fn fmt(paths: &[PathBuf], check: bool) -> Result<(), Failure> {
    let (streams, paths): (Vec<_>, Vec<_>) = paths.iter().partition(|path| path.as_os_str() == "-");
    let files = RuleFiles::read(paths).map_err(Failure::input)?;
    let mut done = Done { out: Answers::new(Some(Shown::Text)), changed: 0, wrong: Vec::new() };
    if !streams.is_empty() {
        done.stream(check)?;
    }
    let mut seen = HashSet::new();
    for (path, source) in &files {
        // Behind a link is what must be replaced, and a file that is named twice is one.
        let target = fs::canonicalize(path).map_err(|error| unwritten(path, &error))?;
        if seen.insert(target.clone()) {
            done.file(source, &target, check)?;
        }
    }
    done.end(check)
}

/// What came of the files so far.
struct Done {
    out: Answers,
    changed: usize,
    wrong: Vec<Diagnostics>,
}

impl Done {
    fn stream(&mut self, check: bool) -> Result<(), Failure> {
        let mut text = String::new();
        io::stdin()
            .lock()
            .take(MAX_INPUT)
            .read_to_string(&mut text)
            .map_err(|error| Failure::input(format!("standard input cannot be read: {error}")))?;
        let source = SourceText::yaml("<stdin>", text);
        match format(&source) {
            Err(wrong) => self.wrong.push(wrong),
            Ok(new) if !check => self.out.text(&new)?,
            Ok(new) if new != source.text => {
                self.changed += 1;
                self.out.line(&source.name)?;
            }
            Ok(_) => {}
        }
        Ok(())
    }

    fn file(&mut self, source: &SourceText, target: &Path, check: bool) -> Result<(), Failure> {
        match format(source) {
            Err(wrong) => self.wrong.push(wrong),
            Ok(new) if new != source.text => {
                if !check {
                    replace(target, &new).map_err(|error| unwritten(target, &error))?;
                }
                self.changed += 1;
                self.out.line(&source.name)?;
            }
            Ok(_) => {}
        }
        Ok(())
    }

    fn end(self, check: bool) -> Result<(), Failure> {
        if !self.wrong.is_empty() {
            let mistakes: Vec<String> = self.wrong.iter().map(ToString::to_string).collect();
            return Err(Failure::input(mistakes.join("\n").trim_end()));
        }
        match self.changed {
            0 => Ok(()),
            _ if !check => Ok(()),
            1 => Err(Failure::running("1 file is not formatted")),
            many => Err(Failure::running(format!("{many} files are not formatted"))),
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::running(format!("cannot write {}: {error}", path.display()))
}

/// Whoever reads the file meanwhile sees the old text or the new one, and nothing in between.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    if permissions.readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    // Hidden, so that a program that watches the folder does not take it for rules.
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    let written = write(&new, text, permissions).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What failed is told; that the half-written copy may stay is not worth a second complaint.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write(path: &Path, text: &str, permissions: fs::Permissions) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_replaced_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::create_dir(&path).unwrap();
        replace(&path, "rules: []\n").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
