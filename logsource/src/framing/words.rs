//! Settings of framing as words, for configuration files and command lines.

use std::time::Duration;

#[cfg(feature = "encoding")]
use super::encoding::Encoding;
use super::join::{Join, Multiline, Pattern};
use super::presets::Presets;
use super::settings::{Framing, LongLines};
use crate::Error;

const KEYS: &[&str] = &[
    "delimiter",
    "max_line_bytes",
    "long_lines",
    "flush_partial_after",
    "carry_partial",
    "encoding",
    "containers",
    "part_time_out",
    "multiline",
    "multiline_start",
    "multiline_start_unless",
    "multiline_continuation",
    "multiline_end",
    "multiline_end_unless",
    "multiline_time_out",
    "multiline_max_bytes",
    "multiline_max_lines",
];

impl Framing {
    /// The framing that words describe, in any order, each at most once.
    ///
    /// | key | value |
    /// | --- | --- |
    /// | `delimiter` | 1 to 64 bytes; `\n`, `\r`, `\t`, `\0`, `\\` and `\xNN` stand for one each |
    /// | `max_line_bytes` | a number |
    /// | `long_lines` | `truncate`, `drop` or `split` |
    /// | `flush_partial_after` | a time, such as `500ms`, `5s` or `2m` |
    /// | `carry_partial` | `true` or `false` |
    /// | `encoding` | a label, such as `utf-16le`, `gbk` or `latin1` |
    /// | `containers` | `true` or `false`: [`Join::containers`] |
    /// | `part_time_out` | a time |
    /// | `multiline` | `java`, `python`, `go`, `rust` or `traces` |
    /// | `multiline_start`, `multiline_continuation`, `multiline_end` | a regular expression |
    /// | `multiline_start_unless`, `multiline_end_unless` | a regular expression |
    /// | `multiline_time_out` | a time |
    /// | `multiline_max_bytes`, `multiline_max_lines` | a number |
    ///
    /// ```
    /// use birl_logsource::Framing;
    ///
    /// let framing = Framing::from_words([("containers", "true"), ("multiline", "java")])?;
    /// let error = Framing::from_words([("long_lines", "cut")]).unwrap_err();
    /// assert!(error.to_string().contains("truncate, drop or split"));
    /// # Ok::<(), birl_logsource::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a key is none of these, or is there twice, or its value cannot be; the error names the
    /// key and what it may be.
    pub fn from_words<K: AsRef<str>, V: AsRef<str>>(
        words: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error> {
        let mut parsed = Words::default();
        let mut seen: Vec<&'static str> = Vec::new();
        for (key, value) in words {
            let known = KEYS.iter().find(|known| **known == key.as_ref());
            let Some(known) = known else {
                return Err(Error::invalid(format!(
                    "framing has no setting `{}`; its settings are {}",
                    key.as_ref(),
                    KEYS.join(", ")
                )));
            };
            if seen.contains(known) {
                return Err(Error::invalid(format!("`{known}` is set twice; set it once")));
            }
            seen.push(known);
            parsed.set(known, value.as_ref())?;
        }
        parsed.framing()
    }
}

#[derive(Debug, Default)]
struct Words {
    framing: Framing,
    containers: bool,
    part_time_out: Option<Duration>,
    presets: Option<Presets>,
    start: Option<Pattern>,
    continuation: Option<Pattern>,
    end: Option<Pattern>,
    time_out: Option<Duration>,
    max_bytes: Option<usize>,
    max_lines: Option<usize>,
}

impl Words {
    fn set(&mut self, key: &'static str, value: &str) -> Result<(), Error> {
        let framing = self.framing.clone();
        match key {
            "delimiter" => self.framing = framing.delimiter(unescaped(key, value)?),
            "max_line_bytes" => self.framing = framing.max_line_bytes(number(key, value)?),
            "long_lines" => {
                let all = [
                    ("truncate", LongLines::Truncate),
                    ("drop", LongLines::Drop),
                    ("split", LongLines::Split),
                ];
                self.framing = framing.long_lines(one_of(key, value, &all)?);
            }
            "flush_partial_after" => self.framing = framing.flush_partial_after(time(key, value)?),
            "carry_partial" => self.framing = framing.carry_partial(flag(key, value)?),
            "encoding" => self.framing = encoded(framing, value)?,
            "containers" => self.containers = flag(key, value)?,
            "part_time_out" => self.part_time_out = Some(time(key, value)?),
            "multiline" => {
                let all = [
                    ("java", Presets::JAVA),
                    ("python", Presets::PYTHON),
                    ("go", Presets::GO),
                    ("rust", Presets::RUST),
                    ("traces", Presets::ALL),
                ];
                self.presets = Some(one_of(key, value, &all)?);
            }
            "multiline_start" => pattern(key, value, false, &mut self.start)?,
            "multiline_start_unless" => pattern(key, value, true, &mut self.start)?,
            "multiline_continuation" => pattern(key, value, false, &mut self.continuation)?,
            "multiline_end" => pattern(key, value, false, &mut self.end)?,
            "multiline_end_unless" => pattern(key, value, true, &mut self.end)?,
            "multiline_time_out" => self.time_out = Some(time(key, value)?),
            "multiline_max_bytes" => self.max_bytes = Some(number(key, value)?),
            _ => self.max_lines = Some(number(key, value)?),
        }
        Ok(())
    }

