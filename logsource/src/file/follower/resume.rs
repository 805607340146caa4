//! Where reading begins: at an edge, or after the places that an earlier run left.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::copies::{MAX_CUTS, is_made_of};
use super::siblings::{MAX_SEARCHES, Sibling};
use super::{Begin, Follower, Kept};
use crate::Edge;
use crate::cursor::{FileMark, Head};
use crate::file::catalog::{Inode, Known};
use crate::file::disk::Disk;
use crate::file::family::{self, Age};
use crate::file::identity::{self, Likeness, Opened};
use crate::metrics::{Count, DropReason};

/// What was found of the files that the places speak of.
pub(super) struct Found<F> {
    /// Files that are not called so any more, and where to go on in them.
    pub(super) rotated: Vec<(Sibling, Opened<F>, Kept)>,
    /// Files that are to be read from their start: they were cut since.
    pub(super) anew: Vec<(Sibling, Opened<F>)>,
    /// Where to go on in the file that bears the name.
    pub(super) current: Option<Kept>,
    /// The copies of that, which show nothing yet: it may be cut in the next moment.
    pub(super) copies: Vec<(Sibling, Opened<F>)>,
    /// Places in files that are nowhere.
    lost: Vec<Kept>,
    /// The file that bears the name was cut since.
    pub(super) is_cut: bool,
    /// Files that were cut since, whatever they are called now.
    cut: HashSet<Inode>,
    /// Names moved on while files were looked for.
    is_unsteady: bool,
}

impl<D: Disk> Follower<D> {
    /// Opens what there is, unless it is already followed under another name. If that fails, it is
    /// tried again with every look: the place is not forgotten.
    pub(in crate::file) fn begin(&mut self, begin: Begin, now: Instant) -> io::Result<()> {
        let begun = self.try_begin(&begin, now);
        self.pending = begun.is_err().then_some(begin);
        // It may be long until it is read.
        self.park();
        if self.shared.open.is_full() {
            self.close();
        }
        begun
    }

    fn try_begin(&mut self, begin: &Begin, now: Instant) -> io::Result<()> {
        let current = Opened::open(&self.disk, &self.path)?
            .filter(|file| !self.catalog.is_held(file.stat.inode()));
        let kept = match begin {
            Begin::Edge(Edge::End) => {
                if let Some(mut file) = current {
                    let end = file.end()?;
                    self.shared.metrics.add(Count::Files, 1);
                    self.push(file, end, None, now);
                }
                return Ok(());
            }
            Begin::Edge(Edge::Start) => &[][..],
            Begin::After(kept) => kept,
        };
        self.resume(kept, current, now)
    }

