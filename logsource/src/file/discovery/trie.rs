//! Many patterns as one tree of components, so that a directory is looked at once for all of them.
//!
//! A path is at a set of nodes: where the patterns that it can still fit have got to. The set of a
//! directory's entry follows from that of the directory and the entry's name.

use std::collections::HashMap;

use super::glob::{Component, Glob};

/// Where a path is: nodes, in no order.
pub(super) type Nodes = Vec<u32>;

/// What a path begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// `/`
    Absolute = 0,
    /// The current directory.
    Relative = 1,
}

#[derive(Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// Whether wildcards fit a leading dot.
    dots: bool,
}

#[derive(Debug, Default)]
struct Node {
    plain: HashMap<Box<[u8]>, u32>,
    globs: Vec<(Glob, u32)>,
    /// The node of a `**` that comes next.
    any_depth: Option<u32>,
    /// Whether this is the node of a `**`: it stays as long as names do not begin with a dot.
    is_any_depth: bool,
    /// Whether plain names alone lead here.
    is_plain: bool,
    end: Option<End>,
}

/// That a pattern ends at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// A pattern that may begin at any directory.
    Floating,
    /// A pattern that was given from its root on.
    Whole,
}

impl Trie {
    pub(super) fn new(dots: bool) -> Self {
        let root = || Node { is_plain: true, ..Node::default() };
        Self { nodes: vec![root(), root()], dots }
    }

    pub(super) fn insert(&mut self, root: Root, path: &[Component], end: End) {
        let mut at = root as u32;
        for component in path {
            at = self.child(at, component);
        }
        let node = self.node_mut(at);
        node.end = node.end.max(Some(end));
    }

    pub(super) fn start(&self, root: Root) -> Nodes {
        let mut nodes = Nodes::new();
        self.add(&mut nodes, root as u32);
        nodes
    }

    /// Where a name leads to; nowhere if no pattern can fit.
    pub(super) fn step(&self, nodes: &[u32], name: &[u8], next: &mut Nodes) {
        next.clear();
        for at in nodes {
            let Some(node) = self.nodes.get(*at as usize) else { continue };
            if let Some(child) = node.plain.get(name) {
                self.add(next, *child);
            }
            for (glob, child) in &node.globs {
                if glob.fits(name, self.dots) {
                    self.add(next, *child);
                }
            }
            if node.is_any_depth && (self.dots || name.first() != Some(&b'.')) {
                self.add(next, *at);
            }
        }
    }

    /// Whether a pattern ends here.
    pub(super) fn end(&self, nodes: &[u32]) -> Option<End> {
        self.each(nodes).filter_map(|node| node.end).max()
    }

    /// Whether a pattern goes on below.
    pub(super) fn goes_on(&self, nodes: &[u32]) -> bool {
        self.each(nodes)
            .any(|node| node.is_any_depth || !node.plain.is_empty() || !node.globs.is_empty())
    }

    /// Whether the names that go on can be told only by listing the directory.
    pub(super) fn needs_listing(&self, nodes: &[u32]) -> bool {
        self.each(nodes).any(|node| node.is_any_depth || !node.globs.is_empty())
    }

    /// The plain names that go on.
    pub(super) fn names<'a>(&'a self, nodes: &'a [u32]) -> impl Iterator<Item = &'a [u8]> {
        self.each(nodes).flat_map(|node| node.plain.keys()).map(|name| &**name)
    }

    /// Drops all that wildcards led to.
    pub(super) fn keep_plain(&self, nodes: &mut Nodes) {
        nodes.retain(|at| self.nodes.get(*at as usize).is_some_and(|node| node.is_plain));
        for index in 0..nodes.len() {
            let any_depth = nodes.get(index).and_then(|at| self.nodes.get(*at as usize)?.any_depth);
            nodes.extend(any_depth);
        }
    }

    /// Drops those that would go on and on.
    pub(super) fn drop_any_depth(&self, nodes: &mut Nodes) {
        nodes.retain(|at| self.nodes.get(*at as usize).is_some_and(|node| !node.is_any_depth));
    }

    fn each<'a>(&'a self, nodes: &'a [u32]) -> impl Iterator<Item = &'a Node> {
        nodes.iter().filter_map(|at| self.nodes.get(*at as usize))
    }

    /// Adds a node, and the `**` that may stand for no directory at all.
    fn add(&self, nodes: &mut Nodes, at: u32) {
        if nodes.contains(&at) {
            return;
        }
        nodes.push(at);
        if let Some(any_depth) = self.nodes.get(at as usize).and_then(|node| node.any_depth)
            && !nodes.contains(&any_depth)
        {
            nodes.push(any_depth);
        }
    }

    fn child(&mut self, at: u32, component: &Component) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let parent = self.node_mut(at);
        let is_plain = parent.is_plain && matches!(component, Component::Plain(_));
        let child = match component {
            Component::Plain(name) => *parent.plain.entry(name.clone()).or_insert(new),
            Component::Glob(glob) => match parent.globs.iter().find(|(other, _)| other == glob) {
                Some((_, child)) => *child,
                None => {
                    parent.globs.push((glob.clone(), new));
                    new
                }
            },
            Component::AnyDepth => *parent.any_depth.get_or_insert(new),
        };
        if child == new {
            let is_any_depth = *component == Component::AnyDepth;
            self.nodes.push(Node { is_any_depth, is_plain, ..Node::default() });
        }
        child
    }

    /// Nodes are never removed, so a number that was given out has one.
    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }
}
