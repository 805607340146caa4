//! Copies and archives of what is read: there is nothing new in them, but they tell of a cut that
//! the file itself does not show.
//!
//! A file that was cut and written anew is known by what stands before the place that was reached.
//! Where all that was read is a header, or nothing at all, that is the same after the cut. Then it
//! is the copy that was made before the cut (`copytruncate`) which shows it: it begins with what
//! was read, and goes on in another way than the file does now.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::siblings::Sibling;
use super::{Account, Follower, Kept, Reading};
use crate::cursor::FileMark;
use crate::file::catalog::{Inode, Known};
use crate::file::content::Content;
use crate::file::disk::{Disk, Handle};
use crate::file::family;
use crate::file::identity::{self, Likeness, Opened};
use crate::metrics::DropReason;
use crate::shell::now;

/// A directory that was changed so lately may be changed again without its time being another.
const COARSE: Duration = Duration::from_millis(100);

/// So often others are looked for anew since a file was cut meanwhile.
pub(super) const MAX_CUTS: usize = 4;

/// When it was last looked for copies, and how the directories were then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Looked(Vec<Option<SystemTime>>);

/// Other files of the log, open.
type Files<F> = Vec<(Sibling, Opened<F>)>;

/// What a file was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Of nothing that is known.
    None,
    /// It is a copy or an archive of that.
    Of(Inode),
    /// It may be a copy of something, which shows later.
    Unsure,
}

/// Whether a file is a copy or an archive of another one of which nothing is read yet.
///
/// What came to be before that, or in the same moment, and begins alike was the log before it. Where
/// no times of birth are known, only what is longer than a few lines tells.
pub(super) fn is_made_of<F: Handle>(
    at: &Sibling,
    copy: &mut Opened<F>,
    file: &mut Opened<F>,
) -> bool {
    let is_later = match at.stat.born.zip(file.stat.born) {
        Some((copy, origin)) => copy > origin,
        None => !identity::is_short(copy.head),
    };
    is_later && copy.is_within(&mut file.content)
}

/// Takes the copy out that was made of a file before it was cut, if one shows that it was: it has
/// what was read, and more that the file does not have.
pub(super) fn copy_before_cut<F: Handle>(
    file: &mut Opened<F>,
    kept: &Kept,
    copies: &mut Files<F>,
) -> io::Result<Option<(Sibling, Opened<F>)>> {
    if file.content.is_packed() || !identity::is_young(&kept.mark) {
        return Ok(None);
    }
    for index in 0..copies.len() {
        let Some((at, copy)) = copies.get_mut(index) else { break };
        let is_later = at.stat.born.zip(file.stat.born).is_none_or(|(a, b)| a >= b)
            && at.stat.modified <= file.stat.modified;
        if is_later && copy.likeness_to(&mut file.content, &kept.mark)? == Likeness::Departs {
            return Ok(Some(copies.remove(index)));
        }
    }
    Ok(None)
}

impl<D: Disk> Follower<D> {
    /// Whether a copy shows that the newest file was cut, though it looks as before. It may have been
    /// renamed since.
    pub(super) fn is_shown_cut(&mut self, index: usize) -> io::Result<bool> {
        if index + 1 != self.chain.len() {
            return Ok(false);
        }
        let Some(reading) = self.chain.get(index).filter(|reading| reading.is_young()) else {
            return Ok(false);
        };
        let (born, inode) = (reading.born(), reading.inode());
        let looked = Looked(self.directory_times());
        if self.looked.as_ref() == Some(&looked) {
            return Ok(false);
        }
        self.looked = None;
        let (copies, is_renamed) = self.open_copies(inode, born);
        // Were it removed by now, files that bore the name after it would be among them.
        let bearer = self.disk.stat(&self.path)?;
        let bears = |reading: &Reading<D::File>| bearer.is_some_and(|stat| reading.is(&stat));
        if !is_renamed && !self.chain.get(index).is_some_and(bears) {
            return Ok(false);
        }
        let mut any = false;
        for (sibling, mut file) in copies {
            let Some(reading) = self.chain.get_mut(index) else { return Ok(false) };
            match reading.likeness_of(&mut file)? {
                Likeness::Other => {}
                Likeness::Copy | Likeness::Unsure => any = true,
                // It may have been made of another one.
                Likeness::Departs => match self.origin_of(&mut file, &sibling, index)? {
                    Origin::None => {
                        let (path, copy) = (self.path.display(), sibling.path.display());
                        tracing::debug!(%path, %copy, ino = sibling.stat.ino, "shown to be cut");
                        return Ok(true);
                    }
                    Origin::Unsure => any = true,
                    Origin::Of(origin) => self.note_copy(origin, &sibling, &file),
                },
            }
        }
        // As long as there is one, a cut may come that no directory tells of.
        let since = now().checked_sub(COARSE);
        let is_old = |time: &Option<SystemTime>| time.is_some_and(|time| Some(time) < since);
        if !any && looked.0.iter().all(is_old) {
            self.looked = Some(looked);
        }
        Ok(false)
    }

