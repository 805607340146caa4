//! A complaint about a piece of one text, before it is known where in a file the text stands.

use std::borrow::Cow;
use std::ops::Range;

/// How many bytes one message, label or suggestion may have.
const MAX_TEXT: usize = 300;

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
    /// Other pieces of the same text that have to do with it.
    pub(crate) others: Box<[(Range<usize>, Box<str>)]>,
}

impl Issue {
    pub(crate) fn new(
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        // A message may quote what it is about, and that may be as long as the file.
        let message = cut(message.into()).into_boxed_str();
        let label = cut(label.into()).into_boxed_str();
        let (help, suggestion, others) = (None, None, Box::default());
        Self { code, span, message, label, help, suggestion, others }
    }

    pub(crate) fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at another piece of the text as well.
    pub(crate) fn with(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        let other = (span, cut(label.into()).into_boxed_str());
        self.others = self.others.into_iter().chain([other]).collect();
        self
    }

    pub(crate) fn suggest(self, suggestion: impl Into<String>) -> Self {
        self.suggest_if(Some(suggestion))
    }

    pub(crate) fn suggest_if(mut self, suggestion: Option<impl Into<String>>) -> Self {
        // Half a replacement is none.
        let whole = suggestion.map(Into::into).filter(|text| text.len() <= MAX_TEXT);
        self.suggestion = whole.map(String::into_boxed_str);
        self
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_TEXT).last();
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
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
