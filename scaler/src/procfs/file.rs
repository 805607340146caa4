//! Small files of the kernel, read whole and no further than a bound.

use std::fs::File;
use std::io::{ErrorKind, Read};
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
        let kind = match error.kind() {
            // The last is what a kernel without PSI says when one reads the file of it.
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::Unsupported => {
                FaultKind::Unsupported
            }
            _ => FaultKind::Unreachable,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

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
