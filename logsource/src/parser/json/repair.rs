//! JSON that is well-formed, and holds what no text or no float can: a surrogate without its twin,
//! which programs write that cut text where they like, and numbers such as `1e400`.

use super::reader::{Reader, surrogate};

/// The same text with U+FFFD for such surrogates and with such numbers as text; none if there is
/// nothing of the kind. What else is wrong with it stays so.
pub(super) fn repaired(text: &str) -> Option<String> {
    let mut repair = Repair { text, into: String::new(), kept: 0 };
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        at = match byte {
            b'"' => repair.string(at + 1),
            b'-' | b'0'..=b'9' => repair.number(at),
            _ => at + 1,
        };
    }
    (repair.kept > 0).then(|| repair.into + &text[repair.kept..])
}

struct Repair<'t> {
    text: &'t str,
    into: String,
    /// So much of the text was dealt with.
    kept: usize,
}

impl Repair<'_> {
    /// After the opening quote; gives where what follows the string begins.
    fn string(&mut self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
        {
            at += found;
            if bytes[at] == b'"' {
                return at + 1;
            }
            at = match surrogate(&self.text[at..]) {
                Some((None, len)) => {
                    self.replace(at, at + len, |into, _| into.push('\u{fffd}'));
                    at + len
                }
                Some((Some(_), len)) => at + len,
                None => at + 2,
            };
        }
        bytes.len()
    }

    fn number(&mut self, start: usize) -> usize {
        let mut reader = Reader::new(self.text);
        reader.at = start;
        if reader.skip_number().is_none() {
            return start + 1;
        }
        let end = reader.at;
        if serde_json::from_str::<f64>(&self.text[start..end]).is_err() {
            self.replace(start, end, |into, number| {
                into.push('"');
                into.push_str(number);
                into.push('"');
            });
        }
        end
    }

    fn replace(&mut self, start: usize, end: usize, write: impl FnOnce(&mut String, &str)) {
        self.into.push_str(&self.text[self.kept..start]);
        write(&mut self.into, &self.text[start..end]);
        self.kept = end;
    }
}