    fn framing(self) -> Result<Framing, Error> {
        let has_patterns =
            self.start.is_some() || self.continuation.is_some() || self.end.is_some();
        if self.presets.is_some() && has_patterns {
            return Err(Error::invalid(
                "`multiline` knows its own patterns; leave out multiline_start, \
                 multiline_continuation and multiline_end, or set them without `multiline`",
            ));
        }
        let multiline = (self.presets.is_some() || has_patterns).then(|| Multiline {
            start: self.start,
            continuation: self.continuation,
            end: self.end,
            ..Multiline::of(self.presets.unwrap_or(Presets::NONE))
        });
        if multiline.is_none()
            && (self.time_out.is_some() || self.max_bytes.is_some() || self.max_lines.is_some())
        {
            return Err(Error::invalid(
                "the limits of groups mean nothing without groups; set `multiline` (java, \
                 python, go, rust or traces) or `multiline_start`, `multiline_continuation` or \
                 `multiline_end` too",
            ));
        }
        if self.part_time_out.is_some() && !self.containers {
            return Err(Error::invalid(
                "`part_time_out` means nothing without parts; set `containers` to true too",
            ));
        }
        let multiline = multiline.map(|mut multiline| {
            multiline.time_out = self.time_out.unwrap_or(multiline.time_out);
            multiline.max_bytes = self.max_bytes.unwrap_or(multiline.max_bytes);
            multiline.max_lines = self.max_lines.unwrap_or(multiline.max_lines);
            multiline
        });
        let join = match (self.containers, multiline) {
            (false, None) => None,
            (false, Some(multiline)) => Some(Join::multiline(multiline)),
            (true, multiline) => Some(Join { multiline, ..Join::containers() }),
        };
        let framing = match join {
            None => self.framing,
            Some(join) => {
                let wait = self.part_time_out.unwrap_or(join.part_time_out);
                self.framing.join(join.part_time_out(wait))
            }
        };
        framing.check()?;
        Ok(framing)
    }
}

fn invalid(key: &str, value: &str, allowed: &str) -> Error {
    Error::invalid(format!("`{key}` is `{value}`; it can be {allowed}"))
}

fn one_of<T: Copy>(key: &str, value: &str, all: &[(&str, T)]) -> Result<T, Error> {
    let found = all.iter().find(|(name, _)| *name == value).map(|(_, it)| *it);
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let (last, others) = names.split_last().unwrap_or((&"", &[]));
        invalid(key, value, &format!("{} or {last}", others.join(", ")))
    })
}

fn flag(key: &str, value: &str) -> Result<bool, Error> {
    one_of(key, value, &[("true", true), ("false", false)])
}

fn number(key: &str, value: &str) -> Result<usize, Error> {
    value.parse().map_err(|_| invalid(key, value, "a number, such as 65536"))
}

fn time(key: &str, value: &str) -> Result<Duration, Error> {
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = value.split_at(digits);
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let millis = millis.and_then(|unit: u64| count.parse::<u64>().ok()?.checked_mul(unit));
    let wrong = || invalid(key, value, "a time, such as 500ms, 5s or 2m");
    millis.map(Duration::from_millis).ok_or_else(wrong)
}

fn pattern(key: &str, value: &str, negated: bool, into: &mut Option<Pattern>) -> Result<(), Error> {
    if into.is_some() {
        let bare = key.trim_end_matches("_unless");
        return Err(Error::invalid(format!(
            "`{bare}` and `{bare}_unless` contradict each other; set one of them"
        )));
    }
    let told = |cause: Error| Error::invalid(format!("`{key}`: {cause}"));
    *into = Some(Pattern::new(value, negated).map_err(told)?);
    Ok(())
}

