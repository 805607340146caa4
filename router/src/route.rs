//! The route tree, compiled.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::{RouteConfig, SlaTier};
use crate::error::{Error, ErrorKind, nearest};
use crate::{Labels, MatchOp, Matcher};

const DEFAULT_REPEAT_INTERVAL: Duration = Duration::from_secs(4 * 3600);
/// Deep enough for anybody, shallow enough for the stack.
const MAX_DEPTH: usize = 64;
/// With fewer children than this a scan is as fast as a look-up.
const INDEX_FROM: usize = 8;

/// The whole tree; it cannot be empty, and its root matches everything.
#[derive(Debug)]
pub(crate) struct RouteTree {
    root: Route,
    flat: Vec<Route>,
}

/// One node with what it inherited.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// Where it stands: `route`, `route.routes[2]`. Unlike the key this is unique.
    pub(crate) path: String,
    /// Alertmanager's key: the matchers from the root to here, `{}/{team="api"}`.
    pub(crate) key: String,
    /// The last part of the key: this node's matchers alone.
    pub(crate) own_key: String,
    /// Index into the receivers.
    pub(crate) receiver: usize,
    pub(crate) receivers: Vec<usize>,
    pub(crate) group_by: Option<Vec<String>>,
    pub(crate) group_wait: Duration,
    pub(crate) group_interval: Duration,
    pub(crate) repeat_interval: Duration,
    pub(crate) sla: Option<SlaTier>,
    matchers: Vec<Matcher>,
    continue_matching: bool,
    children: Vec<Self>,
    index: Option<ChildIndex>,
}

/// Finds the children that may match without asking each: by the value of the one label that most of them compare with
/// `=`. It only leaves out children that cannot match; order and `continue` are the scan's business.
#[derive(Debug, Clone)]
struct ChildIndex {
    label: String,
    by_value: HashMap<String, Vec<usize>>,
    /// Children that say nothing exact about the label, in order.
    others: Vec<usize>,
}

/// Resolves receiver names while the tree is compiled.
pub(crate) struct Names<'a>(pub(crate) &'a [&'a str]);

impl RouteTree {
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
        let Some(name) = &config.receiver else {
            return invalid("name the default receiver: `receiver: NAME`");
        };
        let inherited = Inherited {
            key: String::new(),
            receiver: names.find("route", name)?,
            group_by: Some(Vec::new()),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: DEFAULT_REPEAT_INTERVAL,
            sla: None,
        };
        let root = Route::compile(config, "route".to_owned(), &inherited, names, 0)?;
        let mut flat = Vec::new();
        fn walk(r: &Route, flat: &mut Vec<Route>) {
            flat.push(r.clone());
            for c in &r.children {
                walk(c, flat);
            }
        }
        walk(&root, &mut flat);
        Ok(Self { root, flat })
    }

    pub(crate) fn find_into(&self, labels: &Labels, found: &mut Vec<u32>) {
        for r in self.find(labels) {
            if let Some(i) = self.flat.iter().position(|f| f.path == r.path) {
                found.push(i as u32);
            }
        }
    }
    pub(crate) fn get(&self, i: u32) -> &Route {
        &self.flat[i as usize]
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Route)> {
        (0..).zip(&self.flat)
    }

    /// The nodes that take an alert with these labels, in order; at least one.
    pub(crate) fn find(&self, labels: &Labels) -> Vec<&Route> {
        let mut found = Vec::with_capacity(1);
        self.root.collect(labels, &mut found);
        found
    }

    pub(crate) fn root(&self) -> u32 {
        0
    }
}

impl Names<'_> {
    fn find(&self, place: &str, name: &str) -> Result<usize, Error> {
        self.0.iter().position(|known| *known == name).ok_or_else(|| {
            let hint = match nearest(name, self.0.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the receivers are: {}", self.0.join(", ")),
            };
            Error::new(
                ErrorKind::InvalidConfig,
                place,
                format_args!("there is no receiver `{name}`: {hint}"),
            )
        })
    }
}

/// What a child takes from its parent unless it says otherwise.
struct Inherited {
    key: String,
    receiver: usize,
    group_by: Option<Vec<String>>,
    group_wait: Duration,
    group_interval: Duration,
    repeat_interval: Duration,
    sla: Option<SlaTier>,
}

