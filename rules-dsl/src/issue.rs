//! A complaint about a piece of one text, before it is known where in a file the text stands.

use std::borrow::Cow;
use std::ops::Range;

/// What the parser and the checker produce; [`crate::source::Source`] turns it into a diagnostic.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) code: &'static str,
    /// Bytes of the text at fault.
    pub(crate) span: Range<usize>,
    /// What is wrong, in one line.
    pub(crate) message: Box<str>,
    /// What stands under the caret.
    pub(crate) label: Box<str>,
    /// What to do about it, and why.
    pub(crate) help: Option<Cow<'static, str>>,
    /// A replacement for the spanned text that would work.
    pub(crate) suggestion: Option<Box<str>>,
}

impl Issue {
    pub(crate) fn new(
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        let message = message.into().into_boxed_str();
        let label = label.into().into_boxed_str();
        Self { code, span, message, label, help: None, suggestion: None }
    }

    pub(crate) fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into().into_boxed_str());
        self
    }

    pub(crate) fn suggest_if(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(|text| text.into().into_boxed_str());
        self
    }
}

/// The candidate that `word` most likely meant, if one is near: at most a third of its letters wrong.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // Comparing is quadratic in the length, and no name worth suggesting is this long.
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit || (candidate.len() >= 4 && lower.starts_with(candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
