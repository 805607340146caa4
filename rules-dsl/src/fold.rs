//! Letters without their case: what `icontains` and its kin compare.
//!
//! One character folds to one character (simple case folding of Unicode), so `ß` is not `ss`, and the
//! Greek sigmas are one letter wherever they stand.

/// The letter that stands for all forms of one.
pub(crate) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        // The rules below would take these for others, and Unicode does not.
        '\u{130}' | '\u{131}' => c,
        '\u{1e9e}' => '\u{df}',
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        _ => {
            let upper = only(c.to_uppercase()).unwrap_or(c);
            only(upper.to_lowercase()).unwrap_or(upper)
        }
    }
}

fn only(mut all: impl Iterator<Item = char>) -> Option<char> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// Writes the folded text over what is in `out`.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.extend(text.chars().map(fold));
    }
}

pub(crate) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    /// Held against the tables that `(?i)` goes by, character by character.
    #[test]
    fn folding_is_that_of_patterns() {
        let mut wrong = Vec::new();
        // The tables of a pattern may be those of an older Unicode.
        let known = regex::Regex::new(r"\P{Cn}").unwrap();
        for c in '\0'..=char::MAX {
            if !known.is_match(c.encode_utf8(&mut [0; 4])) {
                continue;
            }
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.try_case_fold_simple().unwrap();
            let same = class.iter().flat_map(|range| range.start()..=range.end());
            wrong.extend(same.filter(|other| fold(*other) != fold(c)).map(|other| (c, other)));
            // Nothing else folds to what it folds to.
            let folded = fold(c);
            if !class.iter().any(|range| (range.start()..=range.end()).contains(&folded)) {
                wrong.push((c, folded));
            }
        }
        assert_eq!(wrong, []);
    }
}
