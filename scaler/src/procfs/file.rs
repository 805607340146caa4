//! Small files of the kernel, read whole and no further than a bound.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use crate::source::{Fault, FaultKind};

/// Far above what any of these files holds: ten thousand block devices are one megabyte.
pub(crate) const MOST_BYTES: u64 = 4 << 20;

/// The text of the file at `path`. `remedy` is said where it is not there.
///
/// It blocks for as long as the kernel takes to write a few kilobytes of memory, some ten
/// microseconds; there is no device behind these files.
pub(crate) fn text(path: &Path, most: u64, remedy: &str) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    if let Err(error) = read {
        let kind = kind(&error);
        let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
        return Err(Fault::new(kind, format!("{}: {error}{remedy}", path.display())));
    }
    if bytes.len() as u64 > most {
        let detail = format!("{}: more than {most} bytes", path.display());
        return Err(Fault::new(FaultKind::TooLarge, detail));
    }
    // What is no text becomes a character that no number has, and is named with its line.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn kind(error: &io::Error) -> FaultKind {
    /// What a kernel says that has PSI and runs without it, as that of RHEL 8 does unless told
    /// otherwise. Not every Rust takes this number of Linux for `Unsupported`.
    const EOPNOTSUPP: i32 = 95;
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::Unsupported => {
            FaultKind::Unsupported
        }
        _ if error.raw_os_error() == Some(EOPNOTSUPP) => FaultKind::Unsupported,
        _ => FaultKind::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_told_from_what_went_wrong() {
        for (number, expected) in [
            (2, FaultKind::Unsupported),  // ENOENT
            (13, FaultKind::Unsupported), // EACCES
            (95, FaultKind::Unsupported), // EOPNOTSUPP
            (5, FaultKind::Unreachable),  // EIO
            (19, FaultKind::Unreachable), // ENODEV
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(kind(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_bound_and_what_is_not_there_comes_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(text(&path, 5, "").unwrap(), "12345");
        assert_eq!(text(&path, 4, "").unwrap_err().kind(), FaultKind::TooLarge);
        std::fs::write(&path, [b'1', 0xff]).unwrap();
        assert_eq!(text(&path, 5, "").unwrap(), "1\u{fffd}");
        let fault = text(&folder.path().join("g"), 5, "start it with psi=1").unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unsupported);
        assert!(fault.detail().ends_with("; start it with psi=1"), "{fault}");
        let fault = text(folder.path(), 5, "").unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unreachable, "a folder: {fault}");
    }
}
