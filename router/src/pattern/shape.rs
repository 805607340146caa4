//! Patterns that are no more than texts with gaps.

use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// At most so many texts or globs stand for one pattern.
const MAX_TEXTS: usize = 256;
/// A text of an alternation is at most so long; a longer one is left to the regular expression.
const MAX_TEXT: usize = 4096;
/// Beginnings or ends that are worth looking up.
const MAX_ENDS: usize = 64;
const MAX_DEPTH: u8 = 8;

/// `web-.*` or `.*\.example\.com` or `a.*b`: a text with gaps, which is all that some patterns are.
#[derive(Debug, PartialEq)]
pub(crate) struct Glob {
    head: Box<str>,
    middle: Box<[Box<str>]>,
    tail: Box<str>,
    /// `.+` rather than `.*`; only without a middle.
    not_empty: bool,
    /// A gap is not `(?s:.)`: it does not match a line feed.
    one_line: bool,
}

/// Anything, or anything but a line feed, as often as one likes.
#[derive(Clone, Copy, PartialEq)]
struct Gap {
    not_empty: bool,
    one_line: bool,
}

impl Glob {
    /// What every text that it matches begins with.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// What every text that it matches ends in.
    pub(crate) fn tail(&self) -> &str {
        &self.tail
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(&*self.head) else { return false };
        let Some(mut rest) = rest.strip_suffix(&*self.tail) else { return false };
        if (self.one_line && rest.contains('\n')) || (self.not_empty && rest.is_empty()) {
            return false;
        }
        // The first place is as good as any later one: what is left is longest.
        self.middle.iter().all(|text| match rest.split_once(&**text) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    }
}

/// All that the pattern matches, if it can be told so: texts, sorted, and texts with gaps.
pub(super) fn plain(hir: &Hir) -> Option<(Box<[Box<str>]>, Box<[Glob]>)> {
    let (mut exact, mut globs) = (Vec::new(), Vec::new());
    collect(hir, &mut exact, &mut globs, MAX_DEPTH)?;
    exact.sort_unstable();
    exact.dedup();
    Some((exact.into(), globs.into()))
}

fn collect(hir: &Hir, exact: &mut Vec<Box<str>>, globs: &mut Vec<Glob>, depth: u8) -> Option<()> {
    if let Some(texts) = texts(&parts(hir)) {
        exact.extend(texts);
    } else if let (HirKind::Alternation(branches), Some(depth)) =
        (unwrapped(hir).kind(), depth.checked_sub(1))
    {
        for branch in branches {
            collect(branch, exact, globs, depth)?;
        }
    } else {
        globs.extend(with_gaps(&parts(hir))?);
    }
    (exact.len() <= MAX_TEXTS && globs.len() <= MAX_TEXTS).then_some(())
}

/// What each match begins with, and what it ends in; empty when that is not known.
pub(super) fn ends(hir: &Hir) -> (Box<[Box<[u8]>]>, Box<[Box<[u8]>]>) {
    let of_kind = |kind| {
        let mut extractor = Extractor::new();
        extractor.kind(kind).limit_total(MAX_ENDS);
        literals(&extractor.extract(hir)).unwrap_or_default()
    };
    (of_kind(ExtractKind::Prefix), of_kind(ExtractKind::Suffix))
}

fn literals(seq: &Seq) -> Option<Box<[Box<[u8]>]>> {
    let literals = seq.literals()?;
    let mut ends: Vec<Box<[u8]>> = literals.iter().map(|l| l.as_bytes().into()).collect();
    ends.sort_unstable();
    // `web` stands for `web-1` as well.
    ends.dedup();
    (!ends.is_empty() && ends.iter().all(|end| !end.is_empty())).then(|| ends.into())
}

/// Without the groups around it.
fn unwrapped(hir: &Hir) -> &Hir {
    match hir.kind() {
        HirKind::Capture(capture) => unwrapped(&capture.sub),
        _ => hir,
    }
}

/// The parts of a sequence, without anchors at its ends: the whole is anchored anyway.
fn parts(hir: &Hir) -> Vec<&Hir> {
    fn flatten<'h>(hir: &'h Hir, into: &mut Vec<&'h Hir>) {
        match unwrapped(hir).kind() {
            HirKind::Concat(parts) => parts.iter().for_each(|part| flatten(part, into)),
            _ => into.push(unwrapped(hir)),
        }
    }
    let mut all = Vec::new();
    flatten(hir, &mut all);
    let anchors_start = |hir: &&Hir| matches!(hir.kind(), HirKind::Look(Look::Start));
    let anchors_end = |hir: &&Hir| matches!(hir.kind(), HirKind::Look(Look::End));
    while all.last().is_some_and(anchors_end) {
        all.pop();
    }
    let begin = all.iter().take_while(|part| anchors_start(part)).count();
    all.split_off(begin)
}

