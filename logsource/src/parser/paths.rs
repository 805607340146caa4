//! The asked dotted paths as a tree of names.
//!
//! `a.b` means the field `a.b` if there is one, else the field `b` of the map `a`, as in
//! [`Fields::get`](crate::Fields::get). A path with dots therefore stands at several places of the
//! tree, each with its rank: 0 for the plain name, more for what counts only without it.

use super::slots::Goal;

/// A path with more dots is looked up the slow way: each dot doubles its places in the tree.
pub(super) const MAX_DOTS: usize = 6;

#[derive(Debug, Clone)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    /// Which line it is; what was seen in another line is not seen.
    line: u64,
}

#[derive(Debug, Clone, Default)]
struct Node {
    edges: Vec<Edge>,
}

#[derive(Debug, Clone)]
struct Edge {
    name: Box<str>,
    find: Find,
    seen: u64,
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Find {
    /// The slot that its value goes to.
    pub(super) slot: Option<Goal>,
    /// The node for what is inside, if it is a map.
    pub(super) inside: Option<u16>,
}

impl Paths {
    pub(super) const TOP: u16 = 0;

    pub(super) fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut tree = Self { nodes: vec![Node::default()], line: 0 };
        for (slot, path) in (0..).zip(paths) {
            tree.add(Self::TOP, path, slot, &mut 0);
        }
        tree
    }

    /// Starts a line.
    pub(super) fn begin(&mut self) {
        self.line += 1;
    }

    /// What is asked of a name in a map. Of a name that repeats the first counts: asked again on
    /// the same line it is none.
    pub(super) fn find(&mut self, node: u16, name: &[u8]) -> Option<Find> {
        let edges = &mut self.nodes.get_mut(usize::from(node))?.edges;
        let edge = edges.iter_mut().find(|edge| edge.name.as_bytes() == name)?;
        let first = edge.seen != self.line;
        edge.seen = self.line;
        first.then_some(edge.find)
    }

    fn add(&mut self, node: u16, rest: &str, slot: u16, rank: &mut u16) {
        self.edge(node, rest).slot = Some((slot, *rank));
        *rank += 1;
        for (dot, _) in rest.match_indices('.') {
            let fresh = self.nodes.len() as u16;
            let inside = *self.edge(node, &rest[..dot]).inside.get_or_insert(fresh);
            if inside == fresh {
                self.nodes.push(Node::default());
            }
            self.add(inside, &rest[dot + 1..], slot, rank);
        }
    }

    fn edge(&mut self, node: u16, name: &str) -> &mut Find {
        let edges = &mut self.nodes[usize::from(node)].edges;
        let at = edges.iter().position(|edge| *edge.name == *name).unwrap_or_else(|| {
            edges.push(Edge { name: name.into(), find: Find::default(), seen: 0 });
            edges.len() - 1
        });
        &mut edges[at].find
    }
}
