//! Where reading begins: at an edge, or after the places that an earlier run left.

use std::io;
use std::time::Instant;

use super::{Begin, Follower, Kept, Sibling};
use crate::Edge;
use crate::cursor::FileMark;
use crate::file::disk::Disk;
use crate::file::identity::{self, Opened};
use crate::metrics::{Count, DropReason};

/// What was found of the files that the places speak of.
struct Found<F> {
    /// Files that are not called so any more, and where to go on in them.
    rotated: Vec<(Sibling, Opened<F>, Kept)>,
    /// Where to go on in the file that bears the name.
    current: Option<Kept>,
    /// Places in files that are nowhere.
    lost: Vec<Kept>,
    /// The file that bears the name was cut since.
    is_cut: bool,
}

impl<D: Disk> Follower<D> {
    /// Opens what there is, unless it is already followed under another name. If that fails, it is
    /// tried again with every look: the place is not forgotten.
    pub(in crate::file) fn begin(&mut self, begin: Begin, now: Instant) -> io::Result<()> {
        let begun = self.try_begin(&begin, now);
        self.pending = begun.is_err().then_some(begin);
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
        self.resume(kept, current, now);
        Ok(())
    }

    fn resume(&mut self, kept: &[Kept], mut current: Option<Opened<D::File>>, now: Instant) {
        let found = self.find_all(kept, current.as_mut());
        self.count_lost(&found);
        let missed = self.missed_while_away(&found, current.as_ref());
        let mut files: Vec<(Sibling, Opened<D::File>, Option<Kept>)> = Vec::new();
        files.extend(found.rotated.into_iter().map(|(at, file, kept)| (at, file, Some(kept))));
        files.extend(missed.into_iter().map(|(at, file)| (at, file, None)));
        files.sort_by_cached_key(|(at, ..)| identity::age(&at.path, &at.stat));
        for (sibling, file, kept) in files {
            self.catalog.see(sibling.directory(), &sibling.stat);
            self.go_on(file, kept, now);
        }
        if found.is_cut
            && let Some(last) = self.chain.back_mut()
        {
            last.is_copy = true;
        }
        if let Some(file) = current {
            self.go_on(file, found.current, now);
        }
    }

    fn go_on(&mut self, file: Opened<D::File>, kept: Option<Kept>, now: Instant) {
        self.shared.metrics.add(Count::Files, 1);
        let Some(Kept { mark, key }) = kept else { return self.push(file, 0, None, now) };
        self.shared.metrics.add(Count::Resumed, 1);
        self.push(file, mark.offset, key.map(Err), now);
    }

    /// Finds the files that the places speak of, whatever they are called now: by their inode,
    /// else by what is in them, for they may have been copied or compressed.
    fn find_all(&self, kept: &[Kept], mut current: Option<&mut Opened<D::File>>) -> Found<D::File> {
        let mut found =
            Found { rotated: Vec::new(), current: None, lost: Vec::new(), is_cut: false };
        let mut siblings: Option<Vec<Sibling>> = None;
        for kept in kept {
            let mark = &kept.mark;
            if let Some(file) = &mut current {
                if found.current.is_none() && file.is(mark) {
                    found.current = Some(kept.clone());
                    continue;
                }
                found.is_cut |= file.stat.inode() == (mark.file.dev, mark.file.ino)
                    && identity::is_same_birth(file.stat.born, mark.file.born);
            }
            let siblings = siblings.get_or_insert_with(|| self.siblings());
            let is_taken = |at: &Sibling| {
                self.catalog.is_held(at.stat.inode())
                    || found.rotated.iter().any(|(taken, ..)| taken.path == at.path)
            };
            let free = siblings.iter().filter(|at| !is_taken(at));
            if let Some((at, file)) = self.find(free, mark) {
                found.rotated.push((at, file, kept.clone()));
            } else if let Some(file) = &mut current
                && found.current.is_none()
                && !identity::is_short(mark.file.head)
                && file.holds(mark)
            {
                // The same content under the same name, but another inode: it was moved here.
                found.current = Some(kept.clone());
            } else {
                found.lost.push(kept.clone());
            }
        }
        found
    }

