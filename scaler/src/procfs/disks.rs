//! `/proc/diskstats`: a line a block device.

use super::{malformed, shown};
use crate::source::Fault;

/// What `/proc/diskstats` says of one block device. Counters are since it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk<'a> {
    /// Its name, such as `vda` or `nvme0n1p2`.
    pub device: &'a str,
    /// Reads and writes, and discards and flushes where the kernel counts them, that were completed.
    pub completed: u64,
    /// Requests that are on their way at this moment (column 12).
    pub in_flight: u64,
    /// The time that requests waited and were served, added up over all of them, in milliseconds
    /// (column 14). The kernel writes 32 bits of it, and since Linux 5.0 counts a request when it
    /// is completed: one that hangs adds nothing.
    pub weighted_ms: u64,
}

impl<'a> Disk<'a> {
    /// Reads the text of `file`, a device a line.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::FaultKind::Malformed), with file and line, where a line has other
    /// columns than the kernel writes: 14, 18 or 20, or more of them in one that is newer.
    pub fn parse_all(text: &'a str, file: &str) -> Result<Vec<Self>, Fault> {
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.is_empty());
        lines
            .map(|(line, number)| Self::parse(line).map_err(|what| malformed(file, number, what)))
            .collect()
    }

    fn parse(line: &'a str) -> Result<Self, String> {
        // A line of a newer kernel may have more, but not without an end.
        const MOST: usize = 64;
        let mut columns = line.split_ascii_whitespace();
        let mut named = |what: &str| columns.next().ok_or_else(|| format!("no {what}"));
        let (major, minor) = (named("major number")?, named("minor number")?);
        count(major)?;
        count(minor)?;
        let device = named("device")?;
        let mut numbers = [0; MOST];
        let mut many = 0;
        for column in columns {
            let place = numbers.get_mut(many).ok_or_else(|| format!("more than {MOST} columns"))?;
            *place = count(column)?;
            many += 1;
        }
        match many + 3 {
            14 | 18 | 20.. => {}
            other => return Err(format!("{other} columns, where the kernel writes 14, 18 or 20")),
        }
        let [
            reads,
            _,
            _,
            _,
            writes,
            _,
            _,
            _,
            in_flight,
            _,
            weighted_ms,
            discards,
            _,
            _,
            _,
            flushes,
            ..,
        ] = numbers;
        let completed = [writes, discards, flushes].into_iter().fold(reads, u64::saturating_add);
        Ok(Self { device, completed, in_flight, weighted_ms })
    }

    /// The disk that this would be a partition of, by its name: `sda` of `sda1`, `nvme0n1` of
    /// `nvme0n1p2`. It is one if that disk is there; on some virtual machines `xvda1` is alone.
    pub fn whole(&self) -> Option<&'a str> {
        let ends_in_digit = |name: &str| name.ends_with(|end: char| end.is_ascii_digit());
        if !ends_in_digit(self.device) {
            return None;
        }
        let disk = self.device.trim_end_matches(|end: char| end.is_ascii_digit());
        // A disk whose name ends in a digit has a `p` between it and the number.
        Some(disk.strip_suffix('p').filter(|disk| ends_in_digit(disk)).unwrap_or(disk))
    }
}

fn count(text: &str) -> Result<u64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| format!("{} is no count", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = " 254 0 vda 11 187352 288972066 70587789 22 1273849 649591808 4198132 3 \
                       1932464 75326227 33 276 527822744 527833 44 12472";

    fn first(columns: usize) -> String {
        NEW.split_ascii_whitespace().take(columns).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn lines_of_all_kernels_are_read() {
        for (columns, completed) in [(14, 33), (18, 66), (20, 110)] {
            let line = first(columns);
            let vda = Disk { device: "vda", completed, in_flight: 3, weighted_ms: 75_326_227 };
            assert_eq!(Disk::parse_all(&line, "f").unwrap(), [vda], "{columns} columns");
        }
        assert_eq!(Disk::parse_all(&format!("{NEW} 1 2\n"), "f").unwrap().len(), 1, "a newer one");
        assert_eq!(Disk::parse_all("", "f").unwrap(), []);
    }

    #[test]
    fn what_the_kernel_does_not_write_names_file_and_line() {
        let says = |line: &str, what: &str| {
            let found = Disk::parse_all(&format!("{NEW}\n{line}\n"), "f").unwrap_err();
            assert_eq!(found.detail(), format!("f:2: {what}"), "{line}");
        };
        for columns in [4, 13, 15, 16, 17, 19] {
            let what = format!("{columns} columns, where the kernel writes 14, 18 or 20");
            says(&first(columns), &what);
        }
        says("7", "no minor number");
        says("7 0", "no device");
        says(&NEW.replace("4198132", "-1"), "`-1` is no count");
        says(&NEW.replace("4198132", "1.5"), "`1.5` is no count");
        says(
            &NEW.replace("75326227", "99999999999999999999"),
            "`99999999999999999999` is no count",
        );
        says(&format!("{NEW}{}", " 1".repeat(60)), "more than 64 columns");
    }

    #[test]
    fn a_partition_is_told_by_the_name_of_its_disk() {
        let whole = |device| Disk { device, completed: 0, in_flight: 0, weighted_ms: 0 }.whole();
        assert_eq!(whole("sda"), None);
        assert_eq!(whole("sda12"), Some("sda"));
        assert_eq!(whole("nvme0n1p2"), Some("nvme0n1"));
        assert_eq!(whole("md0p1"), Some("md0"));
        // No disk has such a name, so that these are none.
        assert_eq!((whole("nvme0n1"), whole("dm-10")), (Some("nvme0n"), Some("dm-")));
        assert_eq!(whole("loop1"), Some("loop"));
    }
}
