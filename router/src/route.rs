//! The route tree: which nodes take an alert.

mod compile;
mod explain;

use std::time::Duration;

pub(crate) use self::compile::Names;
pub use self::explain::{RouteStep, RouteVerdict};
use crate::config::SlaTier;
use crate::index::{Gate, IndexScratch, MatcherIndex};
use crate::{Labels, Matchers};

/// With fewer children than this, asking each is as fast as a look-up.
const INDEX_FROM: usize = 6;

/// The route tree of a configuration, compiled to be asked often.
///
/// The walk is Alertmanager's: an alert goes to the first child that matches, and to those behind it only past a child
/// that says `continue`; what no child takes, the node takes itself. The nodes are numbered depth first, the root is 0,
/// and a number stays what it is as long as the tree.
///
/// ```
/// use birl_router::{Config, Labels, RouteScratch, RouteTree};
///
/// let config: Config = serde_json::from_str(r#"{
///     "route": { "receiver": "all", "routes": [{ "matchers": ["team:api"], "receiver": "oncall" }] },
///     "receivers": [{ "name": "all" }, { "name": "oncall" }]
/// }"#)?;
/// let tree = RouteTree::new(&config)?;
/// let mut scratch = RouteScratch::default();
/// let found = tree.find_into(&Labels::from([("team", "api")]), &mut scratch);
/// assert_eq!(found, [1]);
/// assert_eq!(tree.routes()[1].path(), "route.routes[0]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RouteTree {
    routes: Vec<Route>,
    /// What the walk needs of each node, close together.
    nodes: Vec<Node>,
    /// The children of all nodes, those of one node in a row.
    children: Vec<Child>,
    /// Every node by its number; those with many siblings are filed, in the scope of their parent.
    index: MatcherIndex,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    first_child: u32,
    children: u32,
    continues: bool,
}

/// What is asked of a child where it has few siblings, without looking anywhere else.
#[derive(Debug, Clone, Copy)]
struct Child {
    number: u32,
    gate: Gate,
}

/// One node of a [`RouteTree`], with what it inherited.
#[derive(Debug)]
pub struct Route {
    /// Where it stands: `route`, `route.routes[2]`. Unlike the key this is unique.
    pub(crate) path: String,
    /// Alertmanager's key: the matchers from the root to here, `{}/{team="api"}`.
    pub(crate) key: String,
    /// The last part of the key: this node's matchers alone.
    pub(crate) own_key: String,
    pub(crate) parent: Option<u32>,
    pub(crate) children: Box<[u32]>,
    /// Sorted as Alertmanager sorts them.
    pub(crate) matchers: Matchers,
    pub(crate) continue_matching: bool,
    /// Indexes into the receivers, at least one, each once.
    pub(crate) receivers: Box<[usize]>,
    pub(crate) group_by: GroupBy,
    pub(crate) group_wait: Duration,
    pub(crate) group_interval: Duration,
    pub(crate) repeat_interval: Duration,
    pub(crate) mute_time_intervals: Vec<String>,
    pub(crate) active_time_intervals: Vec<String>,
    pub(crate) sla: Option<SlaTier>,
}

/// By which labels alerts are gathered into one notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// `["..."]`: by all of them, so that each alert is told on its own.
    All,
    /// By these, sorted; by none everything that the route takes is one group.
    Labels(Vec<String>),
}

/// What [`RouteTree::find_into`] works with. One serves any number of trees; a thread should have its own.
#[derive(Debug, Default, Clone)]
pub struct RouteScratch {
    index: IndexScratch,
    /// The children that may match, of all nodes on the way down.
    candidates: Vec<u32>,
    found: Vec<u32>,
}

impl RouteTree {
    /// All nodes, by number; the root first, and each node before its children.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The node of this number, which is one of this tree's.
    fn get(&self, number: u32) -> &Route {
        &self.routes[number as usize]
    }

    /// The root, which matches everything.
    pub fn root(&self) -> &Route {
        &self.routes[0]
    }