    /// Opens the files that may be copies of one, which came to be then. All are open before a
    /// first one is looked into, since names may move on meanwhile. If it was renamed, which is told
    /// as well, those that bore the name after it are none.
    fn open_copies(&self, inode: Inode, born: Option<SystemTime>) -> (Files<D::File>, bool) {
        let is_renamed = Cell::new(false);
        let found = self.open_steadily(
            |_| true,
            |it| {
                let mut siblings = it.siblings();
                let own = it.last_of(&siblings, |at| at.stat.inode() == inode);
                is_renamed.set(own.is_some());
                let order = it.order.get();
                siblings.retain(|at| {
                    at.stat.inode() != inode
                        && own.is_none_or(|own| !order.is_after(&at.age(), &own))
                        && it.may_be_copy(at, inode, born)
                });
                siblings
            },
        );
        let opened = found.into_iter().filter_map(|(at, file)| Some((at, file?))).collect();
        (opened, is_renamed.get())
    }

    /// Takes out the copies and archives of a file of which nothing is read yet. While they were
    /// looked for, it may have been cut: then it is known anew, and what was in it is among the
    /// others once they are looked for `again`, or lost.
    pub(super) fn take_copies(
        &mut self,
        missed: &mut Files<D::File>,
        file: &mut Opened<D::File>,
        mut again: impl FnMut(&mut Self, &Opened<D::File>) -> io::Result<Files<D::File>>,
    ) -> io::Result<Files<D::File>> {
        for _ in 0..MAX_CUTS {
            let Some(before) = file.renew()? else { break };
            *missed = again(self, file)?;
            let mut copies = missed.iter_mut().map(|(_, copy)| copy);
            let is_kept = copies.any(|copy| identity::begins_with(&mut copy.content, before.head));
            self.shared.metrics.add(crate::Count::Truncations, 1);
            if before.head.len > 0 && !is_kept {
                self.shared.metrics.drop_lines(DropReason::Truncated, 1);
                self.shared.metrics.drop_bytes(DropReason::Truncated, before.size);
            }
        }
        Ok(missed.extract_if(.., |(at, copy)| is_made_of(at, copy, file)).collect())
    }

    /// Reads a file from an offset on, and nothing of its copies.
    pub(super) fn push_with_copies(
        &mut self,
        file: Opened<D::File>,
        offset: u64,
        account: Option<Result<Account, Arc<str>>>,
        copies: Files<D::File>,
        now: Instant,
    ) {
        let inode = file.stat.inode();
        self.push(file, offset, account, now);
        for (sibling, copy) in copies {
            self.note_copy(inode, &sibling, &copy);
        }
    }

    /// Notes that there is nothing new in a file.
    pub(super) fn note_copy(&self, of: Inode, sibling: &Sibling, file: &Opened<D::File>) {
        self.catalog.see(sibling.directory(), &sibling.stat);
        let (id, is_packed) = (file.id(sibling.path.as_path().into()), file.content.is_packed());
        self.catalog.copy(of, id, file.stat.size, is_packed);
        self.shared.metrics.add(crate::Count::Ignored, 1);
    }