    fn find<'a>(
        &self,
        siblings: impl Iterator<Item = &'a Sibling> + Clone,
        mark: &FileMark,
    ) -> Option<(Sibling, Opened<D::File>)> {
        let open = |at: &Sibling| Opened::open(&self.disk, &at.path).ok().flatten();
        let same_inode = siblings.clone().filter(|at| at.stat.ino == mark.file.ino);
        let moved = same_inode
            .filter_map(|at| open(at).map(|file| (at, file)))
            .find_map(|(at, mut file)| file.is(mark).then_some((at, file)));
        let found = moved.or_else(|| {
            // Of an empty file every other one is a copy. Before the first acknowledgement only
            // the beginning tells: then it is the newest that begins so.
            let newest_first = siblings.collect::<Vec<_>>().into_iter().rev();
            let mut others = newest_first.filter(|_| mark.file.head.len > 0);
            others.find_map(|at| {
                let mut file = open(at)?;
                file.holds(mark).then_some((at, file))
            })
        });
        let (at, file) = found?;
        Some((Sibling { path: at.path.clone(), stat: at.stat }, file))
    }

    /// Files that came and were rotated away while nobody read.
    fn missed_while_away(
        &mut self,
        found: &Found<D::File>,
        current: Option<&Opened<D::File>>,
    ) -> Vec<(Sibling, Opened<D::File>)> {
        let newest = found.rotated.iter().map(|(at, ..)| (at.path.clone(), at.stat)).max_by(
            |(path, stat), (other, then)| {
                identity::age(path, stat).cmp(&identity::age(other, then))
            },
        );
        let bearer = current.map(|file| file.stat.inode());
        let taken: Vec<(u64, u64)> = found.rotated.iter().map(|(at, ..)| at.stat.inode()).collect();
        let is_free =
            |at: &Sibling| Some(at.stat.inode()) != bearer && !taken.contains(&at.stat.inode());
        if found.current.is_some() {
            return Vec::new();
        }
        let missed = if let Some((path, stat)) = newest {
            let since = identity::age(&path, &stat);
            self.shared.metrics.add(Count::Rotations, 1);
            self.missed(|at, _| is_free(at) && identity::age(&at.path, &at.stat) > since)
        } else if !found.lost.is_empty() {
            let store = self.shared.store.as_ref().filter(|_| !self.catalog.keeps_finished());
            let Some(since) = store.and_then(|store| store.written_at()) else {
                return Vec::new();
            };
            self.missed(|at, _| is_free(at) && at.stat.modified.is_some_and(|time| time >= since))
        } else {
            return Vec::new();
        };
        // An archive of a file that is gone on with under its plain name.
        let marks: Vec<&FileMark> = found.rotated.iter().map(|(.., kept)| &kept.mark).collect();
        let is_new = |file: &mut Opened<D::File>| !marks.iter().any(|mark| file.is_copy_of(mark));
        missed
            .into_iter()
            .filter_map(|(at, mut file)| is_new(&mut file).then_some((at, file)))
            .collect()
    }

    /// A place in a file that was read to its end says nothing that would be missed.
    fn count_lost(&self, found: &Found<D::File>) {
        for Kept { mark, key } in &found.lost {
            let path = self.path.display();
            if !mark.finished {
                let reason =
                    if found.is_cut { DropReason::Truncated } else { DropReason::RotatedAway };
                tracing::warn!(%path, "a file that was being read is gone; its end may be lost");
                self.shared.metrics.drop_lines(reason, 1);
            }
            if let (Some(store), Some(key)) = (&self.shared.store, key) {
                store.remove(key);
            }
        }
        if found.is_cut {
            self.shared.metrics.add(Count::Truncations, 1);
        }
    }
}
