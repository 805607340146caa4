//! `{{field}}` in annotations and in the arguments of intents: checked when the rules are loaded, so that no alert is lost to a
//! template later.

use std::ops::Range;

use crate::issue::Issue;
use crate::value::Value;

/// A text with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    /// A captured field, and its name for when it is missing.
    Field(usize, String),
    /// `{{$count}}`: records in the window.
    Count,
    /// `{{$rule}}`.
    Rule,
}

/// Gives a field its place, or says what is wrong with it; the range is where it stands.
pub(crate) type Capture<'c> = dyn FnMut(&str, Range<usize>) -> Result<usize, Issue> + 'c;

impl Template {
    /// Parses a text; `capture` gives each field its place among the rule's captured values, or says what
    /// is wrong with it where it stands.
    pub(crate) fn parse(
        text: &str,
        windowed: bool,
        capture: &mut Capture<'_>,
    ) -> Result<Self, Issue> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(open) = text[at..].find("{{").map(|open| at + open) {
            if open > at {
                parts.push(Part::Text(text[at..open].to_owned()));
            }
            let Some(close) = text[open..].find("}}").map(|close| open + close) else {
                let issue = Issue::new(
                    "E0503",
                    open..open + 2,
                    "this `{{` is never closed",
                    "expected `}}` behind it",
                );
                return Err(issue);
            };
            let span = open..close + 2;
            let name = text[open + 2..close].trim();
            parts.push(match name {
                "$count" if windowed => Part::Count,
                "$count" => {
                    let message = "`$count` without a window";
                    return Err(Issue::new("E0503", span, message, "this rule counts nothing")
                        .help("`$count` is the number of records in the window of `count()`"));
                }
                "$rule" => Part::Rule,
                name if is_path(name) => Part::Field(capture(name, span)?, name.replace('`', "")),
                name => return Err(bad_name(name, span)),
            });
            at = close + 2;
        }
        if at < text.len() {
            parts.push(Part::Text(text[at..].to_owned()));
        }
        Ok(Self { parts })
    }

    /// Fills the holes. A field that the record lacks shows as `<missing:field>`.
    pub(crate) fn render(
        &self,
        rule: &str,
        seen: &[Option<&Value<'_>>],
        count: Option<u64>,
    ) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Rule => out.push_str(rule),
                Part::Count => out.push_str(&count.unwrap_or_default().to_string()),
                Part::Field(index, name) => match seen.get(*index).copied().flatten() {
                    Some(value) => out.push_str(&value.to_string()),
                    None => out.push_str(&format!("<missing:{name}>")),
                },
            }
        }
        out
    }
}

fn bad_name(name: &str, span: Range<usize>) -> Issue {
    let message = format!("`{name}` is not the name of a field");
    let issue = Issue::new("E0503", span, message, "expected {{field}}, {{$rule}} or {{$count}}");
    match name.strip_prefix(['.', '$']) {
        Some(rest) if is_path(rest) => {
            issue.help("fields are named bare").suggest(format!("{{{{{rest}}}}}"))
        }
        _ => issue.help("templates hold field names, not expressions"),
    }
}

/// The longest path that is looked at, in bytes: one is taken apart wherever it is mentioned.
const MAX_PATH: usize = 4 << 10;

/// Dotted names, each bare or in backticks.
pub(crate) fn is_path(text: &str) -> bool {
    if text.len() > MAX_PATH {
        return false;
    }
    let mut quoted = false;
    let mut length = 0;
    for c in text.chars() {
        match c {
            '`' => quoted = !quoted,
            '.' if !quoted && length == 0 => return false,
            '.' if !quoted => length = 0,
            c if quoted || c.is_alphanumeric() || "_@".contains(c) => length += 1,
            _ => return false,
        }
    }
    length > 0 && !quoted && !text.starts_with(|c: char| c.is_ascii_digit())
}