#[cfg(feature = "encoding")]
fn encoded(framing: Framing, label: &str) -> Result<Framing, Error> {
    let told = |cause: Error| Error::invalid(format!("`encoding`: {cause}"));
    Ok(framing.encoding(label.parse::<Encoding>().map_err(told)?))
}

#[cfg(not(feature = "encoding"))]
fn encoded(framing: Framing, label: &str) -> Result<Framing, Error> {
    if label.eq_ignore_ascii_case("utf-8") || label.eq_ignore_ascii_case("utf8") {
        return Ok(framing);
    }
    Err(invalid("encoding", label, "utf-8 alone: this program was built without `encoding`"))
}

fn unescaped(key: &str, value: &str) -> Result<Vec<u8>, Error> {
    let wrong =
        || invalid(key, value, r"text, with \n, \r, \t, \0, \\ and \xNN for bytes that are none");
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let escape = if byte == b'\\' { rest.next() } else { None };
        bytes.push(match (byte, escape) {
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b'r')) => b'\r',
            (b'\\', Some(b't')) => b'\t',
            (b'\\', Some(b'0')) => 0,
            (b'\\', Some(b'\\')) => b'\\',
            (b'\\', Some(b'x')) => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let byte =
                    digit().zip(digit()).and_then(|(high, low)| (high * 16 + low).try_into().ok());
                byte.ok_or_else(wrong)?
            }
            (b'\\', _) => return Err(wrong()),
            (plain, _) => plain,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<const N: usize>(words: [(&str, &str); N]) -> String {
        Framing::from_words(words).unwrap_err().to_string()
    }

    #[test]
    fn words_are_the_settings_of_the_same_name() {
        let words = [
            ("delimiter", r"\r\n\x00\\"),
            ("max_line_bytes", "4096"),
            ("long_lines", "split"),
            ("flush_partial_after", "500ms"),
            ("carry_partial", "true"),
            ("containers", "true"),
            ("part_time_out", "2m"),
            ("multiline_start", "^[0-9]"),
            ("multiline_end_unless", r"\\$"),
            ("multiline_max_bytes", "1000"),
            ("multiline_max_lines", "7"),
            ("multiline_time_out", "3s"),
        ];
        let framing = Framing::from_words(words).unwrap();
        let settings = framing.settings();
        assert_eq!(settings.delimiter.as_deref(), Some(&b"\r\n\0\\"[..]));
        assert_eq!((settings.max_line, settings.long_lines), (4096, LongLines::Split));
        assert_eq!(settings.flush_partial, Some(Duration::from_millis(500)));
        assert!(settings.carry_partial);
        let join = settings.join.as_ref().unwrap();
        assert!(join.containers && join.part_time_out == Duration::from_secs(120));
        let multiline = join.multiline.as_ref().unwrap();
        assert!(multiline.start.as_ref().unwrap().matches(b"7"));
        assert!(!multiline.end.as_ref().unwrap().matches(br"a\"));
        assert_eq!((multiline.max_bytes, multiline.max_lines), (1000, 7));
        assert_eq!(multiline.time_out, Duration::from_secs(3));
    }

    #[test]
    fn what_cannot_be_names_the_key_and_what_can() {
        for key in KEYS.iter().filter(|key| **key != "delimiter") {
            assert!(told([(key, "(")]).contains(&format!("`{key}`")), "{key}");
        }
        assert!(told([("multilines", "java")]).contains("multiline_start"));
        assert!(told([("multiline", "perl")]).contains("java, python, go, rust or traces"));
        assert!(told([("containers", "yes")]).contains("true or false"));
        assert!(told([("delimiter", r"\q")]).contains(r"\xNN"));
        assert!(told([("delimiter", r"\x0")]).contains(r"\xNN"));
        assert!(told([("delimiter", "")]).contains("1 to 64"));
        assert!(told([("part_time_out", "5s")]).contains("containers"));
        assert!(told([("multiline_max_lines", "5")]).contains("multiline_start"));
        assert!(told([("multiline", "go"), ("multiline_end", "x")]).contains("own patterns"));
        assert!(told([("multiline_end", "a"), ("multiline_end_unless", "x")]).contains("one of"));
        assert!(told([("multiline", "go"), ("multiline", "go")]).contains("twice"));
    }
}
