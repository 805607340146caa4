//! The syntax tree: a flat arena of spanned nodes.
//!
//! Children stand before their parents and are named by number, so that checking is a loop, dropping
//! is freeing one vector, and the height of every node is known when it is made and bounded there.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use crate::issue::Issue;

/// How tall a tree may grow. `&&` and `||` chains are one node, however long.
const MAX_HEIGHT: u16 = 160;
/// How many nodes one expression may have.
const MAX_NODES: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ExprId(u32);

#[derive(Debug, Clone)]
pub(crate) struct Ast {
    nodes: Vec<Node>,
    pub(crate) root: ExprId,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Bytes of the expression's own text.
    pub(crate) span: Range<usize>,
    height: u16,
    /// A name stands for it, and the span is that of the name.
    pub(crate) is_named: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Literal(Literal),
    /// A path as written; the checker resolves aliases and gives it a slot.
    Field(String),
    List(Vec<ExprId>),
    /// `500..599`, both ends in it.
    Range(ExprId, ExprId),
    And(Vec<ExprId>),
    Or(Vec<ExprId>),
    Not(ExprId),
    Negate(ExprId),
    Compare(CompareOp, ExprId, ExprId),
    In {
        negated: bool,
        /// Whatever the case of letters.
        folds: bool,
        item: ExprId,
        list: ExprId,
    },
    Match {
        negated: bool,
        text: ExprId,
        pattern: ExprId,
    },
    Text(TextOp, ExprId, ExprId),
    Arith(ArithOp, ExprId, ExprId),
    Default(ExprId, ExprId),
    Call {
        name: String,
        args: Vec<ExprId>,
    },
    /// `any(tags[*] == 'x')`, `all(...)`: over the items of the one list that is in it.
    Each {
        all: bool,
        over: ExprId,
    },
    /// `tags[*]`: the item at hand of the list at this path.
    Item(String),
    /// `count(10s) by a, b`.
    Count {
        over: ExprId,
        by: Vec<(String, Range<usize>)>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Str(String),
    Duration(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextOp {
    Contains,
    StartsWith,
    EndsWith,
    // Whatever the case of letters.
    IEquals,
    IContains,
    IStartsWith,
    IEndsWith,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArithOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl CompareOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    /// The operator that says the same with its sides exchanged.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }

    /// The operator that is true where this one is false.
    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
        }
    }

    pub(crate) fn is_ordering(self) -> bool {
        !matches!(self, Self::Eq | Self::Ne)
    }
}

impl TextOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Contains => "contains",
            Self::StartsWith => "startswith",
            Self::EndsWith => "endswith",
            Self::IEquals => "iequals",
            Self::IContains => "icontains",
            Self::IStartsWith => "istartswith",
            Self::IEndsWith => "iendswith",
        }
    }

    /// Whether it is all the same to it how letters are written, large or small.
    pub(crate) fn folds(self) -> bool {
        !matches!(self, Self::Contains | Self::StartsWith | Self::EndsWith)
    }

    /// Whether it looks into lists too.
    pub(crate) fn is_containing(self) -> bool {
        matches!(self, Self::Contains | Self::IContains)
    }
}

impl ArithOp {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
        }
    }
}

impl Kind {
    pub(crate) fn children(&self) -> Vec<ExprId> {
        match self {
            Self::Literal(_) | Self::Field(_) | Self::Item(_) => Vec::new(),
            Self::List(all) | Self::And(all) | Self::Or(all) | Self::Call { args: all, .. } => {
                all.clone()
            }
            Self::Not(one)
            | Self::Negate(one)
            | Self::Count { over: one, .. }
            | Self::Each { over: one, .. } => vec![*one],
            Self::Range(a, b)
            | Self::Compare(_, a, b)
            | Self::Text(_, a, b)
            | Self::Arith(_, a, b)
            | Self::Default(a, b)
            | Self::In { item: a, list: b, .. }
            | Self::Match { text: a, pattern: b, .. } => vec![*a, *b],
        }
    }
}

impl Kind {
    fn children_mut(&mut self) -> Vec<&mut ExprId> {
        match self {
            Self::Literal(_) | Self::Field(_) | Self::Item(_) => Vec::new(),
            Self::List(all) | Self::And(all) | Self::Or(all) | Self::Call { args: all, .. } => {
                all.iter_mut().collect()
            }
            Self::Not(one)
            | Self::Negate(one)
            | Self::Count { over: one, .. }
            | Self::Each { over: one, .. } => vec![one],
            Self::Range(a, b)
            | Self::Compare(_, a, b)
            | Self::Text(_, a, b)
            | Self::Arith(_, a, b)
            | Self::Default(a, b)
            | Self::In { item: a, list: b, .. }
            | Self::Match { text: a, pattern: b, .. } => vec![a, b],
        }
    }
}