impl Route {
    fn compile(
        config: &RouteConfig,
        path: String,
        from: &Inherited,
        names: &Names<'_>,
        depth: usize,
    ) -> Result<Self, Error> {
        let invalid = |m: String| Err(Error::new(ErrorKind::InvalidConfig, &path, m));
        if depth > MAX_DEPTH {
            return invalid(format!("routes nest deeper than {MAX_DEPTH}"));
        }
        if config.repeat_interval.is_some_and(|interval| interval.is_zero()) {
            return invalid("`repeat_interval` must be longer than zero".into());
        }
        let matchers = all_matchers(config).map_err(|e| e.within(&path))?;
        let own_key = key_part(&matchers);
        let inherited = Inherited {
            key: format!("{}{own_key}", from.key),
            receiver: match &config.receiver {
                Some(name) => names.find(&path, name)?,
                None => from.receiver,
            },
            group_by: match &config.group_by {
                None => from.group_by.clone(),
                Some(by) if by == &["..."] => None,
                Some(by) => Some(by.clone()),
            },
            group_wait: config.group_wait.unwrap_or(from.group_wait),
            group_interval: config.group_interval.unwrap_or(from.group_interval),
            repeat_interval: config.repeat_interval.unwrap_or(from.repeat_interval),
            sla: config.sla.or(from.sla),
        };
        let inh = (inherited.group_by.clone(), inherited.group_wait, inherited.group_interval);
        let below = Inherited { key: format!("{}/", inherited.key), ..inherited };
        let children = config.routes.iter().enumerate().map(|(i, child)| {
            Self::compile(child, format!("{path}.routes[{i}]"), &below, names, depth + 1)
        });
        let children = children.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            key: inherited.key,
            own_key,
            receiver: inherited.receiver,
            receivers: vec![inherited.receiver],
            group_by: inh.0,
            group_wait: inh.1,
            group_interval: inh.2,
            repeat_interval: inherited.repeat_interval,
            sla: inherited.sla,
            continue_matching: config.continue_matching,
            index: ChildIndex::build(&children),
            path,
            matchers,
            children,
        })
    }

    fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }

    /// Alertmanager's walk: children first, in order, up to the first that matches without `continue`; the node itself
    /// if none did. The caller has checked that this node matches.
    fn collect<'a>(&'a self, labels: &Labels, found: &mut Vec<&'a Self>) {
        let before = found.len();
        let mut ask = |child: &'a Self| {
            let matches = child.matches(labels);
            if matches {
                child.collect(labels, found);
            }
            matches && !child.continue_matching // true: that was the last one
        };
        match &self.index {
            None => {
                self.children.iter().any(&mut ask);
            }
            Some(index) => {
                index.candidates(labels).any(|i| ask(&self.children[i]));
            }
        }
        if found.len() == before {
            found.push(self);
        }
    }
}

impl ChildIndex {
    fn build(children: &[Route]) -> Option<Self> {
        if children.len() < INDEX_FROM {
            return None;
        }
        // An `=` matcher with an empty value means "missing", and that is no value to look up.
        let exact = |child: &'_ Route, label: Option<&str>| {
            let mut equal = child.matchers.iter().filter(|m| m.op() == MatchOp::Equal);
            let found =
                equal.find(|m| !m.value().is_empty() && label.is_none_or(|l| l == m.name()));
            found.map(|m| (m.name().to_owned(), m.value().to_owned()))
        };
        let mut uses: HashMap<String, usize> = HashMap::new();
        for (name, _) in children.iter().filter_map(|child| exact(child, None)) {
            *uses.entry(name).or_default() += 1;
        }
        // Of two labels used equally often the first by name, so that two loads build the same index.
        let (label, _) = uses.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))?;
        let (mut by_value, mut others) = (HashMap::<String, Vec<usize>>::new(), Vec::new());
        for (i, child) in children.iter().enumerate() {
            match exact(child, Some(&label)) {
                Some((_, value)) => by_value.entry(value).or_default().push(i),
                None => others.push(i),
            }
        }
        Some(Self { label, by_value, others })
    }

    /// The children that may match, in their order: two sorted lists, merged.
    fn candidates(&self, labels: &Labels) -> impl Iterator<Item = usize> {
        let exact = self.by_value.get(labels.get(&self.label)).map_or(&[][..], Vec::as_slice);
        let (mut exact, mut others) = (exact.iter().peekable(), self.others.iter().peekable());
        std::iter::from_fn(move || {
            let exact_first = match (exact.peek(), others.peek()) {
                (Some(a), Some(b)) => a < b,
                (a, _) => a.is_some(),
            };
            if exact_first { exact.next() } else { others.next() }.copied()
        })
    }
}

/// All conditions of a node, the older forms included, in Alertmanager's order.
fn all_matchers(config: &RouteConfig) -> Result<Vec<Matcher>, Error> {
    let mut matchers: Vec<Matcher> = config.matchers.iter().cloned().collect();
    for (name, value) in &config.match_equal {
        matchers.push(Matcher::new(name, MatchOp::Equal, value)?);
    }
    for (name, value) in &config.match_re {
        matchers.push(Matcher::new(name, MatchOp::Regex, value)?);
    }
    matchers.sort_by(|a, b| (a.name(), a.value(), a.op()).cmp(&(b.name(), b.value(), b.op())));
    Ok(matchers)
}

fn key_part(matchers: &[Matcher]) -> String {
    let parts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    format!("{{{}}}", parts.join(","))
}
