//! Rule files in one way of writing.
//!
//! Text to text: pieces of the file are exchanged, and what is not exchanged stays byte for byte.

mod layout;
mod same;
mod scalar;
mod sites;

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostics;
use crate::document::Node;
use crate::source::{Format, SourceText};

use same::Difference;
use scalar::Edit;
use sites::Sites;

/// Writes a rule file the way all rule files should be written, and returns its new text.
///
/// What changes:
///
/// - expressions, which are the values of `when`, `where` and `then`, and those in `let` and
///   `macros`: one blank around operators, none behind `!` and signs or around `..`; `f(a, b)`,
///   `[a, b]`, `count(5m) by a, b`, `a(); b()`; no comma or semicolon before the end; one pair of
///   parentheses where there were two around the same; texts in single quotes (in a YAML value that
///   stands in single quotes itself, in double ones) where they need no backslash in either;
/// - blanks at the ends of lines, and the end of the file, which is one line break.
///
/// What never changes: the meaning of a rule; comments, names and the order of keys; how a value is
/// quoted or laid out in YAML, and where its lines break; how numbers and names are spelled; texts
/// that are no expressions. A line break that a text spells as `\n` is a blank like any other.
///
/// Formatting what was formatted changes nothing. An expression is left as it was where it shares
/// its text with something else by a YAML alias.
///
/// ```
/// use birl_rules_dsl::{SourceText, format};
///
/// let text = "when: cpu>90&&( env ==\"prod\" ) # hot\nthen: notify( )";
/// let file = SourceText::yaml("rules.yaml", text);
/// assert_eq!(format(&file)?, "when: cpu > 90 && (env == 'prod') # hot\nthen: notify()\n");
/// # Ok::<(), birl_rules_dsl::Diagnostics>(())
/// ```
///
/// # Errors
///
/// Every mistake for which the text cannot be read: in YAML or JSON, in the shape of the file, and
/// in the syntax of expressions (the first 1,000). What a rule means is not checked, so a file that
/// is formatted may still fail to compile.
pub fn format(source: &SourceText) -> Result<String, Diagnostics> {
    let (file, root) = source.read().map_err(|wrong| Diagnostics::new(vec![*wrong]))?;
    let sites = Sites::find(&file, &root).map_err(Diagnostics::new)?;
    let edits = scalar::edits(&source.text, &sites);
    let text = rewrite(&source.text, source.format, &root, &sites, &edits);
    Ok(lay_out(text, source.format))
}

/// The text with its expressions formatted, except those that would mean something else then: by an
/// alias they may be plain texts elsewhere, where each blank counts. There should be no others, but
/// a formatter that is wrong about one must still not change a rule.
fn rewrite(text: &str, format: Format, root: &Node, sites: &Sites<'_>, edits: &[Edit]) -> String {
    let mut left = BTreeSet::new();
    for _ in 0..2 {
        let chosen = edits.iter().filter(|edit| !left.contains(&edit.scalar));
        let new = scalar::apply(text, chosen);
        match format.parse(&new) {
            Ok(again) => match same::compare(root, &again, sites) {
                Difference::None => return new,
                Difference::In(scalars) => left.extend(scalars),
                Difference::OfShape => break,
            },
            Err(_) => break,
        }
    }
    text.to_owned()
}

/// Blanks at the ends of lines, and the end of the file.
fn lay_out(text: String, format: Format) -> String {
    let source = SourceText { name: String::new(), text, format };
    let new = source.read().ok().and_then(|(file, root)| {
        let sites = Sites::find(&file, &root).ok()?;
        let new = layout::tidy(&source.text, &root, &sites);
        let again = format.parse(&new).ok()?;
        matches!(same::compare(&root, &again, &sites), Difference::None).then_some(new)
    });
    new.unwrap_or(source.text)
}

#[cfg(all(test, feature = "yaml"))]
mod tests {
    use super::*;

    #[test]
    fn what_would_mean_something_else_is_left_as_it_was() {
        let text = "- {when: a>1, then: f(), name: x}\n- {when: b>1, then: g(1)}\n\
                    - when: count(1m) by c>2\n  then: f()\n";
        let source =
            SourceText { name: String::new(), text: text.to_owned(), format: Format::Yaml };
        let (file, root) = source.read().unwrap();
        let sites = Sites::find(&file, &root).unwrap();
        let edit = |old: &str, new: &str, scalar: &str| {
            let at = text.find(old).unwrap();
            let scalar = text.find(scalar).unwrap();
            Edit { span: at..at + old.len(), new: new.to_owned(), scalar }
        };
        for wrong in [
            edit("b>1", "b > 2", "b>1"),
            edit("b>1", "b >= 1", "b>1"),
            edit("b>1", "b >", "b>1"),
            edit("by c", "by d", "count"),
            edit("g(1)", "g('1')", "g(1)"),
            edit("g(1)", "g(1); g(1)", "g(1)"),
        ] {
            let edits = [edit("a>1", "a > 1", "a>1"), wrong];
            let new = rewrite(text, Format::Yaml, &root, &sites, &edits);
            assert_eq!(new, text.replace("a>1", "a > 1"), "{:?}", edits[1]);
        }
        for wrong in [
            edit("x}", "y}", "x}"),
            edit("b>1", "[b>1]", "b>1"),
            edit("b>1", "b>1, by: c", "b>1"),
            edit("b>1", "b: >1", "b>1"),
            edit("b>1", "\"b>1", "b>1"),
        ] {
            let edits = [edit("a>1", "a > 1", "a>1"), wrong];
            let new = rewrite(text, Format::Yaml, &root, &sites, &edits);
            let fine = [text.to_owned(), text.replace("a>1", "a > 1")];
            assert!(fine.contains(&new), "{:?} made {new:?}", edits[1]);
        }
    }
}