impl Ast {
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::new(), root: ExprId(0) }
    }

    /// Adds a node above its children; fails when the tree gets too tall or too large.
    pub(crate) fn push(&mut self, kind: Kind, span: Range<usize>) -> Result<ExprId, Issue> {
        let below = kind.children().into_iter().map(|id| self.node(id).height).max();
        let height = below.map_or(0, |height| height + 1);
        if height > MAX_HEIGHT || self.nodes.len() >= MAX_NODES {
            return Err(Issue::new(
                "E0206",
                span,
                "the expression is too large",
                format!("more than {MAX_HEIGHT} operators deep, or {MAX_NODES} in all"),
            )
            .help("split it into several rules"));
        }
        let id = ExprId(self.nodes.len() as u32);
        self.nodes.push(Node { kind, span, height, is_named: false });
        self.root = id;
        Ok(id)
    }

    /// Adds a whole other tree, where `span` has a name for it.
    pub(crate) fn graft(&mut self, other: &Self, span: Range<usize>) -> Result<ExprId, Issue> {
        let mut below = other.below(other.root);
        below.sort_by_key(|id| id.0);
        let mut moved: HashMap<ExprId, ExprId> = HashMap::new();
        for id in below {
            let mut kind = other.kind(id).clone();
            for child in kind.children_mut() {
                *child = moved.get(child).copied().unwrap_or(*child);
            }
            let new = self.push(kind, span.clone())?;
            self.nodes[new.0 as usize].is_named = true;
            moved.insert(id, new);
        }
        Ok(self.root)
    }

    /// How many nodes there are.
    pub(crate) fn size(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, id: ExprId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// A group's node covers its parentheses.
    pub(crate) fn set_span(&mut self, id: ExprId, span: Range<usize>) {
        self.nodes[id.0 as usize].span = span;
    }

    /// Fills in a literal whose value was not known when its node was made.
    pub(crate) fn set_literal(&mut self, id: ExprId, literal: Literal) {
        self.nodes[id.0 as usize].kind = Kind::Literal(literal);
    }

    pub(crate) fn kind(&self, id: ExprId) -> &Kind {
        &self.node(id).kind
    }

    pub(crate) fn span(&self, id: ExprId) -> Range<usize> {
        self.node(id).span.clone()
    }

    /// Every node with its number, children before parents.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ExprId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (ExprId(index as u32), node))
    }

    /// `root` and everything below it, in the order of the text.
    pub(crate) fn below(&self, root: ExprId) -> Vec<ExprId> {
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            found.push(id);
            open.extend(self.kind(id).children());
        }
        // What a name stands for is all in one place, in the order in which it was written.
        found.sort_by_key(|id| (self.node(*id).span.start, id.0));
        found
    }

    /// The list over whose items `any()` or `all()` goes.
    pub(crate) fn items_of(&self, over: ExprId) -> Option<&str> {
        self.below(over).into_iter().find_map(|id| match self.kind(id) {
            Kind::Item(path) => Some(path.as_str()),
            _ => None,
        })
    }

    /// Position in the arena, for tables beside it.
    pub(crate) fn index(id: ExprId) -> usize {
        id.0 as usize
    }

    /// The terms of the top-level `&&` chain; a chain of one is the root itself.
    pub(crate) fn conjuncts(&self) -> Vec<ExprId> {
        match self.kind(self.root) {
            // One name is one term.
            Kind::And(terms) if !self.node(self.root).is_named => terms.clone(),
            _ => vec![self.root],
        }
    }

    /// The meaning below `id` as text, without spelling, spacing or position: input of the hash by
    /// which a rule is recognized after a reload.
    pub(crate) fn fingerprint(&self, id: ExprId, resolve: &dyn Fn(&str) -> String) -> String {
        let kind = self.kind(id);
        let mut out = match kind {
            Kind::Field(path) => format!("field {}", resolve(path)),
            Kind::Literal(literal) => format!("{literal:?}"),
            Kind::And(_) => "and".to_owned(),
            Kind::Or(_) => "or".to_owned(),
            Kind::List(_) => "list".to_owned(),
            Kind::Range(..) => "..".to_owned(),
            Kind::Not(_) => "not".to_owned(),
            Kind::Negate(_) => "negate".to_owned(),
            Kind::Compare(op, ..) => op.symbol().to_owned(),
            Kind::In { negated, folds, .. } => format!("in {negated} {folds}"),
            Kind::Match { negated, .. } => format!("match {negated}"),
            Kind::Text(op, ..) => op.symbol().to_owned(),
            Kind::Arith(op, ..) => op.symbol().to_owned(),
            Kind::Default(..) => "??".to_owned(),
            Kind::Call { name, .. } => format!("call {name}"),
            Kind::Count { .. } => "count".to_owned(),
            Kind::Each { all, .. } => format!("each {all}"),
            Kind::Item(path) => format!("item {}", resolve(path)),
        };
        out.push('(');
        for child in kind.children() {
            // Height is bounded, so this recursion is.
            let _ = write!(out, "{},", self.fingerprint(child, resolve));
        }
        out.push(')');
        out
    }
}
