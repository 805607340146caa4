//! What is wrong with a rule file, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

/// One mistake in a rule file, or a warning about it ([`RuleSet::warnings`](crate::RuleSet::warnings)).
///
/// `Display` renders it the way a compiler does: the message, `file:line:column`, the line itself
/// with a caret, and the remedy. The fields say the same to a program.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// A stable code such as `E0302`, of a warning `W0001`; the list is in [`syntax`](crate::syntax).
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// The name under which the source was given.
    pub file: Arc<str>,
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, in characters, from 1.
    pub column: usize,
    /// Bytes of the file at fault.
    pub span: Range<usize>,
    /// What stands under the caret.
    pub label: String,
    /// What to do about it, and why.
    pub help: Option<Cow<'static, str>>,
    /// A replacement for the spanned text that would work.
    pub suggestion: Option<String>,
    /// Other places of the file that have to do with it.
    pub others: Vec<Place>,
    /// The line at fault, for rendering; of a very long line the part around the fault.
    pub source_line: String,
    /// How many characters of the line stand before that part.
    #[serde(skip)]
    pub(crate) skipped: usize,
}

/// A place in a rule file, and what is to be seen there.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, in characters, from 1.
    pub column: usize,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What stands under the caret.
    pub label: String,
    /// The line, for rendering; of a very long line the part around the place.
    pub source_line: String,
    /// How many characters of the line stand before that part.
    #[serde(skip)]
    pub(crate) skipped: usize,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}[{}]: {}", self.severity(), self.code, self.message)?;
        let gutter = " ".repeat(self.line.to_string().len());
        self.place().show(f, "-->", &self.file)?;
        for other in &self.others {
            other.show(f, ":::", &self.file)?;
        }
        if let Some(help) = &self.help {
            writeln!(f, " {gutter} = help: {help}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            writeln!(f, " {gutter} = did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

impl Diagnostic {
    /// Whether it is no mistake, but probably not meant.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.code.starts_with('W')
    }

    fn severity(&self) -> &'static str {
        if self.is_warning() { "warning" } else { "error" }
    }

    fn place(&self) -> Place {
        let Self { line, column, span, label, source_line, skipped, .. } = self;
        Place {
            line: *line,
            column: *column,
            span: span.clone(),
            label: label.clone(),
            source_line: source_line.clone(),
            skipped: *skipped,
        }
    }
}

impl Place {
    fn show(&self, f: &mut fmt::Formatter<'_>, arrow: &str, file: &str) -> fmt::Result {
        writeln!(f, "  {arrow} {file}:{}:{}", self.line, self.column)?;
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (line, before, width) = self.excerpt();
        writeln!(f, " {gutter} |")?;
        writeln!(f, " {number} | {line}")?;
        let carets = "^".repeat(width);
        let marked = format!(" {gutter} | {}{carets} {}", " ".repeat(before), self.label);
        writeln!(f, "{}", marked.trim_end())
    }

    /// The line, cut to a window around the fault where it is very long, the number of characters
    /// before the caret, and the number of carets.
    fn excerpt(&self) -> (String, usize, usize) {
        const WIDTH: usize = 120;
        let column = self.column - 1 - self.skipped;
        let start = if column > WIDTH * 3 / 4 { column - WIDTH / 2 } else { 0 };
        let mut line: String = self.source_line.chars().skip(start).take(WIDTH).collect();
        // A tab would shift the caret.
        line = line.replace('\t', " ");
        let length = line.chars().count();
        let before = (column - start).min(length);
        let left = line.chars().skip(before).collect::<String>();
        let spanned = self.source_line.len().min(self.span.len());
        let width = self
            .source_line
            .chars()
            .skip(column)
            .scan(0, |bytes, c| {
                *bytes += c.len_utf8();
                (*bytes <= spanned).then_some(())
            })
            .count()
            .clamp(1, left.trim_end().chars().count().max(1));
        let lead = if start + self.skipped > 0 { "…" } else { "" };
        (format!("{lead}{}", line.trim_end()), before + lead.chars().count(), width)
    }
}

/// Everything wrong with a set of rule files, in the order of the text: never empty, at most 1,000.
///
/// `Debug` is the same as `Display`, so that a `main` that returns it, or an `unwrap`, shows the lines
/// and carets and no dump of fields.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(list: Vec<Diagnostic>) -> Self {
        Self { list: Self::sorted(list) }
    }

    /// In the order of the text.
    pub(crate) fn sorted(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
        // Stable, so that mistakes in one place keep the order in which they were found.
        list.sort_by(|a, b| a.file.cmp(&b.file).then(a.span.start.cmp(&b.span.start)));
        list
    }

    /// The mistakes, file by file, from top to bottom.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.list.len()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// At most twenty in full, then how many more there are.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        for (index, diagnostic) in self.list.iter().take(SHOWN).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        if self.list.len() > SHOWN {
            writeln!(f, "\n... and {} more", self.list.len() - SHOWN)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Diagnostics {}
