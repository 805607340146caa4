//! A directory's entries, and what a name in it stands for: as few system calls and allocations as
//! there can be.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxAttributes, StatxFlags, StatxTimestamp,
};
use rustix::io::Errno;

use crate::file::disk::Stat;

/// What the kernel fills at once.
const BUFFER: usize = 32 << 10;

/// A directory that is open, by a path or to be listed.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    fd: OwnedFd,
    path: &'a Path,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) stat: Stat,
    pub(super) kind: FileType,
    /// Something is mounted at this very name.
    pub(super) is_mount: bool,
}

/// Names of a directory, with what the caller thinks of each. Reused, it allocates nothing.
#[derive(Debug)]
pub(super) struct Listing<T> {
    names: Vec<u8>,
    entries: Vec<Entry<T>>,
    buffer: Vec<MaybeUninit<u8>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<T> {
    start: usize,
    len: usize,
    kind: FileType,
    what: T,
}

impl<'a> Directory<'a> {
    /// Opens a directory, following links. Only one that is opened to be listed can be listed; for
    /// the other it is enough that the user may enter it.
    pub(super) fn open(path: &'a Path, to_list: bool) -> io::Result<Self> {
        let access = if to_list { OFlags::RDONLY | OFlags::NONBLOCK } else { OFlags::PATH };
        let flags = access | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(or_current(path), flags, Mode::empty())?;
        Ok(Self { fd, path })
    }

    pub(super) fn inode(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::fstat(&self.fd)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// What a name in it stands for, or if `follow`, what its links lead to.
    pub(super) fn see(&self, name: &[u8], follow: bool) -> io::Result<Seen> {
        let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        match rustix::fs::statx(self.fd.as_fd(), name, flags, mask) {
            Ok(stat) => Ok(Seen::from(stat)),
            // A kernel before 4.11, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {
                let path = self.path.join(OsStr::from_bytes(name));
                let meta = if follow { std::fs::metadata(path) } else { path.symlink_metadata() };
                meta.map(Seen::from)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a name stands for, links followed, and whether there are links; with a failure, too.
    pub(super) fn follow(
        &self,
        name: &[u8],
        is_link: bool,
    ) -> Result<(Seen, bool), (io::Error, bool)> {
        if !is_link {
            let seen = self.see(name, false).map_err(|cause| (cause, false))?;
            if seen.kind != FileType::Symlink {
                return Ok((seen, false));
            }
        }
        self.see(name, true).map(|seen| (seen, true)).map_err(|cause| (cause, true))
    }
}

impl<T> Default for Listing<T> {
    /// Allocates nothing until it reads.
    fn default() -> Self {
        Self { names: Vec::new(), entries: Vec::new(), buffer: Vec::new() }
    }
}

impl<T: Copy> Listing<T> {
    /// Lists a directory, by name. What the caller has no thought of is left out.
    pub(super) fn read(
        &mut self,
        directory: &Directory<'_>,
        mut think: impl FnMut(&[u8]) -> Option<T>,
    ) -> io::Result<()> {
        self.clear();
        self.buffer.resize(BUFFER, MaybeUninit::uninit());
        let mut entries = RawDir::new(&directory.fd, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let Some(what) = think(name) else { continue };
            let (start, len, kind) = (self.names.len(), name.len(), entry.file_type());
            self.names.extend_from_slice(name);
            self.entries.push(Entry { start, len, kind, what });
        }
        let names = &self.names;
        let name = |entry: &Entry<T>| names.get(entry.start..entry.start + entry.len);
        self.entries.sort_unstable_by(|a, b| name(a).cmp(&name(b)));
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.entries.clear();
    }

    /// Adds a name of which nothing is known yet.
    pub(super) fn push(&mut self, name: &[u8], what: T) {
        let (start, len) = (self.names.len(), name.len());
        self.names.extend_from_slice(name);
        self.entries.push(Entry { start, len, kind: FileType::Unknown, what });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], FileType, T)> {
        self.entries.iter().filter_map(|entry| {
            let name = self.names.get(entry.start..entry.start + entry.len)?;
            Some((name, entry.kind, entry.what))
        })
    }
}

impl From<Statx> for Seen {
    fn from(stat: Statx) -> Self {
        let kind = FileType::from_raw_mode(stat.stx_mode.into());
        let attributes = stat.stx_attributes & stat.stx_attributes_mask;
        let born = (stat.stx_mask & StatxFlags::BTIME.bits()) != 0;
        let stat = Stat {
            dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            size: stat.stx_size,
            space: stat.stx_blocks.saturating_mul(512),
            links: stat.stx_nlink.into(),
            modified: time(stat.stx_mtime),
            born: born.then(|| time(stat.stx_btime)).flatten(),
            is_file: kind == FileType::RegularFile,
        };
        Self { stat, kind, is_mount: attributes.contains(StatxAttributes::MOUNT_ROOT) }
    }
}

impl From<std::fs::Metadata> for Seen {
    fn from(meta: std::fs::Metadata) -> Self {
        let kind = match meta.file_type() {
            kind if kind.is_file() => FileType::RegularFile,
            kind if kind.is_dir() => FileType::Directory,
            kind if kind.is_symlink() => FileType::Symlink,
            kind if kind.is_fifo() => FileType::Fifo,
            _ => FileType::Unknown,
        };
        Self { stat: meta.into(), kind, is_mount: false }
    }
}

fn time(time: StatxTimestamp) -> Option<SystemTime> {
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    let whole = match time.tv_sec {
        0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
        _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
    };
    whole?.checked_add(Duration::from_nanos(time.tv_nsec.into()))
}

/// The names that a link leads to, one after another; the last may not exist. None if it is no
/// link.
pub(super) fn hops(link: &Path) -> Vec<PathBuf> {
    const MAX_HOPS: usize = 40;
    let (mut hops, mut at) = (Vec::new(), link.to_owned());
    while hops.len() < MAX_HOPS {
        let Ok(target) = std::fs::read_link(&at) else { break };
        // A relative one begins where the link is, an absolute one replaces all of it.
        at = at.parent().unwrap_or(Path::new("")).join(target);
        hops.push(at.clone());
    }
    hops
}

/// The empty path is the current directory.
pub(in crate::file) fn or_current(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
