//! Files of a name and a number a line: `memory.stat`, `memory.events`, `/proc/vmstat`.

use super::{malformed, shown};
use crate::source::Fault;

/// A file in which each line is a name and a number.
///
/// Lines that nobody asks for are not judged: a kernel that adds a new kind must not make known
/// counters Unknown.
///
/// ```
/// use birl_scaler::procfs::Counters;
///
/// let vmstat = Counters::new("pgfault 42\npgmajfault 7\n", "/proc/vmstat");
/// assert_eq!(vmstat.get("pgmajfault")?, Some(7));
/// assert_eq!(vmstat.get("oom_kill")?, None);
/// # Ok::<(), birl_scaler::Fault>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Counters<'a> {
    text: &'a str,
    file: &'a str,
}

impl<'a> Counters<'a> {
    /// The text of `file`.
    pub fn new(text: &'a str, file: &'a str) -> Self {
        Self { text, file }
    }

    /// The number beside `name`; `None` where this kernel has no such counter.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::FaultKind::Malformed), with file and line, where what is beside it is
    /// no number from 0 to 2⁶⁴ − 1, or the name is there twice.
    pub fn get(&self, name: &str) -> Result<Option<u64>, Fault> {
        let mut found = None;
        for (line, number) in self.text.lines().zip(1..) {
            let Some(value) = line.strip_prefix(name) else { continue };
            let value = match value.strip_prefix(' ') {
                Some(value) => value,
                None if value.is_empty() => value,
                None => continue, // another name that begins alike
            };
            if found.is_some() {
                return Err(malformed(self.file, number, format!("`{name}` is there twice")));
            }
            // `u64` would also read `+7`.
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            found = digits.then(|| value.parse().ok()).flatten();
            if found.is_none() {
                let what = format!("{} is no count of `{name}`", shown(value));
                return Err(malformed(self.file, number, what));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_whole_name() {
        let counters = Counters::new("oom 3\noom_kill 1\nworkingset_refault 9", "f");
        assert_eq!(counters.get("oom").unwrap(), Some(3));
        assert_eq!(counters.get("oom_kill").unwrap(), Some(1));
        assert_eq!(counters.get("workingset").unwrap(), None);
    }

    #[test]
    fn what_is_no_count_names_file_and_line_and_other_lines_do_not_matter() {
        let says = |text, what| {
            let found = Counters::new(text, "f").get("high").unwrap_err();
            assert_eq!(found.detail(), what);
        };
        says("low 1\nhigh -1", "f:2: `-1` is no count of `high`");
        says("high +1", "f:1: `+1` is no count of `high`");
        says("high", "f:1: `` is no count of `high`");
        says("high 18446744073709551616", "f:1: `18446744073709551616` is no count of `high`");
        says("high 1\nhigh 2", "f:2: `high` is there twice");
        let odd = "total_cpu some 1 2 3\n\nhigh 4\nhigh_mark x";
        assert_eq!(Counters::new(odd, "f").get("high").unwrap(), Some(4));
    }
}