    fn resume(
        &mut self,
        kept: &[Kept],
        mut current: Option<Opened<D::File>>,
        now: Instant,
    ) -> io::Result<()> {
        if kept.is_empty()
            && let Some(file) = &mut current
        {
            if self.is_read_elsewhere(file)? {
                return Ok(());
            }
            if self.is_too_old(&file.stat) {
                self.pass_over(&file.stat);
                return Ok(());
            }
        }
        let mut found = self.find_steadily(kept, &mut current)?;
        for _ in 0..MAX_CUTS {
            let Some(file) = current.as_mut().filter(|_| found.current.is_some()) else { break };
            // Of what is cut while it is compared with its copies, none of them is one.
            let Some(before) = file.renew()? else { break };
            let place = found.current.as_ref().map_or(0, |kept| kept.mark.offset);
            found = self.find_steadily(kept, &mut current)?;
            if found.current.is_some() {
                // No copy shows it, and of what was there nothing was known.
                self.shared.metrics.add(Count::Truncations, 1);
                self.shared.metrics.drop_lines(DropReason::Truncated, 1);
                let unread = before.size.saturating_sub(place);
                self.shared.metrics.drop_bytes(DropReason::Truncated, unread);
            }
        }
        self.count_lost(&found);
        let is_resumed = found.current.is_some();
        let mut look = |it: &mut Self, current: Option<&Opened<D::File>>| {
            let mut missed = it.missed_while_away(&mut found, current)?;
            missed.retain_mut(|(_, file)| !file.is_claimed(&it.catalog, &it.path));
            Ok::<_, io::Error>(missed)
        };
        let mut missed = look(self, current.as_ref())?;
        let copies = match &mut current {
            // Also archives, if it has been renamed since it was opened.
            Some(file) if !is_resumed => {
                self.take_copies(&mut missed, file, |it, file| look(it, Some(file)))?
            }
            Some(file) => {
                let bearer = self.disk.stat(&self.path)?;
                if bearer.is_none_or(|bearer| bearer.inode() != file.stat.inode()) {
                    let is_it = |(at, copy): &mut _| is_made_of(at, copy, file);
                    found.copies.extend(missed.extract_if(.., is_it));
                }
                std::mem::take(&mut found.copies)
            }
            None => Vec::new(),
        };
        let mut files: Vec<(Sibling, Opened<D::File>, Option<Kept>)> = Vec::new();
        files.extend(found.rotated.into_iter().map(|(at, file, kept)| (at, file, Some(kept))));
        files.extend(missed.into_iter().map(|(at, file)| (at, file, None)));
        files.extend(found.anew.into_iter().map(|(at, file)| (at, file, None)));
        let last = self.put_in_order(&mut files, current.as_ref(), &copies)?;
        let later = files.split_off(last);
        for (sibling, file, kept) in files {
            self.catalog.see(sibling.directory(), &sibling.stat);
            self.go_on(file, kept, Vec::new(), now);
        }
        if let Some(file) = current {
            self.go_on(file, found.current, copies, now);
        }
        for (sibling, file, kept) in later {
            self.catalog.see(sibling.directory(), &sibling.stat);
            self.go_on(file, kept, Vec::new(), now);
        }
        Ok(())
    }

    /// Finds the files that the places speak of, though names move on meanwhile, and the copies that
    /// were made of them. Lets go of the one that bears the name if it is another's.
    fn find_steadily(
        &mut self,
        kept: &[Kept],
        current: &mut Option<Opened<D::File>>,
    ) -> io::Result<Found<D::File>> {
        let mut found = self.find_all(kept, current.as_mut());
        for _ in 0..MAX_SEARCHES {
            if !found.is_unsteady || found.lost.is_empty() {
                break;
            }
            // Names that move on while they are looked for are not found.
            found = self.find_all(kept, current.as_mut());
        }
        let is_marked = found.current.is_some();
        *current = current.take().and_then(|mut file| {
            let is_ours = is_marked || !file.is_claimed(&self.catalog, &self.path);
            is_ours.then_some(file)
        });
        self.find_cut(&mut found, current.as_mut())?;
        Ok(found)
    }

    /// Notes that there is nothing new in a file that was finished, whatever it is called now.
    fn settle(&self, file: &Opened<D::File>, kept: &Kept) {
        let id = file.id(Arc::clone(&kept.mark.file.path));
        let mark = FileMark { file: Arc::new(id), ..kept.mark.clone() };
        if let (Some(store), Some(key), true) =
            (&self.shared.store, &kept.key, mark.file.ino != kept.mark.file.ino)
        {
            store.set(key, &crate::Cursor::of_files(vec![mark.clone()]));
        }
        self.catalog.settle(mark, file.stat.size);
    }

    /// Whether what is in a file, of which no place is kept, is read under another name.
    fn is_read_elsewhere(&mut self, file: &mut Opened<D::File>) -> io::Result<bool> {
        Ok(matches!(
            self.catalog.get(&file.stat),
            Some(Known::Finished { .. } | Known::Copy { .. })
        ) || self.is_made_of_others(file)?)
    }

    fn go_on(
        &mut self,
        mut file: Opened<D::File>,
        kept: Option<Kept>,
        copies: Vec<(Sibling, Opened<D::File>)>,
        now: Instant,
    ) {
        if let Some(kept) = &kept
            && kept.mark.finished
            && !file.reaches_beyond(&kept.mark)
        {
            return self.settle(&file, kept);
        }
        self.shared.metrics.add(Count::Files, 1);
        let (offset, account) = match kept {
            Some(Kept { mark, key }) => {
                self.shared.metrics.add(Count::Resumed, 1);
                (mark.offset, key.map(Err))
            }
            None => (0, None),
        };
        self.push_with_copies(file, offset, account, copies, now);
    }

