//! When a worker counts as ready.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use super::builder::Plan;

/// How often a file is looked at for the line that says "ready".
const LOOK: Duration = Duration::from_millis(20);

/// The most that is read of that file at a time.
const CHUNK: u64 = 64 * 1024;

/// When a worker counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ready {
    /// As soon as its process exists.
    Spawned,
    /// When it has run for this long without ending.
    After(Duration),
    /// When a line that was written to `path` after the start holds `contains`, such as
    /// `"instance":"{instance}"`; the placeholders are those of the arguments.
    FileLine {
        /// The file: the worker's log.
        path: PathBuf,
        /// What the line holds.
        contains: String,
    },
}

impl Ready {
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::FileLine { contains, .. } if contains.is_empty() => {
                Some("the line that says \"ready\" must hold some text".into())
            }
            _ => None,
        }
    }

    /// A watch over worker `number`, to be made before it is started.
    pub(crate) fn watch(&self, plan: &Plan, number: u32) -> ReadyWatch {
        match self {
            Self::Spawned => ReadyWatch::Delay(Duration::ZERO),
            Self::After(delay) => ReadyWatch::Delay(*delay),
            Self::FileLine { path, contains } => {
                let path = PathBuf::from(plan.fill(path.as_os_str(), number));
                let text = plan.fill(contains.as_ref(), number);
                ReadyWatch::Line(FileWatch {
                    offset: std::fs::metadata(&path).map_or(0, |meta| meta.len()),
                    path,
                    text: text.to_string_lossy().into_owned(),
                    partial: Vec::new(),
                })
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum ReadyWatch {
    Delay(Duration),
    Line(FileWatch),
}

/// Reads what is added to a file until a line holds a text.
#[derive(Debug)]
pub(crate) struct FileWatch {
    path: PathBuf,
    text: String,
    offset: u64,
    /// The start of a line whose end has not been written yet.
    partial: Vec<u8>,
}

impl ReadyWatch {
    /// Returns when the worker is ready, which may be never. Cancel-safe: asked again, it goes on.
    pub(crate) async fn ready(&mut self) {
        match self {
            Self::Delay(delay) => sleep(*delay).await,
            Self::Line(watch) => {
                // The reads are small and from the page cache; a file that cannot be read yet is
                // one that the worker has not made yet.
                loop {
                    match watch.look().unwrap_or(Look::End) {
                        Look::Found => return,
                        Look::More => tokio::task::yield_now().await,
                        Look::End => sleep(LOOK).await,
                    }
                }
            }
        }
    }
}

/// What a look at the file found.
enum Look {
    Found,
    /// Nothing yet, but there is more to read: a busy log.
    More,
    /// Nothing, up to the end.
    End,
}

impl FileWatch {
    fn look(&mut self) -> io::Result<Look> {
        let mut file = File::open(&self.path as &Path)?;
        if file.metadata()?.len() < self.offset {
            self.offset = 0; // truncated
            self.partial.clear();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let read = file.take(CHUNK).read_to_end(&mut self.partial)?;
        self.offset += read as u64;
        let end = self.partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let found = self.partial[..end]
            .split(|byte| *byte == b'\n')
            .any(|line| String::from_utf8_lossy(line).contains(&self.text));
        self.partial.drain(..end);
        if self.partial.len() as u64 > CHUNK {
            self.partial.clear(); // a line without an end is not one to wait for
        }
        Ok(match found {
            true => Look::Found,
            false if read as u64 == CHUNK => Look::More,
            false => Look::End,
        })
    }
}
