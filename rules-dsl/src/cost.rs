//! What a condition costs at worst, by a rule of thumb, so that no rule takes the time of all others.
//!
//! One unit is about what it takes to compare a field with a constant, some nanoseconds. The costs are
//! those of one record for which every term is judged, whatever an index may spare.

use crate::ast::{Ast, ExprId, Kind, TextOp};
use crate::check::Checked;
use crate::function::Function;

/// What the condition of one rule may cost, unless the host says otherwise.
pub(crate) const MAX_RULE: u64 = 10_000;
/// What all rules may cost together.
pub(crate) const MAX_SET: u64 = 5_000_000;

/// How many items a list is taken to have that a record brings.
const ITEMS: u64 = 16;
/// So many constants of a list cost one unit: they are looked up, but they take room.
const CONSTANTS: u64 = 2;

/// The cost of one condition, and of its parts.
pub(crate) struct Cost {
    pub(crate) total: u64,
    /// Each part without those below it.
    parts: Vec<(ExprId, u64)>,
}

impl Cost {
    pub(crate) fn of(ast: &Ast, checked: &Checked) -> Self {
        let mut times: Vec<u64> = Vec::new();
        for (id, node) in ast.iter() {
            times.resize(Ast::index(id) + 1, 1);
            if let Kind::Each { over, .. } = node.kind {
                ast.below(over).iter().for_each(|below| times[Ast::index(*below)] *= ITEMS);
            }
        }
        let part = |id: ExprId| (id, own(ast, checked, id).saturating_mul(times[Ast::index(id)]));
        let parts: Vec<_> = ast.below(ast.root).into_iter().map(part).collect();
        let total = parts.iter().fold(0, |sum: u64, (_, cost)| sum.saturating_add(*cost));
        Self { total, parts }
    }

    /// The parts that cost most, at most so many.
    pub(crate) fn costliest(mut self, many: usize) -> Vec<(ExprId, u64)> {
        self.parts.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        self.parts.truncate(many);
        self.parts.retain(|(_, cost)| *cost > 0);
        self.parts
    }
}

fn own(ast: &Ast, checked: &Checked, id: ExprId) -> u64 {
    match ast.kind(id) {
        Kind::Literal(_) => 0,
        Kind::List(items) => 1 + items.len() as u64 / CONSTANTS,
        Kind::Match { .. } => 20,
        Kind::Text(op, ..) => match op {
            TextOp::StartsWith | TextOp::EndsWith => 1,
            TextOp::Contains => 4,
            _ => 8,
        },
        Kind::Call { name, .. } => match checked.functions.get(&Ast::index(id)) {
            Some(function) => function.cost(),
            None => match Function::named(name) {
                Some(Function::Lower | Function::Upper) => 10,
                Some(Function::Time) => 20,
                Some(Function::Len | Function::Num | Function::Trim) => 4,
                _ if name == "cidr" => {
                    4 * checked.nets.get(&Ast::index(id)).map_or(1, Vec::len) as u64
                }
                _ => 1,
            },
        },
        Kind::Count { .. } => 5,
        _ => 1,
    }
}