    /// Finds the files that the places speak of, whatever they are called now: by their inode,
    /// else by what is in them, for they may have been copied or compressed.
    fn find_all(&self, kept: &[Kept], mut current: Option<&mut Opened<D::File>>) -> Found<D::File> {
        let mut found = Found {
            rotated: Vec::new(),
            anew: Vec::new(),
            current: None,
            copies: Vec::new(),
            lost: Vec::new(),
            is_cut: false,
            cut: HashSet::new(),
            is_unsteady: false,
        };
        let bearer = current.as_ref().map(|file| file.stat.inode());
        let mut siblings = self.open_marked(kept, bearer, &mut found.is_unsteady);
        let mut moved = Vec::new();
        for kept in kept {
            let mark = &kept.mark;
            if let Some(file) = &mut current {
                if found.current.is_none() && file.is(mark) {
                    found.current = Some(kept.clone());
                    continue;
                }
                if bearer == Some((mark.file.dev, mark.file.ino))
                    && identity::is_same_birth(file.stat.born, mark.file.born)
                {
                    found.is_cut = true;
                    found.cut.extend(bearer);
                }
            }
            let is_it = |(_, file): &mut (Sibling, Option<Opened<D::File>>)| {
                file.as_mut().is_some_and(|file| file.is(mark))
            };
            match siblings.iter_mut().position(is_it).map(|at| siblings.remove(at)) {
                Some((at, Some(file))) => found.rotated.push((at, file, kept.clone())),
                _ => moved.push(kept),
            }
        }
        // What was cut since, and renamed after that: all that it has now is new.
        for mark in moved.iter().map(|kept| &kept.mark) {
            let is_cut = |(at, file): &(Sibling, Option<Opened<D::File>>)| {
                file.is_some()
                    && at.stat.inode() == (mark.file.dev, mark.file.ino)
                    && mark.file.born.is_some()
                    && identity::is_same_birth(at.stat.born, mark.file.born)
            };
            if let Some((at, Some(file))) =
                siblings.iter().position(is_cut).map(|at| siblings.remove(at))
            {
                found.cut.insert(at.stat.inode());
                found.anew.push((at, file));
            }
        }
        let mut heads = HashMap::new();
        let mut kin = if moved.is_empty() { Vec::new() } else { self.free_kin(bearer) };
        for kept in moved {
            let mut find_content = |files: &mut _, is_it: &dyn Fn(&Sibling) -> bool| {
                self.find_content(files, is_it, kept, &mut heads, &mut found.is_unsteady)
            };
            let elsewhere = self.find_kin(&mut kin, &kept.mark);
            let elsewhere = elsewhere.or_else(|| find_content(&mut siblings, &|_| true));
            // What was met as `app.log.1` may have been compressed, and be `app.log.2.gz` now.
            let is_archive =
                |at: &Sibling| family::is_packed(&at.path) && self.catalog.get(&at.stat).is_none();
            let elsewhere = elsewhere.or_else(|| find_content(&mut kin, &is_archive));
            if let Some((at, file)) = elsewhere {
                found.rotated.push((at, file, kept.clone()));
            } else if let Some(file) = &mut current
                && found.current.is_none()
                && !identity::is_short(kept.mark.file.head)
                && file.holds(&kept.mark)
            {
                // The same content under the same name, but another inode: it was moved here.
                found.current = Some(kept.clone());
            } else {
                found.lost.push(kept.clone());
            }
        }
        found
    }

    /// The rotated files that nobody reads. Those that have the inode number of one that is looked
    /// for are open: a name may move on at any time.
    fn open_marked(
        &self,
        kept: &[Kept],
        bearer: Option<Inode>,
        is_unsteady: &mut bool,
    ) -> Vec<(Sibling, Option<Opened<D::File>>)> {
        if kept.is_empty() {
            return Vec::new();
        }
        let inodes: HashSet<u64> = kept.iter().map(|kept| kept.mark.file.ino).collect();
        let is_wanted = |at: &Sibling| inodes.contains(&at.stat.ino);
        let siblings = self.open_steadily(is_wanted, |it| {
            let mut siblings = it.siblings();
            let is_bearer = |at: &Sibling| Some(at.stat.inode()) == bearer;
            siblings.retain(|at| !is_bearer(at) && !it.catalog.is_held(at.stat.inode()));
            siblings
        });
        *is_unsteady |= siblings.iter().any(|(at, file)| is_wanted(at) && file.is_none());
        siblings
    }