    /// Whether a file may be a copy, of which nobody has read more than its origin, of that one.
    fn may_be_copy(&self, sibling: &Sibling, inode: Inode, born: Option<SystemTime>) -> bool {
        let is_later = sibling.stat.born.zip(born).is_none_or(|(copy, origin)| copy >= origin);
        is_later
            && match self.catalog.get(&sibling.stat) {
                Some(Known::Copy { of, .. }) => of == inode,
                Some(_) => false,
                None => self.catalog.is_news(sibling.directory(), &sibling.stat),
            }
    }

    /// What a file that is found is a copy or an archive of: what is read here, all but one, or was.
    pub(super) fn origin_of(
        &mut self,
        file: &mut Opened<D::File>,
        sibling: &Sibling,
        except: usize,
    ) -> io::Result<Origin> {
        let mut origin = Origin::None;
        for (_, reading) in self.chain.iter_mut().enumerate().filter(|(at, _)| *at != except) {
            // A file that cannot be read says so when it is read next.
            let likeness = reading.likeness_of(file).unwrap_or(Likeness::Other);
            match likeness {
                Likeness::Copy => return Ok(Origin::Of(reading.inode())),
                Likeness::Unsure if file.content.is_packed() => origin = Origin::Unsure,
                _ => {}
            }
        }
        for index in 0..self.finished.len() {
            let Some(mark) = self.finished.get(index).cloned() else { break };
            let inode = (mark.file.dev, mark.file.ino);
            match file.likeness(&mark) {
                Likeness::Copy => return Ok(Origin::Of(inode)),
                // What it is made of is there until it is whole.
                Likeness::Unsure => {
                    let origin = self.siblings().into_iter().find(|at| at.stat.inode() == inode);
                    let origin = origin.filter(|at| at.path != sibling.path);
                    let opened = origin.and_then(|at| self.open_sibling(&at));
                    if let Some(mut original) = opened
                        && original.is(&mark)
                        && file.is_beginning_of(&mut original.content)? != Likeness::Other
                    {
                        return Ok(Origin::Of(inode));
                    }
                }
                _ => {}
            }
        }
        // What it was made of may have been met, and be read, under its rotated name.
        if origin == Origin::None && self.catalog.is_of_pattern() && file.content.is_packed() {
            let head = file.head;
            return Ok(self
                .origin_elsewhere(file, &sibling.path, |mark| {
                    *mark.file.path != *self.path && !identity::begin_apart(head, mark.file.head)
                })?
                .0);
        }
        Ok(origin)
    }

    /// Whether a file that a pattern has matched is a copy or an archive of one that is read, or
    /// was read, under another name. It is noted then.
    pub(super) fn is_made_of_others(&mut self, file: &mut Opened<D::File>) -> io::Result<bool> {
        if !self.catalog.is_of_pattern() {
            return Ok(false);
        }
        let path = Arc::clone(&self.path);
        match self.origin_elsewhere(file, &path, |_| true)? {
            (Origin::Of(inode), finished) => {
                let sibling = Sibling { path: path.to_path_buf(), stat: file.stat };
                self.note_copy(inode, &sibling, file);
                if let Some(mark) = finished {
                    let copies = self.catalog.cut(&mark);
                    self.keep(copies);
                }
                Ok(true)
            }
            // What is empty costs nothing until it is written, which is told.
            (Origin::Unsure, _) => {
                self.unsure |= file.head.len > 0;
                Ok(true)
            }
            (Origin::None, _) => Ok(false),
        }
    }

