//! Reading rule files, and knowing cheaply whether they must be read again.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::document::MAX_BYTES;
use crate::source::{Format, SourceText};

/// A file changed this recently may change again without its time stamp moving.
const RACY: Duration = Duration::from_secs(2);

/// Files and directories that hold rules.
#[derive(Debug)]
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    /// The files' metadata at the last look; `None` when it proves nothing.
    stamp: Option<u64>,
}

/// What the files held at one moment.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) sources: Result<Vec<SourceText>, ReadError>,
}

#[derive(Debug, Clone)]
pub(crate) struct ReadError {
    pub(crate) path: PathBuf,
    pub(crate) error: Arc<io::Error>,
}

impl Look {
    /// Of the text itself, or of the error: two looks with the same one need to be judged once.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match &self.sources {
            Ok(sources) => {
                for source in sources {
                    (&source.name, &source.text).hash(&mut hasher);
                }
            }
            Err(error) => (&error.path, error.error.to_string()).hash(&mut hasher),
        }
        hasher.finish()
    }
}

impl Files {
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths, stamp: None }
    }

    /// Whether the files may hold something else than at the last look. Costs a `stat` per file.
    pub(crate) fn touched(&self) -> bool {
        self.stamp.is_none() || self.take_stamp() != self.stamp
    }

    /// Reads every file by itself.
    pub(crate) fn read(&self) -> Result<Vec<(PathBuf, SourceText)>, ReadError> {
        let files = list(&self.paths)?;
        files.into_iter().map(|file| read(&file).map(|source| (file, source))).collect()
    }

    /// Reads everything.
    pub(crate) fn look(&mut self) -> Look {
        // Taken before reading: what changes in between is found by the next comparison.
        self.stamp = self.take_stamp();
        let files = self.read();
        Look { sources: files.map(|files| files.into_iter().map(|(_, source)| source).collect()) }
    }

    fn take_stamp(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        for path in list(&self.paths).ok()? {
            let metadata = fs::metadata(&path).ok()?;
            path.hash(&mut hasher);
            identity(&metadata)?.hash(&mut hasher);
        }
        Some(hasher.finish())
    }
}

/// What changes when a file does; `None` when it is too fresh to tell.
fn identity(metadata: &Metadata) -> Option<(u64, SystemTime, [i64; 4])> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a shell: file times are compared with the clock"
    )]
    let now = SystemTime::now();
    let modified = metadata.modified().ok()?;
    let settled = now.duration_since(modified).is_ok_and(|age| age > RACY);
    #[cfg(unix)]
    let inode = {
        use std::os::unix::fs::MetadataExt as _;
        let ino = metadata.ino().cast_signed();
        [metadata.dev().cast_signed(), ino, metadata.ctime(), metadata.ctime_nsec()]
    };
    #[cfg(not(unix))]
    let inode = [0; 4];
    settled.then_some((metadata.len(), modified, inode))
}

fn list(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ReadError> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |error| ReadError { path: path.clone(), error: Arc::new(error) };
        if !fs::metadata(path).map_err(failed)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            // Editors' swap files and Kubernetes' `..data` are hidden files.
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or(".");
            if !name.starts_with('.') && format(&file).is_some() && file.is_file() {
                found.push(file);
            }
        }
        found.sort();
        files.extend(found);
    }
    files.dedup();
    Ok(files)
}

fn format(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "yaml" | "yml" => Some(Format::Yaml),
        "json" => Some(Format::Json),
        _ => None,
    }
}

fn read(path: &Path) -> Result<SourceText, ReadError> {
    let failed = |error| ReadError { path: path.to_owned(), error: Arc::new(error) };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MAX_BYTES as u64 {
        let message = format!("it has {size} bytes; the limit is {MAX_BYTES}");
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, message)));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    // A file that was named outright may have any extension; YAML reads JSON too.
    let format = format(path).unwrap_or(Format::Yaml);
    Ok(SourceText { name: path.display().to_string(), text, format })
}
