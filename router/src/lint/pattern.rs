//! What a regular expression is when it is hardly one, by its text alone.

/// The branches of an alternation at the top, one for a pattern without `|`. `None` if a flag could reach over them.
pub(super) fn branches(pattern: &str) -> Option<Vec<&str>> {
    if pattern.contains("(?") || pattern.contains("\\Q") {
        return None;
    }
    let (mut depth, mut in_class, mut escaped, mut start) = (0_u32, false, false, 0);
    let mut found = Vec::new();
    for (at, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' if !in_class => in_class = true,
            // A `]` that stands first in its class is itself.
            ']' if in_class
                && !matches!(&pattern.as_bytes()[..at], [.., b'['] | [.., b'[', b'^']) =>
            {
                in_class = false;
            }
            _ if in_class => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                found.push(&pattern[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&pattern[start..]);
    Some(found)
}

/// All texts that the pattern matches, if it is an alternation of plain texts, with a group or anchors around it or not.
pub(super) fn texts(pattern: &str) -> Option<Vec<String>> {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = without_end(pattern).unwrap_or(pattern);
    let grouped = pattern.strip_prefix("(?:").or_else(|| pattern.strip_prefix('('));
    let inner =
        grouped.and_then(|rest| rest.strip_suffix(')')).filter(|_| !pattern.ends_with("\\)"));
    let inner = inner.filter(|inner| !inner.contains(['(', ')'])).unwrap_or(pattern);
    branches(inner)?.into_iter().map(literal).collect()
}

/// The one text that the pattern matches.
pub(super) fn literal(pattern: &str) -> Option<String> {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c) if c.is_ascii_punctuation() => text.push(c),
                _ => return None,
            },
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                return None;
            }
            other => text.push(other),
        }
    }
    Some(text)
}

/// Without a `$` at the end that is no escaped one.
pub(super) fn without_end(pattern: &str) -> Option<&str> {
    let rest = pattern.strip_suffix('$')?;
    let backslashes = rest.len() - rest.trim_end_matches('\\').len();
    backslashes.is_multiple_of(2).then_some(rest)
}

/// Does it match every text, as long as that is one line?
pub(super) fn anything(pattern: &str) -> bool {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = without_end(pattern).unwrap_or(pattern);
    matches!(pattern, ".*" | "(.*)" | "(?:.*)" | "(?s).*" | "(?s:.*)" | ".*.*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Labels, MatchOp, Matcher};

    #[test]
    fn texts_are_exactly_what_the_pattern_matches() {
        for (pattern, expected) in [
            ("api", Some(&["api"][..])),
            ("api|web", Some(&["api", "web"])),
            ("^(api|web)$", Some(&["api", "web"])),
            ("(?:a\\.b|)", Some(&["a.b", ""])),
            ("a\\|b", Some(&["a|b"])),
            ("(a|b)(c|d)", None),
            ("(a|b)c", None),
            ("a.c", None),
            ("(?i)a|b", None),
            ("[ab]", None),
            ("a\\d", None),
            ("(a|b\\)", None),
            ("a$|b", None),
        ] {
            let found = texts(pattern);
            let expected = expected.map(|all| all.iter().map(|t| (*t).to_owned()).collect());
            assert_eq!(found, expected, "{pattern}");
            for text in found.into_iter().flatten() {
                let matcher = Matcher::new("a", MatchOp::Regex, pattern).unwrap();
                assert!(
                    matcher.matches(&Labels::from([("a", text.as_str())])),
                    "{pattern}: {text}"
                );
            }
        }
    }

    #[test]
    fn branches_are_those_at_the_top() {
        assert_eq!(branches("a.*|(b|c)|[|]|\\|"), Some(vec!["a.*", "(b|c)", "[|]", "\\|"]));
        assert_eq!(branches("[]|]|b"), Some(vec!["[]|]", "b"]));
        assert_eq!(branches("(?i)a|b"), None);
    }

    #[test]
    fn ends_and_everything() {
        assert_eq!(without_end("a$"), Some("a"));
        assert_eq!(without_end("a\\$"), None);
        assert_eq!(without_end("a\\\\$"), Some("a\\\\"));
        assert!(anything("^.*$") && !anything(".+") && !anything("a.*"));
    }
}
