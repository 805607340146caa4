//! How much of a record is kept: enough to explain a firing, and no more than fits in memory whatever
//! the record holds.

use crate::value::Value;

/// How much of a line a firing keeps.
const LINE_CHARS: usize = 200;
/// How much of one value is kept; a longer text is cut, and a list ends with the last item that fits,
/// so that no record can fill the memory.
const VALUE_BYTES: usize = 1024;
/// What an item of a list takes besides its text.
const LIST_ITEM_BYTES: usize = 16;

/// The longest text that is taken for the name of a trace; the usual ones have 32 signs.
const TRACE_BYTES: usize = 128;

/// The name of a trace, if it is one.
pub(crate) fn trace(value: &Value<'_>) -> Option<Box<str>> {
    let Value::Str(text) = value else { return None };
    let is_name = (1..=TRACE_BYTES).contains(&text.len());
    is_name.then(|| Box::from(&**text))
}

pub(crate) fn value(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Str(text) => Value::from(cut(text).to_owned()),
        Value::List(items) => {
            let mut room = VALUE_BYTES;
            let fits = |item: &&Value<'_>| {
                let size = if let Value::Str(text) = item { text.len() } else { 0 };
                // Every item costs something, so that empty ones are bounded too.
                room.checked_sub(size + LIST_ITEM_BYTES).map(|left| room = left).is_some()
            };
            Value::List(items.iter().take_while(fits).cloned().collect()).into_owned()
        }
        other => other.clone().into_owned(),
    }
}

pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(VALUE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The beginning of a line, marked where it was cut.
pub(crate) fn line(line: &str) -> String {
    let line = line.trim_end();
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
