//! What is no mistake, and probably not meant: negations of what may be missing.

use crate::ast::{CompareOp, Kind};
use crate::check::Checker;
use crate::issue::Issue;

impl Checker<'_> {
    /// A negated term about a field that may be missing: whoever leaves the field out passes the rule by.
    pub(super) fn negations(&mut self) {
        let ast = self.ast;
        let mut careful: Vec<&str> = Vec::new();
        for (_, node) in ast.iter() {
            let asked = match &node.kind {
                Kind::Call { name, args } if name == "exists" => args.first(),
                Kind::Default(field, _) => Some(field),
                _ => None,
            };
            if let Some(Kind::Field(path)) = asked.map(|id| ast.kind(*id)) {
                careful.push(path);
            }
        }
        for (id, node) in ast.iter() {
            let is_negated = match node.kind {
                Kind::Compare(op, ..) => op == CompareOp::Ne,
                Kind::In { negated, .. } | Kind::Match { negated, .. } => negated,
                Kind::Not(_) => true,
                _ => false,
            };
            if !is_negated {
                continue;
            }
            for below in ast.below(id) {
                let Kind::Field(path) = ast.kind(below) else { continue };
                let known = self.known.schema.field(path).and_then(Result::ok);
                let is_optional = known.is_some_and(|known| known.is_optional);
                if !is_optional || careful.contains(&path.as_str()) {
                    continue;
                }
                careful.push(path);
                let message = format!("this says nothing about a record without `{path}`");
                let issue = Issue::new("W0001", ast.span(below), message, "may be missing");
                self.out.odd.push(issue.help(format!(
                    "a rule does not fire for want of a field: add `|| !exists({path})`, or say \
                     `on_missing: match`, or `on_missing: no_match` if that is meant",
                )));
            }
        }
    }
}
