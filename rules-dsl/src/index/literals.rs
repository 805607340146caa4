//! Words that a text must hold for a pattern to match it.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::Look;
use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};

/// Shorter words are in every other text.
const MIN_BYTES: usize = 3;
/// More words than these say too little each.
const MAX_WORDS: usize = 16;

/// Words of which one is in every text that a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Words {
    /// It begins with one of these.
    AtStart(Vec<Box<str>>),
    Anywhere(Vec<Box<str>>),
}

/// The words that a pattern asks for; none if it asks for none that say anything.
pub(super) fn required(pattern: &str) -> Option<Words> {
    let hir = ParserBuilder::new().build().parse(pattern).ok()?;
    let mut extractor = Extractor::new();
    extractor.limit_total(MAX_WORDS);
    let prefixes = words(&extractor.extract(&hir));
    if hir.properties().look_set_prefix().contains(Look::Start)
        && let Some(words) = prefixes
    {
        return Some(Words::AtStart(words));
    }
    let suffixes = words(&extractor.kind(ExtractKind::Suffix).extract(&hir));
    let best = [prefixes, suffixes].into_iter().flatten().max_by_key(|words| shortest(words));
    best.map(Words::Anywhere)
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
        let words = |pattern| match required(pattern)? {
            Words::AtStart(words) => Some(format!("^{}", words.join(" "))),
            Words::Anywhere(words) => Some(words.join(" ")),
        };
        assert_eq!(words("^/api/v\\d").as_deref(), Some("^/api/v"));
        assert_eq!(words("(?m)^/api/v\\d").as_deref(), Some("/api/v"));
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
