//! JSON lines: all fields through serde, or the asked ones through a reader that steps over
//! everything else.

mod reader;
mod repair;

use serde::de::DeserializeOwned;

use reader::{Reader, unescape};

use super::paths::Paths;
use super::slots::{Goal, Slot, Slots};
use super::value::ValueRef;
use crate::Fields;

/// All fields, and what is wrong with the line.
pub(super) fn parse(line: &[u8]) -> (Fields, Option<String>) {
    let found = serde_json::from_slice(line).or_else(|error| {
        let text = std::str::from_utf8(line).ok();
        text.and_then(repaired).ok_or(error)
    });
    match found {
        Ok(fields) => (fields, None),
        Err(error) => (Fields::new(), Some(format!("not a JSON object: {error}"))),
    }
}

/// What a text means that serde refuses: nothing, unless it can be repaired.
pub(super) fn repaired<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(&repair::repaired(text)?).ok()
}

/// Fills the slots from one object; whether it is well-formed as far as it was read. Reading ends
/// with the last field that somebody waits for.
pub(super) fn extract(text: &str, paths: &mut Paths, slots: &mut Slots) -> bool {
    let mut reader = Reader::new(text);
    reader.line(paths, slots).is_some()
}

impl Reader<'_> {
    fn line(&mut self, paths: &mut Paths, slots: &mut Slots) -> Option<()> {
        paths.begin();
        self.blank();
        self.expect(b'{')?;
        self.object(Paths::TOP, paths, slots)?;
        if slots.done() {
            return Some(());
        }
        self.blank();
        (self.at == self.bytes.len()).then_some(())
    }

    /// An object after its `{`, in which something is asked for.
    fn object(&mut self, node: u16, paths: &mut Paths, slots: &mut Slots) -> Option<()> {
        self.deeper()?;
        self.blank();
        if self.take(b'}') {
            self.depth -= 1;
            return Some(());
        }
        loop {
            self.expect(b'"')?;
            let name = self.string()?;
            let find = if name.escaped {
                let start = slots.scratch.len();
                unescape(&self.text[name.at], &mut slots.scratch)?;
                let find = paths.find(node, &slots.scratch.as_bytes()[start..]);
                slots.scratch.truncate(start);
                find
            } else {
                paths.find(node, &self.bytes[name.at])
            };
            self.colon()?;
            match find {
                None => self.skip()?,
                Some(find) => {
                    let start = self.at;
                    match find.inside {
                        Some(inside) if self.take(b'{') => self.object(inside, paths, slots)?,
                        _ => {}
                    }
                    if slots.done() {
                        return Some(());
                    }
                    match find.slot {
                        Some(goal) if slots.wants(goal) => self.value(start, goal, slots)?,
                        _ if self.at == start => self.skip()?,
                        _ => {}
                    }
                    if slots.done() {
                        return Some(());
                    }
                }
            }
            self.blank();
            match self.next()? {
                b',' => self.blank(),
                b'}' => {
                    self.depth -= 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Reads a value into its slot. Of a map that was entered already, only the end is missing.
    fn value(&mut self, start: usize, goal: Goal, slots: &mut Slots) -> Option<()> {
        let value = if self.at > start {
            Slot::Json(start..self.at)
        } else {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    let string = self.string()?;
                    if string.escaped {
                        let start = slots.scratch.len();
                        unescape(&self.text[string.at], &mut slots.scratch)?;
                        Slot::Scratch(start..slots.scratch.len())
                    } else {
                        Slot::Text(string.at)
                    }
                }
                b'{' | b'[' => {
                    self.skip()?;
                    Slot::Json(start..self.at)
                }
                b't' => self.literal("true").map(|()| Slot::Plain(ValueRef::Bool(true)))?,
                b'f' => self.literal("false").map(|()| Slot::Plain(ValueRef::Bool(false)))?,
                b'n' => self.literal("null").map(|()| Slot::Plain(ValueRef::Null))?,
                _ => self.number()?.map_or(Slot::Text(start..self.at), Slot::Plain),
            }
        };
        slots.set(goal, value);
        Some(())
    }
}