/// The texts that the parts, one after the other, stand for; `None` if they are too many or no texts.
fn texts(parts: &[&Hir]) -> Option<Vec<Box<str>>> {
    let whole = Hir::concat(parts.iter().map(|part| (*part).clone()).collect());
    // An assertion inside is no text, and the extractor looks past it.
    if !whole.properties().look_set().is_empty() {
        return None;
    }
    let mut extractor = Extractor::new();
    extractor.limit_class(64).limit_repeat(64).limit_literal_len(MAX_TEXT).limit_total(MAX_TEXTS);
    let seq = extractor.extract(&whole);
    if !seq.is_exact() {
        return None;
    }
    let texts = seq.literals()?.iter();
    texts.map(|text| Some(std::str::from_utf8(text.as_bytes()).ok()?.into())).collect()
}

/// Texts with gaps between them: every combination of what stands before the first gap and behind the last.
fn with_gaps(parts: &[&Hir]) -> Option<Vec<Glob>> {
    let gaps: Vec<Gap> = parts.iter().filter_map(|part| gap(part)).collect();
    let first = *gaps.first()?;
    let alike = gaps.iter().all(|gap| gap.one_line == first.one_line);
    if !alike || (gaps.len() > 1 && gaps.iter().any(|gap| gap.not_empty)) {
        return None;
    }
    let mut between: Vec<Vec<Box<str>>> = Vec::new();
    for run in parts.split(|part| gap(part).is_some()) {
        between.push(texts(run)?);
    }
    let (heads, rest) = between.split_first()?;
    let (tails, middle) = rest.split_last()?;
    // A gap with a line feed beside it in the pattern cannot be judged by the whole text.
    let middle: Option<Vec<Box<str>>> = middle
        .iter()
        .map(|texts| match &texts[..] {
            [one] if !(first.one_line && one.contains('\n')) => Some(one.clone()),
            _ => None,
        })
        .collect();
    let middle: Box<[Box<str>]> = middle?.into_iter().filter(|text| !text.is_empty()).collect();
    if heads.len() * tails.len() > MAX_ENDS {
        return None;
    }
    let all = heads.iter().flat_map(|head| tails.iter().map(move |tail| (head, tail)));
    Some(
        all.map(|(head, tail)| Glob {
            head: head.clone(),
            middle: middle.clone(),
            tail: tail.clone(),
            not_empty: first.not_empty,
            one_line: first.one_line,
        })
        .collect(),
    )
}

fn gap(hir: &Hir) -> Option<Gap> {
    let HirKind::Repetition(repetition) = hir.kind() else { return None };
    let HirKind::Class(Class::Unicode(class)) = unwrapped(&repetition.sub).kind() else {
        return None;
    };
    let ranges: Vec<_> = class.iter().map(|range| (range.start(), range.end())).collect();
    let one_line = match ranges[..] {
        [('\0', char::MAX)] => false,
        [('\0', '\x09'), ('\x0b', char::MAX)] => true,
        _ => return None,
    };
    let not_empty = match (repetition.min, repetition.max) {
        (0, None) => false,
        (1, None) => true,
        _ => return None,
    };
    Some(Gap { not_empty, one_line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pattern: &str) -> Option<(Vec<String>, usize)> {
        let hir = regex_syntax::parse(pattern).unwrap();
        let (exact, globs) = plain(&hir)?;
        Some((exact.iter().map(|text| text.to_string()).collect(), globs.len()))
    }

    #[test]
    fn what_is_no_regular_expression_in_earnest_is_told_from_what_is() {
        let texts = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        for (pattern, exact, globs) in [
            ("prod", &["prod"][..], 0),
            ("^prod$", &["prod"], 0),
            ("api|web|^db$", &["api", "db", "web"], 0),
            ("", &[""], 0),
            ("a?", &["", "a"], 0),
            ("(?i)ab", &["AB", "Ab", "aB", "ab"], 0),
            ("web-[0-3]", &["web-0", "web-1", "web-2", "web-3"], 0),
            (".*", &[], 1),
            ("(?s).+", &[], 1),
            ("web-.*", &[], 1),
            ("(web|db)-.*\\.(com|org)", &[], 4),
            ("web|db-.*", &["web"], 1),
            (".*a.*b.*", &[], 1),
            ("[^\\s\\S]", &[], 0),
            // These are in earnest.
            ("a\\bb", &[], 999),
            ("a.b", &[], 999),
            ("a.+b.*", &[], 999),
            ("a.*(b|c).*", &[], 999),
            ("[0-9]+", &[], 999),
        ] {
            let expected = (globs != 999).then(|| (texts(exact), globs));
            assert_eq!(shape(pattern), expected, "{pattern}");
        }
        assert_eq!(shape("5[0-9]{2}").unwrap().0.len(), 100);
        assert_eq!(shape("[0-9]{3}"), None, "a thousand texts are too many");
    }
}
