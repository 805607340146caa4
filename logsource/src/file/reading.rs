//! One open file, read from one offset on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::identity::{self, Opened};
use crate::cursor::{FileId, FileMark, Place};
use crate::framing::Framer;
use crate::ledger::Book;
use crate::metrics::{Count, DropReason, SourceMetrics};
use crate::shell::{Store, now};
use crate::slab::Pool;
use crate::{Ack, Batch, Cursor, Origin};

/// What every file of a source shares.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) origin: Arc<Origin>,
    pub(super) metrics: Arc<SourceMetrics>,
    pub(super) pool: Arc<Pool>,
    pub(super) max_line: usize,
    /// Where acknowledged places go; none for a `read`, which moves nothing.
    pub(super) store: Option<Arc<Store>>,
}

/// A file, how far it is read, and who is told how far it is acknowledged.
#[derive(Debug)]
pub(super) struct Reading {
    shared: Shared,
    path: Arc<Path>,
    labels: Arc<BTreeMap<String, String>>,
    file: File,
    id: Arc<FileId>,
    framer: Framer,
    /// The offset of the slab's first byte.
    base: u64,
    /// The offset to read at.
    at: u64,
    book: Option<Arc<Book>>,
    /// Its time of modification at the last look.
    modified: (i64, i64),
    /// When it was last seen to grow, or lost its name.
    pub(super) touched: Instant,
}

/// What one look into a file gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// Bytes; more may follow at once.
    More,
    /// Fewer bytes than there was room for: that is all there is now.
    Last,
    /// Nothing new.
    Nothing,
}

impl Reading {
    pub(super) fn new(shared: &Shared, path: &Arc<Path>, opened: Opened, offset: u64) -> Self {
        let mut labels = shared.origin.labels().as_ref().clone();
        labels.insert("path".to_owned(), path.to_string_lossy().into_owned());
        let Opened { file, dev, ino, head, .. } = opened;
        let id = Arc::new(FileId { path: path.to_path_buf(), dev, ino, head });
        let mut reading = Self {
            shared: shared.clone(),
            path: Arc::clone(path),
            labels: Arc::new(labels),
            file,
            id,
            framer: Framer::new(Arc::clone(&shared.pool), shared.max_line),
            base: offset,
            at: offset,
            book: None,
            modified: (0, 0),
            touched: crate::shell::ticks(),
        };
        reading.open_book();
        reading
    }

    /// From here on acknowledgements count for the file as it is now. The place is told at once,
    /// so that a run that never acknowledged anything begins again where this one did.
    fn open_book(&mut self) {
        // If the file is written anew in place, acks of the old content say nothing any more.
        if let Some(old) = &self.book {
            old.close();
        }
        let Some(store) = &self.shared.store else { return };
        let (store, key) = (Arc::clone(store), self.key());
        store.set(&key, &self.place(self.base));
        self.book = Some(Book::new(move |place| store.set(&key, place)));
    }

    pub(super) fn key(&self) -> String {
        format!("{}:{}:{}", self.id.dev, self.id.ino, self.path.display())
    }