    /// What a file of that path is a copy or an archive of, of all that is read, or was, under any
    /// name; with the place where that was finished.
    fn origin_elsewhere(
        &self,
        file: &mut Opened<D::File>,
        path: &Path,
        is_asked: impl Fn(&FileMark) -> bool,
    ) -> io::Result<(Origin, Option<FileMark>)> {
        let mut origin = Origin::None;
        for known in self.catalog.origins(path, file.head) {
            let (Known::Held(mark) | Known::Finished { mark, .. }) = &known else { continue };
            let inode = (mark.file.dev, mark.file.ino);
            if inode == file.stat.inode() || !is_asked(mark) {
                continue;
            }
            let is_held = matches!(known, Known::Held(_));
            let likeness = match file.likeness(mark) {
                // Whoever reads it reads on, or finds the cut.
                Likeness::Other if is_held && mark.file.head.len > 0 && file.holds(mark) => {
                    Likeness::Copy
                }
                Likeness::Copy => Likeness::Copy,
                // Less than was read: if the other one was cut already, that is not there any more.
                Likeness::Unsure if is_held && file.is_begun(mark) => Likeness::Copy,
                _ => self.likeness_on_disk(file, mark)?,
            };
            match likeness {
                Likeness::Copy => {
                    return Ok((Origin::Of(inode), (!is_held).then(|| mark.clone())));
                }
                Likeness::Unsure if file.content.is_packed() || file.head.len == 0 => {
                    origin = Origin::Unsure;
                }
                _ => {}
            }
        }
        Ok((origin, None))
    }

    /// What it is to a file of which more is on the disk than checksums tell.
    fn likeness_on_disk(
        &self,
        file: &mut Opened<D::File>,
        mark: &FileMark,
    ) -> io::Result<Likeness> {
        let inode = (mark.file.dev, mark.file.ino);
        let likeness_to = |file: &mut Opened<D::File>, is_within: bool| match is_within {
            _ if file.head.len == 0 => Likeness::Unsure,
            true => Likeness::Copy,
            false => Likeness::Other,
        };
        // What is read may have no name any more, and be another than it was when it was begun.
        if let Some(open) = self.catalog.open_file(inode) {
            let is_within = file.is_within(&mut Content::new(open)?);
            return Ok(likeness_to(file, is_within));
        }
        let original = Opened::open(&self.disk, &mark.file.path).ok().flatten();
        let original = original.filter(|original| original.stat.ino == mark.file.ino);
        let by_inode = || {
            let kin = self.kin_of(&mark.file.path).into_iter();
            kin.filter(|at| at.stat.inode() == inode).find_map(|at| self.open_sibling(&at))
        };
        let Some(mut original) = original.or_else(by_inode) else { return Ok(Likeness::Other) };
        let is_within = file.is_within(&mut original.content);
        Ok(likeness_to(file, is_within))
    }

    /// The files in the directory of a path whose names may be of the same log.
    fn kin_of(&self, path: &Path) -> Vec<Sibling> {
        let root = family::root(path.file_name().unwrap_or_default());
        let directory = path.parent().unwrap_or(Path::new(""));
        let listed = self.disk.list(crate::file::discovery::or_current(directory));
        let mut kin = Vec::new();
        for (path, _) in listed.unwrap_or_default() {
            if family::root(path.file_name().unwrap_or_default()) == root
                && let Ok(Some(stat)) = self.disk.stat(&path)
            {
                kin.push(Sibling { path, stat });
            }
        }
        kin
    }

    /// Copies that were made of a file before it was cut, and of which nothing was read, oldest
    /// first: the first goes on after the mark.
    pub(super) fn copies_before_cut(
        &mut self,
        reading: &mut Reading<D::File>,
    ) -> io::Result<Files<D::File>> {
        let (mark, born) = (reading.mark(), reading.born());
        let (mut copies, mut later) = (Vec::new(), Vec::new());
        for (sibling, mut file) in self.open_copies(reading.inode(), born).0 {
            // One that was made after the cut has what the file has now.
            if file.is_within(reading.content()) {
                later.push((sibling, file));
            } else if copies.is_empty() && reading.has_read_all_of(&mut file) {
                // More was written, and read, before the cut came.
                self.note_copy(reading.inode(), &sibling, &file);
            } else if file.head.len > 0
                && (mark.offset == 0 || file.holds(&mark))
                && self.origin_of(&mut file, &sibling, usize::MAX)? == Origin::None
            {
                copies.push((sibling, file));
            } else {
                // It was none.
                self.catalog.forget(&sibling.stat, sibling.path.as_path());
            }
        }
        // What is noted so far ended with the cut; these are copies of what the file is now.
        let ended = self.catalog.cut(&mark);
        self.keep(ended);
        for (sibling, file) in later {
            self.note_copy(reading.inode(), &sibling, &file);
        }
        Ok(copies)
    }
}
