//! Whether two texts of a rule file say the same.

use super::sites::Sites;
use crate::ast::{Ast, Kind, Literal};
use crate::document::{Node, NodeKind};
use crate::names::Scope;
use crate::parser::{Language, parse_actions, parse_condition};

/// What is different.
#[derive(Debug)]
pub(super) enum Difference {
    None,
    /// Scalars, each by the place where it began.
    In(Vec<usize>),
    /// There are others.
    OfShape,
}

/// Compares a document with the one that it became. Expressions may differ in their spelling.
pub(super) fn compare(before: &Node, after: &Node, sites: &Sites<'_>) -> Difference {
    let mut scalars = Vec::new();
    if !compare_below(before, after, sites, &mut scalars) {
        Difference::OfShape
    } else if scalars.is_empty() {
        Difference::None
    } else {
        Difference::In(scalars)
    }
}

/// Recurses once per level; false where the shape is different.
fn compare_below(before: &Node, after: &Node, sites: &Sites<'_>, scalars: &mut Vec<usize>) -> bool {
    let mut both = |before, after| compare_below(before, after, sites, scalars);
    match (&before.kind, &after.kind) {
        (
            NodeKind::Scalar { text: old, style: old_style },
            NodeKind::Scalar { text: new, style: new_style },
        ) => {
            let same_kind = old_style == new_style && before.tag.is_some() == after.tag.is_some();
            let language = sites.language(before);
            let same = old == new || language.is_some_and(|language| mean_same(old, new, language));
            if !same || !same_kind {
                scalars.push(before.span.start);
            }
            true
        }
        (NodeKind::Seq(old), NodeKind::Seq(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| both(old, new))
        }
        (NodeKind::Map(old), NodeKind::Map(new)) => {
            old.len() == new.len()
                && old
                    .iter()
                    .zip(new)
                    .all(|(old, new)| both(&old.0, &new.0) && both(&old.1, &new.1))
        }
        _ => false,
    }
}

fn mean_same(old: &str, new: &str, language: Language) -> bool {
    match language {
        Language::Condition => {
            let meaning = |text: &str| {
                parse_condition(text, Scope::default()).ok().map(|ast| condition(&ast))
            };
            meaning(old).is_some_and(|old| Some(old) == meaning(new))
        }
        Language::Actions => actions(old).is_some_and(|old| Some(old) == actions(new)),
    }
}

/// The tree, and the fields that count by, which are no part of its fingerprint.
fn condition(ast: &Ast) -> (String, Vec<String>) {
    let counts = ast.iter().filter_map(|(_, node)| match &node.kind {
        Kind::Count { by, .. } => Some(by.iter().map(|(path, _)| path.clone())),
        _ => None,
    });
    (ast.fingerprint(ast.root, &str::to_owned), counts.flatten().collect())
}

fn actions(text: &str) -> Option<Vec<(String, Vec<Literal>)>> {
    let calls = parse_actions(text).ok()?;
    let arguments =
        |args: Vec<(Literal, _)>| args.into_iter().map(|(literal, _)| literal).collect();
    Some(calls.into_iter().map(|call| (call.name, arguments(call.args))).collect())
}