    /// The numbers of the nodes that take an alert with these labels, at least one, in the order of the walk. Allocates
    /// nothing once the scratch has grown.
    pub fn find_into<'s>(&self, labels: &Labels, scratch: &'s mut RouteScratch) -> &'s [u32] {
        scratch.found.clear();
        scratch.candidates.clear();
        self.index.look_up(labels, &mut scratch.index);
        self.walk(0, labels, scratch);
        &scratch.found
    }

    /// Children first, in order, up to the first that matches without `continue`; the node itself if none did. The
    /// caller has checked that this node matches. It is as deep as the tree, which has a bound.
    fn walk(&self, number: u32, labels: &Labels, scratch: &mut RouteScratch) {
        let before = scratch.found.len();
        let children = self.children(number);
        if children.len() < INDEX_FROM {
            for child in children {
                if self.index.opens(child.gate, child.number, labels, &scratch.index)
                    && self.take(child.number, labels, scratch)
                {
                    break;
                }
            }
        } else if let Some(list) = self.index.one_list(number, &scratch.index) {
            for child in list {
                if self.ask(*child, labels, scratch) {
                    break;
                }
            }
        } else {
            let start = scratch.candidates.len();
            self.index.candidates(number, labels, &scratch.index, &mut scratch.candidates);
            let end = scratch.candidates.len();
            for at in start..end {
                if self.ask(scratch.candidates[at], labels, scratch) {
                    break;
                }
            }
            scratch.candidates.truncate(start);
        }
        if scratch.found.len() == before {
            scratch.found.push(number);
        }
    }

    /// Takes what the child takes. True: that was the last one.
    fn ask(&self, child: u32, labels: &Labels, scratch: &mut RouteScratch) -> bool {
        self.index.holds(child, labels, &scratch.index) && self.take(child, labels, scratch)
    }

    /// The same of a child that matches.
    fn take(&self, child: u32, labels: &Labels, scratch: &mut RouteScratch) -> bool {
        let node = self.nodes[child as usize];
        if node.children == 0 {
            scratch.found.push(child);
        } else {
            self.walk(child, labels, scratch);
        }
        !node.continues
    }

    fn children(&self, number: u32) -> &[Child] {
        let node = self.nodes[number as usize];
        let first = node.first_child as usize;
        &self.children[first..first + node.children as usize]
    }
}

impl Route {
    /// Where it stands in the configuration: `route.routes[2]`. Unique.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Alertmanager's key: the matchers from the root to here, `{}/{team="api"}`. Not unique.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The number of the node above; none for the root.
    pub fn parent(&self) -> Option<u32> {
        self.parent
    }

    /// The numbers of the nodes below, in the order in which they are asked.
    pub fn children(&self) -> &[u32] {
        &self.children
    }

    /// Its own conditions.
    pub fn matchers(&self) -> &Matchers {
        &self.matchers
    }

    /// Does the walk go on to its siblings after it has matched?
    pub fn continues(&self) -> bool {
        self.continue_matching
    }

    /// Who is told: positions in the configuration's `receivers`, at least one.
    pub fn receivers(&self) -> &[usize] {
        &self.receivers
    }

    /// How alerts are gathered.
    pub fn group_by(&self) -> &GroupBy {
        &self.group_by
    }

    /// How long a new group waits for more.
    pub fn group_wait(&self) -> Duration {
        self.group_wait
    }

    /// How long what is new in a group waits after the group was told.
    pub fn group_interval(&self) -> Duration {
        self.group_interval
    }

    /// When what goes on is told again.
    pub fn repeat_interval(&self) -> Duration {
        self.repeat_interval
    }

    /// The time intervals in which nobody is told. Not inherited.
    pub fn mute_time_intervals(&self) -> &[String] {
        &self.mute_time_intervals
    }

    /// The time intervals outside of which nobody is told. Not inherited.
    pub fn active_time_intervals(&self) -> &[String] {
        &self.active_time_intervals
    }

    /// The round trip that the chosen endpoint must keep.
    pub fn sla(&self) -> Option<SlaTier> {
        self.sla
    }
}
