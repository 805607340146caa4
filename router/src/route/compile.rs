//! From the configuration to the tree.

use std::time::Duration;

use rustc_hash::FxHashMap;

use super::{Child, GroupBy, INDEX_FROM, Node, Route, RouteTree};
use crate::config::{Config, RouteConfig, SlaTier};
use crate::error::{Error, ErrorKind, nearest};
use crate::index::MatcherIndex;
use crate::{MatchOp, Matcher, Matchers};

// Alertmanager's.
const DEFAULT_GROUP_WAIT: Duration = Duration::from_secs(30);
const DEFAULT_GROUP_INTERVAL: Duration = Duration::from_secs(5 * 60);
const DEFAULT_REPEAT_INTERVAL: Duration = Duration::from_secs(4 * 3600);
/// Deep enough for anybody, shallow enough for the stack.
const MAX_DEPTH: usize = 64;

/// Resolves receiver names while the tree is compiled.
pub(crate) struct Names<'a> {
    all: &'a [&'a str],
    positions: FxHashMap<&'a str, usize>,
}

/// What a child takes from its parent unless it says otherwise.
#[derive(Clone)]
struct Inherited {
    receivers: Box<[usize]>,
    group_by: GroupBy,
    group_wait: Duration,
    group_interval: Duration,
    repeat_interval: Duration,
    sla: Option<SlaTier>,
}

impl RouteTree {
    /// The tree of this configuration.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with the path of what is wrong, such as a receiver that there is not.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let names: Vec<&str> = config.receivers.iter().map(|r| &*r.name).collect();
        Self::compile(&config.route, &Names::new(&names))
    }

    pub(crate) fn compile(config: &RouteConfig, names: &Names<'_>) -> Result<Self, Error> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidConfig, "route", message));
        if !config.matchers.is_empty()
            || !config.match_equal.is_empty()
            || !config.match_re.is_empty()
        {
            return invalid("the root route takes every alert: move its matchers to a child");
        }
        if config.continue_matching {
            return invalid("the root route has no siblings: remove `continue`");
        }
        if !config.mute_time_intervals.is_empty() || !config.active_time_intervals.is_empty() {
            return invalid("the root route is never muted: move its time intervals to a child");
        }
        if config.receiver.as_deref().unwrap_or_default().is_empty() && config.receivers.is_empty()
        {
            return invalid("name the default receiver: `receiver: NAME`");
        }
        let defaults = Inherited {
            receivers: Box::default(),
            group_by: GroupBy::Labels(Vec::new()),
            group_wait: DEFAULT_GROUP_WAIT,
            group_interval: DEFAULT_GROUP_INTERVAL,
            repeat_interval: DEFAULT_REPEAT_INTERVAL,
            sla: None,
        };
        let mut tree = Self {
            routes: Vec::new(),
            nodes: Vec::new(),
            children: Vec::new(),
            index: MatcherIndex::new(),
        };
        tree.add(config, "route".to_owned(), None, &defaults, names, 0)?;
        tree.file();
        Ok(tree)
    }

    /// Adds the node and all below it; gives its number.
    fn add(
        &mut self,
        config: &RouteConfig,
        path: String,
        parent: Option<u32>,
        from: &Inherited,
        names: &Names<'_>,
        depth: usize,
    ) -> Result<u32, Error> {
        let number = self.routes.len() as u32;
        let (route, below) = self.node(config, path.clone(), parent, from, names, depth)?;
        self.routes.push(route);
        let mut children = Vec::with_capacity(config.routes.len());
        for (i, child) in config.routes.iter().enumerate() {
            let path = format!("{path}.routes[{i}]");
            children.push(self.add(child, path, Some(number), &below, names, depth + 1)?);
        }
        self.routes[number as usize].children = children.into();
        Ok(number)
    }

    fn node(
        &self,
        config: &RouteConfig,
        path: String,
        parent: Option<u32>,
        from: &Inherited,
        names: &Names<'_>,
        depth: usize,
    ) -> Result<(Route, Inherited), Error> {
        let invalid = |m: String| Err(Error::new(ErrorKind::InvalidConfig, &path, m));
        if depth > MAX_DEPTH {
            return invalid(format!("routes nest deeper than {MAX_DEPTH}"));
        }
        if config.repeat_interval.is_some_and(|interval| interval.is_zero()) {
            return invalid("`repeat_interval` must be longer than zero".into());
        }
        let own = Inherited {
            receivers: receivers(config, &path, names)?.unwrap_or_else(|| from.receivers.clone()),
            group_by: match &config.group_by {
                Some(labels) => {
                    group_by(labels).map_err(|m| Error::new(ErrorKind::InvalidConfig, &path, m))?
                }
                None => from.group_by.clone(),
            },
            group_wait: config.group_wait.unwrap_or(from.group_wait),
            group_interval: config.group_interval.unwrap_or(from.group_interval),
            repeat_interval: config.repeat_interval.unwrap_or(from.repeat_interval),
            sla: config.sla.or(from.sla),
        };
        let matchers = all_matchers(config).map_err(|e| e.within(&path))?;
        let own_key = matchers.to_string();
        let route = Route {
            key: match parent {
                Some(parent) => format!("{}/{own_key}", self.routes[parent as usize].key),
                None => own_key.clone(),
            },
            own_key,
            path,
            parent,
            children: Box::default(),
            matchers,
            continue_matching: config.continue_matching,
            receivers: own.receivers.clone(),
            group_by: own.group_by.clone(),
            group_wait: own.group_wait,
            group_interval: own.group_interval,
            repeat_interval: own.repeat_interval,
            // These two are not inherited, in Alertmanager neither.
            mute_time_intervals: config.mute_time_intervals.clone(),
            active_time_intervals: config.active_time_intervals.clone(),
            sla: own.sla,
        };
        Ok((route, own))
    }

    fn file(&mut self) {
        let mut first_child = 0;
        for (number, route) in (0..).zip(&self.routes) {
            match route.parent {
                Some(parent) if self.routes[parent as usize].children.len() >= INDEX_FROM => {
                    self.index.insert(parent, number, &route.matchers);
                }
                _ => self.index.insert_unfiled(number, &route.matchers),
            }
            self.nodes.push(Node {
                first_child,
                children: route.children.len() as u32,
                continues: route.continue_matching,
            });
            first_child += route.children.len() as u32;
        }
        let children = self.routes.iter().flat_map(|route| &route.children);
        self.children = children.map(|n| Child { number: *n, gate: self.index.gate(*n) }).collect();
    }
}

