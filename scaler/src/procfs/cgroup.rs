//! Where the cgroup of this process is, in the tree of version 2.

use std::path::{Component, Path, PathBuf};

use super::file;
use crate::source::{Fault, FaultKind};

/// The folder of this process's cgroup, by `self/cgroup` and `self/mountinfo` under `proc`.
pub(crate) fn own(proc: &Path) -> Result<PathBuf, Fault> {
    let read = |name: &str| file::text(&proc.join("self").join(name), file::MOST_BYTES, "");
    folder(&read("cgroup")?, &read("mountinfo")?)
}

/// The number by which the kernel, and a program in it, knows the cgroup of `folder`: the inode,
/// since Linux 5.5 on 64 bits.
#[cfg(all(feature = "ebpf", target_os = "linux"))]
pub(crate) fn id(folder: &Path) -> Result<u64, Fault> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(folder).map(|metadata| metadata.ino());
    found.map_err(|error| {
        let detail = format!("the cgroup {}: {error}", folder.display());
        Fault::new(FaultKind::Unsupported, detail)
    })
}

fn folder(cgroup: &str, mountinfo: &str) -> Result<PathBuf, Fault> {
    let unsupported = |detail: String| Fault::new(FaultKind::Unsupported, detail);
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"));
    let Some(path) = path.filter(|path| path.starts_with('/')) else {
        let detail = "this process has no cgroup of version 2 (self/cgroup has no line `0::/…`)";
        return Err(unsupported(detail.into()));
    };
    if Path::new(path).components().any(|part| part == Component::ParentDir) {
        let detail = format!("the cgroup {path} of this process is outside of its namespace");
        return Err(unsupported(detail));
    }
    let mounts = mountinfo.lines().filter_map(Mount::parse);
    let inside = mounts.filter_map(|mount| {
        let below = Path::new(path).strip_prefix(&mount.root).ok()?;
        // Joined with nothing, a path gets a slash at its end.
        Some(if below.as_os_str().is_empty() { mount.at.clone() } else { mount.at.join(below) })
    });
    inside.into_iter().next().ok_or_else(|| {
        unsupported(format!("no cgroup2 file system is mounted here that has the cgroup {path}"))
    })
}

/// One place where a tree of version 2 is to be seen.
struct Mount {
    /// Which part of the tree.
    root: PathBuf,
    at: PathBuf,
}

impl Mount {
    /// A line of `mountinfo` (proc(5)): `36 35 0:31 ROOT AT options… - TYPE source options`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut columns = mount.split(' ').skip(3);
        Some(Self { root: unescaped(columns.next()?), at: unescaped(columns.next()?) })
    }
}

/// Blanks, tabs, line feeds and backslashes are written as `\040` and the like.
fn unescaped(text: &str) -> PathBuf {
    let mut plain = text.to_owned();
    for (escape, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escape, character);
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
22 21 0:20 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
23 21 0:21 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
";

    #[track_caller]
    fn is(cgroup: &str, mountinfo: &str, expected: &str) {
        assert_eq!(folder(cgroup, mountinfo).unwrap(), Path::new(expected));
    }

    #[test]
    fn is_found_under_any_way_of_mounting_it() {
        is("4:memory:/x\n0::/a/b\n", HYBRID, "/sys/fs/cgroup/unified/a/b");
        is("0::/\n", HYBRID, "/sys/fs/cgroup/unified");
        let namespaced = "30 29 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw";
        is("0::/", namespaced, "/sys/fs/cgroup");
        let bound = "30 29 0:26 /docker/1f /sys/fs/cgroup\\040v2 ro - cgroup2 cgroup rw";
        is("0::/docker/1f/app", bound, "/sys/fs/cgroup v2/app");
    }

    #[test]
    fn what_is_not_there_is_said() {
        let says = |cgroup, mountinfo, what: &str| {
            let fault = folder(cgroup, mountinfo).unwrap_err();
            assert_eq!(fault.kind(), FaultKind::Unsupported);
            assert!(fault.detail().contains(what), "{fault}");
        };
        says("4:memory:/x\n", HYBRID, "no cgroup of version 2");
        says("0::/../x", HYBRID, "outside of its namespace");
        says("0::/a", "", "no cgroup2 file system is mounted");
        says("0::/a", "30 29 0:26 /b /sys/fs/cgroup ro - cgroup2 cgroup rw", "has the cgroup /a");
    }
}