    /// Whether the file has no name left.
    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() == 0)
    }

    pub(super) fn head(&self) -> crate::cursor::Head {
        self.id.head
    }

    /// The place after everything that was taken as batches.
    pub(super) fn mark(&self) -> FileMark {
        FileMark { file: Arc::clone(&self.id), offset: self.base }
    }

    /// Whether every batch is acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.book.as_ref().is_none_or(|book| book.is_settled())
    }

    /// Reads once, unless the slab is full.
    pub(super) fn fill(&mut self) -> io::Result<Filled> {
        let room = self.framer.room();
        if room.is_empty() {
            return Ok(Filled::More);
        }
        let space = room.len();
        let read = loop {
            match self.file.read_at(room, self.at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.framer.fed(read);
        self.at += read as u64;
        Ok(match read {
            0 => Filled::Nothing,
            _ if read < space => Filled::Last,
            _ => Filled::More,
        })
    }

    /// Whether the slab must be taken before more can be read.
    pub(super) fn is_full(&mut self) -> bool {
        self.framer.room().is_empty()
    }

    /// Whether no whole line is left, after a `take`.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        // What a `take` left over is read again from where it stopped.
        self.framer.clear();
        self.at = self.base;
        loop {
            let filled = self.fill()?;
            if self.framer.has_lines() {
                return Ok(false);
            }
            if filled != Filled::More {
                return Ok(true);
            }
            self.framer.take();
        }
    }

    /// Takes the finished lines as a batch, at most `max` of them.
    pub(super) fn take(&mut self, max: usize) -> Option<Batch> {
        let mut framed = self.framer.take()?;
        let base = self.base;
        let metrics = Arc::clone(&self.shared.metrics);
        metrics.drop_lines(DropReason::LineTooLong, framed.too_long);
        self.base += framed.consumed;
        if let Some(line) = framed.table.lines.get(max) {
            // Only a `read` asks for fewer lines than there are, and it goes no further.
            framed.table.filled = line.start as usize;
            framed.table.lines.truncate(max);
            self.base = base + framed.table.filled as u64;
        }
        if framed.table.lines.is_empty() {
            return None;
        }
        self.grow_head();
        let cursor = self.place(self.base);
        let ack = match &self.book {
            Some(book) => book.issue(cursor.clone()),
            None => Ack::nothing(),
        };
        let batch = Batch::new(Arc::clone(&self.shared.origin), framed.table, now(), cursor)
            .of_file(Arc::clone(&self.path), Arc::clone(&self.labels))
            .based_at(self.place(base))
            .with_ack(ack);
        // A `read` is no progress, so it counts nothing.
        Some(if self.book.is_some() { batch.counted_by(&metrics) } else { batch })
    }

    /// Everything that is held, an unfinished last line too: it is all there ever was.
    pub(super) fn take_rest(&mut self) -> impl Iterator<Item = Batch> {
        std::iter::from_fn(|| {
            self.framer.finish();
            self.take(usize::MAX)
        })
    }

    /// Ends the last line: nobody will write to this file any more.
    pub(super) fn finish(&mut self) {
        self.framer.finish();
    }

    /// Whether the file has become shorter than what was read of it, or is as long and another.
    pub(super) fn is_cut(&mut self) -> io::Result<bool> {
        let meta = self.file.metadata()?;
        let modified = (meta.mtime(), meta.mtime_nsec());
        let is_written = std::mem::replace(&mut self.modified, modified) != modified;
        let is_other = || !identity::begins_with(&self.file, self.id.head);
        Ok(meta.len() < self.at || (is_written && meta.len() == self.at && is_other()))
    }

    /// Begins anew: the file was written anew in place.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.shared.metrics.add(Count::Truncations, 1);
        self.framer.clear();
        (self.base, self.at) = (0, 0);
        let mut id = self.id.as_ref().clone();
        id.head = identity::head(&self.file)?;
        self.id = Arc::new(id);
        self.open_book();
        Ok(())
    }

    /// How much is written and not yet taken.
    pub(super) fn lag(&self) -> u64 {
        let size = self.file.metadata().map_or(0, |meta| meta.len());
        size.saturating_sub(self.base)
    }

    /// Whether part of a line is held.
    pub(super) fn has_partial(&self) -> bool {
        self.framer.pending() > 0
    }

    fn grow_head(&mut self) {
        if !identity::is_short(self.id.head) {
            return;
        }
        // If it cannot be read now, the shorter one still tells the file.
        if let Ok(head) = identity::head(&self.file)
            && head != self.id.head
        {
            self.id = Arc::new(FileId { head, ..self.id.as_ref().clone() });
        }
    }

    fn place(&self, offset: u64) -> Cursor {
        Cursor(Place::File(FileMark { file: Arc::clone(&self.id), offset }))
    }
}
