//! `/proc/uptime`: the kernel's own clock, which nobody sets.

use std::path::Path;
use std::time::Duration;

use super::{file, malformed, shown};
use crate::source::Fault;

/// For how long the kernel under `proc` has been up, to the hundredth of a second.
pub(crate) fn uptime(proc: &Path) -> Result<Duration, Fault> {
    let path = proc.join("uptime");
    let text = file::text(&path, file::MOST_BYTES, "")?;
    parse(&text, &path.to_string_lossy())
}

fn parse(text: &str, file: &str) -> Result<Duration, Fault> {
    let word = text.split_ascii_whitespace().next().unwrap_or_default();
    let time = word.split_once('.').and_then(|(seconds, hundredths)| {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if hundredths.len() != 2 || !digits(seconds) || !digits(hundredths) {
            return None;
        }
        let hundredths = hundredths.parse::<u64>().ok()?;
        Duration::from_secs(seconds.parse().ok()?)
            .checked_add(Duration::from_millis(hundredths * 10))
    });
    time.ok_or_else(|| malformed(file, 1, format!("{} is no time such as 350.25", shown(word))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_hundredths_and_nothing_else() {
        assert_eq!(
            parse("350735.47 234388.90\n", "u").unwrap(),
            Duration::from_millis(350_735_470)
        );
        for text in ["", "12", "1.5", "1.500", "-1.00", "1e3.00", "99999999999999999999.00"] {
            assert!(parse(text, "u").unwrap_err().detail().starts_with("u:1: `"), "{text}");
        }
    }
}