    /// Files that are not rotations of this name, but of what this name is a rotation of, and that
    /// nobody has read.
    fn free_kin(&self, bearer: Option<Inode>) -> Vec<(Sibling, Option<Opened<D::File>>)> {
        let kin = self.kin().into_iter();
        kin.filter(|at| Some(at.stat.inode()) != bearer && !self.catalog.is_held(at.stat.inode()))
            .map(|at| (at, None))
            .collect()
    }

    /// Takes the one out that is what was read up to the mark.
    fn find_kin(
        &self,
        kin: &mut Vec<(Sibling, Option<Opened<D::File>>)>,
        mark: &FileMark,
    ) -> Option<(Sibling, Opened<D::File>)> {
        let index = kin.iter().position(|(at, _)| at.stat.ino == mark.file.ino)?;
        let file = self.open_sibling(&kin.get(index)?.0);
        let file = file.and_then(|mut file| file.is(mark).then_some(file))?;
        Some((kin.remove(index).0, file))
    }

    /// The newest file in which everything is that was read of another one: a copy or an archive.
    fn find_content(
        &self,
        siblings: &mut Vec<(Sibling, Option<Opened<D::File>>)>,
        may_be: &dyn Fn(&Sibling) -> bool,
        kept: &Kept,
        heads: &mut HashMap<Inode, Head>,
        is_unsteady: &mut bool,
    ) -> Option<(Sibling, Opened<D::File>)> {
        // Of an empty file every other one is a copy. Before the first acknowledgement only the
        // beginning tells: then it is the newest that begins so.
        if kept.mark.file.head.len == 0 {
            return None;
        }
        for index in (0..siblings.len()).rev() {
            let (at, file) = siblings.get_mut(index)?;
            let head = heads.get(&at.stat.inode());
            if !may_be(at)
                || head.is_some_and(|head| identity::begin_apart(*head, kept.mark.file.head))
            {
                continue;
            }
            if file.is_none() {
                *file = self.open_sibling(at);
                *is_unsteady |= file.is_none();
            }
            if file.as_mut().is_some_and(|file| file.holds(&kept.mark)) {
                let (at, file) = siblings.remove(index);
                return file.map(|file| (at, file));
            }
            if let Some(passed) = file.take_if(|file| file.stat.ino != kept.mark.file.ino) {
                // Many may be passed over: they are not held open.
                heads.insert(passed.stat.inode(), passed.head);
            }
        }
        None
    }

