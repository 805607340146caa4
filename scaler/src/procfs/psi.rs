//! Pressure stall information: for how long tasks waited for memory.

use std::time::Duration;

use super::{malformed, shown};
use crate::milli::Milli;
use crate::source::Fault;

/// A file of pressure stall information, such as `/proc/pressure/memory`.
///
/// ```
/// use birl_scaler::procfs::Psi;
///
/// let text = "some avg10=1.50 avg60=0.20 avg300=0.00 total=4200\n\
///             full avg10=0.00 avg60=0.00 avg300=0.00 total=700\n";
/// let psi = Psi::parse(text, "/proc/pressure/memory")?;
/// assert_eq!(psi.some.avg10.as_f64(), 1.5);
/// assert_eq!(psi.full.map(|full| full.total.as_micros()), Some(700));
/// # Ok::<(), birl_scaler::Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Psi {
    /// At least one task waited.
    pub some: Stall,
    /// All tasks that were not idle waited at once. The kernel did not always tell it for the
    /// processor.
    pub full: Option<Stall>,
}

/// For how long, lately and in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// Percent of the last ten seconds, as an average that fades.
    pub avg10: Milli,
    /// Percent of the last minute.
    pub avg60: Milli,
    /// Percent of the last five minutes.
    pub avg300: Milli,
    /// Since the kernel, or the cgroup, was started.
    pub total: Duration,
}

impl Psi {
    /// Reads the text of `file`.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::FaultKind::Malformed), with file and line, where a line is none that
    /// the kernel writes, or there is no `some`.
    pub fn parse(text: &str, file: &str) -> Result<Self, Fault> {
        let (mut some, mut full) = (None, None);
        for (line, number) in text.lines().zip(1..) {
            let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
            let held = match kind {
                "some" => &mut some,
                "full" => &mut full,
                _ => {
                    let what = format!("{} is neither `some` nor `full`", shown(kind));
                    return Err(malformed(file, number, what));
                }
            };
            if held.is_some() {
                return Err(malformed(file, number, format!("`{kind}` is there twice")));
            }
            *held = Some(Stall::parse(rest).map_err(|what| malformed(file, number, what))?);
        }
        let some = some.ok_or_else(|| malformed(file, 1, "there is no line `some`"))?;
        Ok(Self { some, full })
    }
}

impl Stall {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let mut value = |name: &str| {
            let word = words.next().unwrap_or_default();
            let value = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
            value.ok_or_else(|| format!("{} where `{name}=…` should be", shown(word)))
        };
        let stall = Self {
            avg10: percent(value("avg10")?)?,
            avg60: percent(value("avg60")?)?,
            avg300: percent(value("avg300")?)?,
            total: {
                let total = value("total")?;
                let micros = total.parse().map_err(|_| format!("{} is no time", shown(total)))?;
                Duration::from_micros(micros)
            },
        };
        match words.next() {
            Some(word) => Err(format!("{} is too much", shown(word))),
            None => Ok(stall),
        }
    }
}

fn percent(text: &str) -> Result<Milli, String> {
    // `f64` also reads `inf`, `1e9` and signs, which the kernel does not write.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value = plain.then(|| text.parse().ok()).flatten();
    let percent = value.filter(|percent| *percent <= 100.0).and_then(Milli::from_f64);
    percent.ok_or_else(|| format!("{} is no percentage", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "avg10=0.00 avg60=0.00 avg300=0.00 total=0";

    #[test]
    fn the_processor_of_an_older_kernel_has_no_full() {
        let psi = Psi::parse(&format!("some {ZERO}\n"), "cpu").unwrap();
        assert_eq!((psi.full, psi.some.total), (None, Duration::ZERO));
    }

    #[test]
    fn what_the_kernel_does_not_write_names_file_and_line() {
        for (text, what) in [
            (String::new(), "m:1: there is no line `some`"),
            (format!("full {ZERO}\n"), "m:1: there is no line `some`"),
            (format!("some {ZERO}\nsome {ZERO}\n"), "m:2: `some` is there twice"),
            (format!("some {ZERO}\nmost {ZERO}\n"), "m:2: `most` is neither `some` nor `full`"),
            ("some avg10=0.00".into(), "m:1: `` where `avg60=…` should be"),
            (format!("some {}", ZERO.replace("0.00", "-1.0")), "m:1: `-1.0` is no percentage"),
            (format!("some {}", ZERO.replace("0.00", "nan")), "m:1: `nan` is no percentage"),
            (format!("some {}", ZERO.replace("0.00", "100.01")), "m:1: `100.01` is no percentage"),
            (format!("some {ZERO}0x"), "m:1: `00x` is no time"),
            (format!("some {ZERO} more"), "m:1: `more` is too much"),
            (
                format!("some {}", ZERO.replace("=0.00", "")),
                "m:1: `avg10` where `avg10=…` should be",
            ),
        ] {
            assert_eq!(Psi::parse(&text, "m").unwrap_err().detail(), what, "{text}");
        }
    }
}
