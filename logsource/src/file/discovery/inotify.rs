//! What the kernel tells of directories, and why it may not.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::listing::or_current;

/// File systems on which another machine, or a program, writes without an event; and those that
/// make up what is read.
const SILENT: [(u64, &str); 18] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x1983_0326, "BeeGFS"),
    (0x786f_4256, "vboxsf"),
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
];

/// Why no event tells of something, so that it is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) enum Blind {
    /// Polling was asked for.
    Asked,
    /// This user has as many inotify instances as it may.
    Instances,
    /// This user has as many inotify watches as it may.
    Watches,
    /// The kernel has no memory for it.
    Memory,
    /// Its file system does not tell.
    Silent(&'static str),
    /// Something is mounted at the file's very name.
    Mount,
    /// Its directory cannot be watched: this user may not list it, most often.
    Refused(Errno),
}

impl Blind {
    /// Whether it may pass by itself.
    pub(super) fn may_pass(self) -> bool {
        matches!(self, Self::Instances | Self::Watches | Self::Memory | Self::Refused(_))
    }

    /// Whether somebody ought to do something about it.
    pub(in crate::file) fn is_trouble(self) -> bool {
        !matches!(self, Self::Asked | Self::Silent(_))
    }

    /// Whether no other directory can be watched either.
    pub(super) fn is_limit(self) -> bool {
        matches!(self, Self::Instances | Self::Watches | Self::Memory)
    }
}

impl fmt::Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("as was asked for"),
            Self::Instances => f.write_str(
                "no inotify instances are left; raise fs.inotify.max_user_instances, or the limit \
                 of open files",
            ),
            Self::Watches => {
                f.write_str("no inotify watches are left; raise fs.inotify.max_user_watches")
            }
            Self::Memory => f.write_str("the kernel has no memory for inotify"),
            Self::Silent(kind) => write!(f, "{kind} does not tell of what others write"),
            Self::Mount => f.write_str("it is mounted by itself; mount its directory instead"),
            Self::Refused(error) => {
                write!(f, "its directory cannot be watched: {error}; let this user list it")
            }
        }
    }
}

/// An inotify instance.
#[derive(Debug)]
pub(super) struct Inotify {
    fd: OwnedFd,
    /// How many watches more there are to be had.
    #[cfg(test)]
    pub(super) left: usize,
}

impl Inotify {
    pub(super) fn new() -> Result<Self, Blind> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let fd = fd.map_err(|error| match error {
            Errno::NOMEM => Blind::Memory,
            // A sandbox that refuses the call is no different.
            _ => Blind::Instances,
        })?;
        Ok(Self {
            fd,
            #[cfg(test)]
            left: usize::MAX,
        })
    }

    /// Watches a directory; `None` if there is none.
    pub(super) fn add(&mut self, directory: &Path) -> Result<Option<i32>, Blind> {
        let directory = or_current(directory);
        if let Some(kind) = silent(directory) {
            return Err(Blind::Silent(kind));
        }
        #[cfg(test)]
        {
            self.left = self.left.checked_sub(1).ok_or(Blind::Watches)?;
        }
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.fd, directory, flags) {
            Ok(watch) => Ok(Some(watch)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(Errno::NOSPC) => Err(Blind::Watches),
            Err(Errno::NOMEM) => Err(Blind::Memory),
            Err(error) => Err(Blind::Refused(error)),
        }
    }

    pub(super) fn remove(&mut self, watch: i32) {
        // It may be gone by itself.
        inotify::remove_watch(&self.fd, watch).ok();
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn silent(directory: &Path) -> Option<&'static str> {
    let system = rustix::fs::statfs(directory).ok()?;
    // Of a 32-bit number, the sign may have been made long.
    let magic = u64::try_from(system.f_type).ok()? & 0xffff_ffff;
    SILENT.iter().find(|(kind, _)| *kind == magic).map(|(_, name)| *name)
}