    /// Files that came and were rotated away while nobody read.
    fn missed_while_away(
        &mut self,
        found: &mut Found<D::File>,
        current: Option<&Opened<D::File>>,
    ) -> io::Result<Vec<(Sibling, Opened<D::File>)>> {
        let mut ages: Vec<Age> = found.rotated.iter().map(|(at, ..)| at.age()).collect();
        self.sort(&mut ages, |age| *age);
        let rotated: HashSet<Inode> =
            found.rotated.iter().map(|(at, ..)| at.stat.inode()).collect();
        let anew = found.anew.iter().map(|(at, _)| at.stat.inode());
        let bearer = current.as_ref().map(|file| file.stat.inode());
        let taken: HashSet<Inode> = rotated.iter().copied().chain(anew).chain(bearer).collect();
        let is_free = |at: &Sibling| !taken.contains(&at.stat.inode());
        // Of what was empty nothing can be found, though it may have been filled, and renamed or
        // compressed, before its place was written down.
        let empty: Vec<u64> = found
            .lost
            .iter()
            .filter(|kept| kept.mark.file.head.len == 0)
            .filter_map(|kept| kept.mark.file.born)
            .collect();
        let was_empty = |at: &Sibling| {
            let is_after = |time: Option<u64>, born: u64| time.is_some_and(|time| time > born);
            let (born, modified) = (identity::birth(&at.stat), identity::modified(&at.stat));
            empty.iter().any(|then| is_after(born, *then) && is_after(modified, *then))
        };
        let missed = if found.current.is_some() {
            // Nothing came to the name since then.
            if empty.is_empty() {
                return Ok(Vec::new());
            }
            self.missed(|siblings, _| {
                siblings.retain(|at| is_free(at) && family::is_packed(&at.path) && was_empty(at));
            })?
        } else if let Some(since) = ages.last() {
            self.shared.metrics.add(Count::Rotations, 1);
            let written = self.shared.store.as_ref().and_then(|store| store.written_at());
            let is_new = |at: &Sibling| written.is_some() && at.stat.modified >= written;
            self.missed(|siblings, it| {
                let is_rotated = |at: &Sibling| rotated.contains(&at.stat.inode());
                let since = it.last_of(siblings, is_rotated).unwrap_or(*since);
                let order = it.order.get();
                siblings.retain(|at| {
                    let is_later = order.is_after(&at.age(), &since);
                    is_free(at) && (is_later || is_new(at) || was_empty(at))
                });
            })?
        } else if !found.lost.is_empty() {
            let store = self.shared.store.as_ref();
            let Some(since) = store.and_then(|store| store.written_at()) else {
                return Ok(Vec::new());
            };
            let is_later = |at: &Sibling| at.stat.modified.is_some_and(|time| time >= since);
            self.missed(|siblings, _| {
                siblings.retain(|at| is_free(at) && (is_later(at) || was_empty(at)));
            })?
        } else {
            // Nothing is kept of this name, though there was a run before this one: what came to
            // it since then may have been rotated away by now.
            let store = self.shared.store.as_ref();
            let Some(since) = store.and_then(|store| store.written_at()) else {
                return Ok(Vec::new());
            };
            let is_since = |time: Option<SystemTime>| time.is_some_and(|time| time >= since);
            self.missed(|siblings, _| {
                siblings.retain(|at| {
                    is_free(at) && is_since(at.stat.born) && is_since(at.stat.modified)
                });
            })?
        };
        // Not an archive of a file that is gone on with under its plain name, and not a copy of
        // what was read before a cut.
        let mut missed = missed;
        // A copy that was made since places were written down has at least as much as was read then.
        let written = self.shared.store.as_ref().and_then(|store| store.written_at());
        let is_since = |at: &Sibling| {
            written.is_some() && at.stat.born > written && !family::is_packed(&at.path)
        };
        let is_short = |at: &Sibling, file: &mut Opened<D::File>| {
            let mut lost = found.lost.iter().filter(|_| found.is_cut);
            let born = current.as_ref().and_then(|file| file.stat.born);
            !is_since(at)
                && at.stat.born.zip(born).is_none_or(|(a, b)| a >= b)
                && lost.any(|kept| file.is_begun(&kept.mark))
        };
        missed.retain_mut(|(at, file)| !is_short(at, file));
        for (_, file) in &mut found.anew {
            missed.retain_mut(|(at, missed)| !is_made_of(at, missed, file));
        }
        for (_, file, kept) in &mut found.rotated {
            missed.retain_mut(|(_, missed)| {
                // Most are told apart by that: to unpack each for each of the others takes long.
                missed.begins_otherwise(file.head)
                    || missed
                        .likeness_to(&mut file.content, &kept.mark)
                        .is_ok_and(|likeness| likeness != Likeness::Copy)
            });
        }
        Ok(missed)
    }

    /// A place in a file that was read to its end says nothing that would be missed.
    fn count_lost(&self, found: &Found<D::File>) {
        for Kept { mark, key } in &found.lost {
            let path = self.path.display();
            let (ino, offset, key) = (mark.file.ino, mark.offset, key.as_deref());
            tracing::debug!(%path, ino, offset, key, mark.finished, "a file is gone");
            if !mark.finished {
                let is_cut = found.cut.contains(&(mark.file.dev, mark.file.ino));
                let reason = if is_cut { DropReason::Truncated } else { DropReason::RotatedAway };
                tracing::warn!(%path, "a file that was being read is gone; its end may be lost");
                self.shared.metrics.drop_lines(reason, 1);
            }
            if let (Some(store), Some(key)) = (&self.shared.store, key) {
                store.remove(key);
            }
        }
        let cuts = usize::from(found.is_cut) + found.anew.len();
        self.shared.metrics.add(Count::Truncations, cuts as u64);
    }
}
