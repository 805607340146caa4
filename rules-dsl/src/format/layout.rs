//! The ends of lines, and the end of the file.

use std::ops::Range;

use super::sites::Sites;
use crate::document::{Node, NodeKind, Style};

/// Removes blanks at the ends of lines where they are no part of a text, and empty lines at the end
/// of the file.
pub(super) fn tidy(file: &str, root: &Node, sites: &Sites<'_>) -> String {
    let filled = file.trim_end_matches([' ', '\t', '\r', '\n']).len();
    let mut texts = Texts { ranges: Vec::new(), filled, open_end: false };
    texts.collect(file, root, sites);
    texts.ranges.sort_by_key(|range| (range.start, range.end));

    let end = texts.end(file);
    let mut out = String::with_capacity(file.len() + 2);
    let mut ranges = texts.ranges.iter().peekable();
    let mut at = 0;
    for line in file[..end].split_inclusive('\n') {
        let text = line.strip_suffix('\n').unwrap_or(line);
        let text = text.strip_suffix('\r').unwrap_or(text);
        // A return without a line feed is a line break of YAML's, and here the end of an empty line.
        let kept = text.trim_end_matches([' ', '\t', '\r']);
        while ranges.next_if(|range| range.end <= at + kept.len()).is_some() {}
        let in_text = ranges.peek().is_some_and(|range| range.start <= at + kept.len());
        out.push_str(if in_text { text } else { kept });
        out.push_str(&line[text.len()..]);
        at += line.len();
    }
    if !texts.open_end || !out.ends_with('\n') {
        let rest = &file[end..];
        let breaks = if rest.contains('\n') { rest } else { file };
        let crlf = breaks.find('\n').is_some_and(|at| breaks[..at].ends_with('\r'));
        out.push_str(if crlf { "\r\n" } else { "\n" });
    }
    out
}

/// The texts in which blanks at the end of a line may count.
struct Texts {
    ranges: Vec<Range<usize>>,
    /// Where the file ends, less its empty lines.
    filled: usize,
    /// The last one ends with the file, and its empty lines count.
    open_end: bool,
}

impl Texts {
    /// Recurses once per level.
    fn collect(&mut self, file: &str, node: &Node, sites: &Sites<'_>) {
        match &node.kind {
            NodeKind::Scalar { text, style } => {
                let lines = file.get(node.span.clone()).is_some_and(|text| text.contains('\n'));
                let block = *style == Style::Block;
                if block || (lines && *style != Style::Plain) {
                    self.ranges.push(node.span.clone());
                }
                let blanks = text.len() - text.trim_end_matches([' ', '\t', '\n']).len();
                let breaks = text[text.len() - blanks..].matches('\n').count();
                if block
                    && breaks > 1
                    && node.span.end >= self.filled
                    && sites.language(node).is_none()
                {
                    self.open_end = true;
                }
            }
            NodeKind::Seq(items) => items.iter().for_each(|item| self.collect(file, item, sites)),
            NodeKind::Map(entries) => {
                for (key, value) in entries {
                    self.collect(file, key, sites);
                    self.collect(file, value, sites);
                }
            }
        }
    }

    /// Where the last line ends that is not empty, its line break not counted.
    fn end(&self, file: &str) -> usize {
        if self.open_end {
            return file.len();
        }
        let end = self.filled;
        // Blanks at the end of a block's last line are a part of the text.
        let line = file[end..].find(['\r', '\n']).map_or(file.len(), |at| end + at);
        let in_text = self.ranges.iter().any(|range| range.start <= end && range.end > end);
        if in_text { line } else { end }
    }
}
