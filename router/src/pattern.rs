//! Regular expressions as Alertmanager's users write them.
//!
//! Alertmanager reads Go's RE2 dialect; ours is the `regex` crate's. They differ in little, and silently, which is
//! worse: `\d` would match Arabic digits here, `[[a]` would be a nested class, `\Q…\E` an error. So a pattern is
//! rewritten before it is compiled. Both engines run in linear time.

use regex::{Regex, RegexBuilder};

/// No pattern's program may be larger than this, so that a configuration cannot eat the memory.
const SIZE_LIMIT: usize = 1 << 20;

/// Compiles `pattern`, anchored at both ends.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let rust = translate(pattern)?;
    // Checked alone first: `a)|(b` must not become valid by the group that anchors it.
    RegexBuilder::new(&rust).size_limit(SIZE_LIMIT).build().map_err(|e| e.to_string())?;
    RegexBuilder::new(&format!("^(?:{rust})$"))
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|e| e.to_string())
}

/// The same pattern in the `regex` crate's dialect.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Q') if !in_class => quote_until_end(&mut chars, &mut out),
                Some(escape) => translate_escape(escape, in_class, &mut out)?,
                None => return Err("the pattern ends in a lone backslash: write `\\\\`".into()),
            },
            '[' if in_class && chars.peek() == Some(&':') => copy_posix_class(&mut chars, &mut out),
            // What Go takes literally inside a class is syntax to the `regex` crate.
            '[' if in_class => out.push_str("\\["),
            '&' | '~' if in_class => out.extend(['\\', c]),
            '-' if in_class && chars.peek() == Some(&'-') => out.push_str("\\-"),
            '[' => {
                in_class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]"); // a `]` that stands first is itself
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

fn translate_escape(escape: char, in_class: bool, out: &mut String) -> Result<(), String> {
    match escape {
        // Go's Perl classes are ASCII. A bracketed class nests inside another one here.
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        's' => out.push_str("[\\t\\n\\f\\r ]"),
        'S' => out.push_str("[^\\t\\n\\f\\r ]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        'C' | 'B' | '0'..='7' => {
            return Err(format!("`\\{escape}` is not supported in a matcher's pattern"));
        }
        other => out.extend(['\\', other]),
    }
    Ok(())
}

/// After `\Q`: everything up to `\E`, or to the end, is literal.
fn quote_until_end(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let mut literal = String::new();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.next_if_eq(&'E').is_some() {
            break;
        }
        literal.push(c);
    }
    out.push_str(&regex::escape(&literal));
}

/// `[:alpha:]` inside a class means the same in both dialects.
fn copy_posix_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    out.push('[');
    for c in chars.by_ref() {
        out.push(c);
        if c == ']' {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_what_it_means_in_go() {
        for (pattern, text, expected) in [
            ("web-\\d+", "web-12", true),
            ("web-\\d+", "web-١٢", false), // Go's \d is ASCII
            ("\\w+", "straße", false),
            ("[\\d.]+", "10.0.0.1", true),
            ("[^\\s]+", "a b", false),
            ("a|b", "ab", false), // anchored around the whole alternation
            ("a|b", "b", true),
            ("\\Qa.b\\E+", "a.bbb", true),
            ("\\Qa.b", "axb", false),
            ("[[a]", "[", true),
            ("[a&&b]", "&", true),
            ("[]a]+", "a]", true),
            ("[^]a]", "b", true),
            ("[[:alpha:]]+", "abc", true),
            (".*", "", true),
            ("prod\\b.*", "prod-1", true),
        ] {
            let regex = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert_eq!(regex.is_match(text), expected, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_keep() {
        for pattern in ["a)|(b", "(", "\\", "\\C", "a\\1", "(?:a{1000}){1000}"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
