//! Lines that a regular expression takes apart.

use regex::bytes::{CaptureLocations, Regex};

use super::raw::{Raw, Sink};
use super::slots::{Line, Slots};

pub(super) fn parse<'a>(
    regex: &Regex,
    line: &'a [u8],
    sink: &mut impl Sink<'a>,
) -> Option<&'static str> {
    let Some(found) = regex.captures(line) else {
        return Some("the line does not match the parser's pattern");
    };
    for name in regex.capture_names().flatten() {
        let value = found.name(name).map(|group| Raw::Word(group.as_bytes()));
        sink.put_some(name, value);
    }
    None
}

/// A pattern with the memory that it matches in, and the groups that are asked for.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    regex: Regex,
    locations: CaptureLocations,
    asked: Vec<(usize, u16)>,
}

impl Groups {
    pub(super) fn new(regex: &Regex, paths: &[Box<str>]) -> Self {
        let groups = regex.capture_names().enumerate();
        let asked = groups.filter_map(|(group, name)| {
            let slot = paths.iter().position(|path| Some(&**path) == name)?;
            Some((group, slot as u16))
        });
        Self {
            locations: regex.capture_locations(),
            asked: asked.collect(),
            regex: regex.clone(), // memory of its own: nothing is shared with another thread
        }
    }

    /// Fills the slots; whether the line matches.
    pub(super) fn extract(&mut self, line: Line<'_>, slots: &mut Slots) -> bool {
        if self.asked.is_empty() {
            return self.regex.is_match(line.bytes);
        }
        if self.regex.captures_read(&mut self.locations, line.bytes).is_none() {
            return false;
        }
        for (group, slot) in &self.asked {
            if let Some((start, end)) = self.locations.get(*group) {
                slots.word(line, (*slot, 0), start..end);
            }
        }
        true
    }
}
