//! Words that a text must hold for a pattern to match it.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{Extractor, Seq};

/// Shorter words are in every other text.
const MIN_BYTES: usize = 3;
/// More words than these say too little each.
const MAX_WORDS: usize = 16;

/// One of these is in every text that the pattern matches; none if there are no such words.
pub(super) fn required(pattern: &str) -> Option<Vec<Box<str>>> {
    let hir = ParserBuilder::new().build().parse(pattern).ok()?;
    let mut extractor = Extractor::new();
    extractor.limit_total(MAX_WORDS);
    let prefixes = extractor.extract(&hir);
    let suffixes = extractor.kind(regex_syntax::hir::literal::ExtractKind::Suffix).extract(&hir);
    [words(&prefixes), words(&suffixes)].into_iter().flatten().max_by_key(|words| shortest(words))
}

fn words(sequence: &Seq) -> Option<Vec<Box<str>>> {
    let literals = sequence.literals()?;
    let texts = literals.iter().map(|literal| std::str::from_utf8(literal.as_bytes()).ok());
    let words: Vec<Box<str>> = texts.map(|text| text.map(Into::into)).collect::<Option<_>>()?;
    (!words.is_empty() && shortest(&words) >= MIN_BYTES).then_some(words)
}

fn shortest(words: &[Box<str>]) -> usize {
    words.iter().map(|word| word.len()).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_patterns() {
        let words = |pattern| {
            let words = required(pattern)?;
            Some(words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(words("^/api/v\\d").as_deref(), Some("/api/v"));
        assert_eq!(words("(timeout|refused) by").as_deref(), Some("timeout by refused by"));
        assert_eq!(words(".*connection reset").as_deref(), Some("connection reset"));
        assert_eq!(words("\\d+ errors$").as_deref(), Some(" errors"));
        assert_eq!(words("a|.*"), None);
        assert_eq!(words("x*"), None);
        assert!(
            words("(?i)panic").is_some_and(|words| words.split(" ").all(|word| word.len() >= 3))
        );
    }
}
