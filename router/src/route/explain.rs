//! Why a node takes an alert, or does not.

use std::fmt;

use serde::Serialize;

use super::RouteTree;
use crate::Labels;

/// What the walk made of one node; from [`RouteTree::explain`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RouteStep {
    /// The node's number.
    pub route: u32,
    /// The number of the node above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// How far below the root it stands.
    pub depth: usize,
    /// Where it stands in the configuration.
    pub path: String,
    /// Its own conditions, as Alertmanager prints them.
    pub matchers: String,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: RouteVerdict,
}

/// What came of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RouteVerdict {
    /// It takes the alert: it matches, and none of its children does.
    Takes {
        /// The walk goes on to its siblings.
        continues: bool,
    },
    /// It matches, and one or several of its children, or of theirs, take the alert.
    Below {
        /// The nodes that take it.
        taken_by: Vec<u32>,
        /// The walk goes on to its siblings.
        continues: bool,
    },
    /// A condition does not hold. Nobody asks the children.
    Differs {
        /// The first condition that does not hold.
        matcher: String,
        /// The label's value; empty when it is missing.
        value: String,
    },
    /// It was not asked, because a sibling before it matched, without `continue`.
    NotAsked {
        /// That sibling's path.
        behind: String,
    },
}

impl RouteVerdict {
    /// Do the node's own conditions hold? A node that was not asked does not say.
    pub fn matched(&self) -> Option<bool> {
        match self {
            Self::Takes { .. } | Self::Below { .. } => Some(true),
            Self::Differs { .. } => Some(false),
            Self::NotAsked { .. } => None,
        }
    }
}

impl RouteTree {
    /// The walk in slow motion: every node whose parent matched, in the order of the configuration, and what came of it.
    /// It asks each condition plainly, without the index, and so is a check of it too.
    pub fn explain(&self, labels: &Labels) -> Vec<RouteStep> {
        let (mut steps, mut taken) = (Vec::new(), Vec::new());
        self.explain_from(0, 0, labels, &mut steps, &mut taken);
        steps
    }

    /// Adds the steps of a node that matches, and of all below it.
    fn explain_from(
        &self,
        number: u32,
        depth: usize,
        labels: &Labels,
        steps: &mut Vec<RouteStep>,
        taken: &mut Vec<u32>,
    ) {
        let route = self.route(number);
        let (own, before) = (steps.len(), taken.len());
        let continues = route.continue_matching;
        steps.push(self.step(number, depth, RouteVerdict::Takes { continues }));
        let mut ended_by: Option<u32> = None;
        for &child in &route.children {
            let child_route = self.route(child);
            let verdict = if let Some(by) = ended_by {
                RouteVerdict::NotAsked { behind: self.route(by).path.clone() }
            } else if let Some(failed) = child_route.matchers.first_failure(labels) {
                let value = labels.get(failed.name()).to_owned();
                RouteVerdict::Differs { matcher: failed.to_string(), value }
            } else {
                self.explain_from(child, depth + 1, labels, steps, taken);
                ended_by = (!child_route.continue_matching).then_some(child);
                continue;
            };
            steps.push(self.step(child, depth + 1, verdict));
        }
        if taken.len() == before {
            taken.push(number);
        } else {
            steps[own].verdict =
                RouteVerdict::Below { taken_by: taken[before..].to_vec(), continues };
        }
    }

    fn step(&self, number: u32, depth: usize, verdict: RouteVerdict) -> RouteStep {
        let route = self.route(number);
        RouteStep {
            route: number,
            parent: route.parent,
            depth,
            path: route.path.clone(),
            matchers: route.own_key.clone(),
            verdict,
        }
    }
}

/// One line: `route.routes[2] {team="web"}: takes it`.
impl fmt::Display for RouteStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.path, self.matchers)?;
        let on = |continues: bool| if continues { ", and goes on to its siblings" } else { "" };
        match &self.verdict {
            RouteVerdict::Takes { continues } => write!(f, "takes it{}", on(*continues)),
            RouteVerdict::Below { taken_by, continues } => {
                let (nodes, takes) =
                    if taken_by.len() == 1 { ("one", "takes") } else { ("some", "take") };
                write!(f, "matches, {nodes} below {takes} it{}", on(*continues))
            }
            RouteVerdict::Differs { matcher, value } if value.is_empty() => {
                write!(f, "{matcher} does not hold: the label is missing")
            }
            RouteVerdict::Differs { matcher, value } => {
                write!(f, "{matcher} does not hold: it is {value:?}")
            }
            RouteVerdict::NotAsked { behind } => {
                write!(f, "not asked: {behind} matches, without `continue`")
            }
        }
    }
}
