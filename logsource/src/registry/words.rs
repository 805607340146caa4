//! Words of a command line.

use crate::Error;

/// Splits a command line into words as a shell would: blanks, quotes, backslashes. Nothing else of
/// a shell: no variables, no pipes.
pub(crate) fn split_words(line: &str) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    let broken = |what| Error::invalid(format!("in the command `{line}`: {what}"));
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => quoted.push(c),
                        None => return Err(broken("a ' is never closed")),
                    }
                }
            }
            '"' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => quoted.push(c),
                            Some(c) => quoted.extend(['\\', c]),
                            None => return Err(broken("a \" is never closed")),
                        },
                        Some(c) => quoted.push(c),
                        None => return Err(broken("a \" is never closed")),
                    }
                }
            }
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err(broken("it ends with a backslash")),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let cases: [(&str, &[&str]); 6] = [
            ("tail -f  x", &["tail", "-f", "x"]),
            (r#"sh -c "a 'b' \"c\" \d""#, &["sh", "-c", r#"a 'b' "c" \d"#]),
            (r"a\ b 'c d'e", &["a b", "c de"]),
            ("''", &[""]),
            ("  ", &[]),
            (r"'\'", &[r"\"]),
        ];
        for (line, words) in cases {
            assert_eq!(split_words(line).unwrap(), words, "{line}");
        }
        for line in ["'a", "\"a", "a\\", "\"a\\"] {
            assert!(split_words(line).is_err(), "{line}");
        }
    }
}