/// Who the node itself names: `receiver` and `receivers` together, each once.
fn receivers(
    config: &RouteConfig,
    path: &str,
    names: &Names<'_>,
) -> Result<Option<Box<[usize]>>, Error> {
    let mut found = Vec::new();
    // An empty name is none at all, as in Alertmanager.
    let receiver = config.receiver.iter().filter(|name| !name.is_empty());
    for name in receiver.chain(&config.receivers) {
        let receiver = names.find(path, name)?;
        if !found.contains(&receiver) {
            found.push(receiver);
        }
    }
    Ok((!found.is_empty()).then(|| found.into()))
}

fn group_by(labels: &[String]) -> Result<GroupBy, String> {
    if labels == ["..."] {
        return Ok(GroupBy::All);
    }
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    for (i, label) in sorted.iter().enumerate() {
        if label == "..." {
            return Err("`group_by`: \"...\" is all labels: leave the others out".into());
        }
        if label.is_empty() {
            return Err("`group_by` names an empty label: remove it".into());
        }
        if sorted.get(i + 1) == Some(label) {
            return Err(format!("`group_by` names `{label}` twice: remove one"));
        }
    }
    Ok(GroupBy::Labels(sorted))
}

/// All conditions of a node, the older forms included, in Alertmanager's order.
fn all_matchers(config: &RouteConfig) -> Result<Matchers, Error> {
    let mut matchers = config.matchers.clone();
    for (name, value) in &config.match_equal {
        matchers.push(Matcher::new(name, MatchOp::Equal, value)?);
    }
    for (name, value) in &config.match_re {
        Matcher::new(name, MatchOp::Regex, value)?;
        // Alertmanager's keys show these anchors, and receivers know a conversation by its key.
        matchers.push(Matcher::new(name, MatchOp::Regex, format!("^(?:{value})$"))?);
    }
    matchers.sort();
    Ok(matchers)
}

impl<'a> Names<'a> {
    pub(crate) fn new(all: &'a [&'a str]) -> Self {
        Self { all, positions: all.iter().copied().zip(0..).collect() }
    }

    fn find(&self, place: &str, name: &str) -> Result<usize, Error> {
        self.positions.get(name).copied().ok_or_else(|| {
            let hint = match nearest(name, self.all.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the receivers are: {}", self.all.join(", ")),
            };
            let message = format_args!("there is no receiver `{name}`: {hint}");
            Error::new(ErrorKind::InvalidConfig, place, message)
        })
    }
}
