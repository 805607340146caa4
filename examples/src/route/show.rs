//! `birl route show`: the tree as text, or drawn.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use birl_router::{Config, GroupBy, Labels, Route, RouteStep};

use super::answer::{Asked, written};
use super::{alerts, load, svg};
use crate::cli::{RouteShow, Shown};
use crate::failure::Failure;
use crate::rules::Answers;

pub(super) fn show(args: &RouteShow) -> Result<(), Failure> {
    let loaded = load::load(&args.config)?;
    let asked = Asked::new(&loaded.config, super::now())?;
    let labels = match args.labels.as_slice() {
        [] => None,
        words => Some(alerts::labels(words)?),
    };
    let drawn = Drawn::new(&asked, &loaded.config, labels);
    match &args.svg {
        Some(path) => std::fs::write(path, svg::draw(&drawn))
            .map_err(|error| Failure::running(format!("cannot write {}: {error}", path.display()))),
        None => Answers::new(Some(Shown::Text)).text(&drawn.text()),
    }
}

/// The tree, and what becomes of an alert in it.
pub(super) struct Drawn<'a> {
    pub(super) nodes: Vec<DrawnNode<'a>>,
    pub(super) labels: Option<Labels>,
    /// Who hears of the alert.
    pub(super) receivers: Vec<String>,
}

pub(super) struct DrawnNode<'a> {
    pub(super) route: &'a Route,
    /// Its conditions; empty for the root.
    pub(super) matchers: String,
    /// Who is told.
    pub(super) receivers: String,
    /// What differs from the node above, `wait 10s`.
    pub(super) settings: Vec<String>,
    pub(super) fate: Fate,
    /// What became of it, when an alert is asked about.
    pub(super) why: Option<String>,
}

/// What becomes of an alert at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// No alert is asked about.
    None,
    Takes,
    Passes,
    /// It does not match, or was not asked.
    Beside,
}

impl<'a> Drawn<'a> {
    fn new(asked: &'a Asked<'_>, config: &Config, labels: Option<Labels>) -> Self {
        let answer = labels.as_ref().map(|labels| asked.about(labels));
        let walk = answer.iter().flat_map(|answer| &answer.walk);
        let walk: BTreeMap<usize, &RouteStep> =
            walk.map(|step| (step.route as usize, step)).collect();
        let taken: Vec<&str> =
            answer.iter().flat_map(|answer| &answer.told).map(|told| told.route.as_str()).collect();
        let routes = asked.tree.routes();
        let nodes = routes.iter().enumerate().map(|(i, route)| {
            let parent = route.parent().and_then(|parent| routes.get(parent as usize));
            let step = walk.get(&i);
            let fate = match (&labels, step) {
                (None, _) => Fate::None,
                (Some(_), Some(_)) if taken.contains(&route.path()) => Fate::Takes,
                (Some(_), Some(step)) if step.verdict.matched() == Some(true) => Fate::Passes,
                _ => Fate::Beside,
            };
            let names = route.receivers().iter().filter_map(|i| config.receivers.get(*i));
            DrawnNode {
                route,
                matchers: if parent.is_some() {
                    route.matchers().to_string()
                } else {
                    String::new()
                },
                receivers: names.map(|one| one.name.as_str()).collect::<Vec<_>>().join(", "),
                settings: settings(route, parent),
                fate,
                why: step.map(|step| step.to_string()),
            }
        });
        let nodes = nodes.collect();
        let receivers = answer.map(|answer| answer.receivers).unwrap_or_default();
        Self { nodes, labels, receivers }
    }

    /// As `tree` prints folders.
    fn text(&self) -> String {
        let mut text = String::new();
        self.branch(0, "", "", &mut text);
        if let Some(labels) = &self.labels {
            let _ = writeln!(text, "\n{labels} -> {}", self.receivers.join(", "));
        }
        text
    }

    fn branch(&self, number: usize, first: &str, rest: &str, text: &mut String) {
        let Some(node) = self.nodes.get(number) else { return };
        let sign = match node.fate {
            Fate::None => "",
            Fate::Takes => "* ",
            Fate::Passes => "+ ",
            Fate::Beside => "  ",
        };
        let name = if node.matchers.is_empty() { "route" } else { &node.matchers };
        let _ = write!(text, "{sign}{first}{name} -> {}", node.receivers);
        if !node.settings.is_empty() {
            let _ = write!(text, " ({})", node.settings.join(", "));
        }
        text.push('\n');
        let children = node.route.children();
        for (i, child) in children.iter().enumerate() {
            let last = i + 1 == children.len();
            let (first, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.branch(
                *child as usize,
                &format!("{rest}{first}"),
                &format!("{rest}{below}"),
                text,
            );
        }
    }
}

/// What the node says that the one above does not; of the root everything.
fn settings(route: &Route, parent: Option<&Route>) -> Vec<String> {
    let mut all = Vec::new();
    if route.continues() {
        all.push("continue".to_owned());
    }
    if parent.is_none_or(|parent| parent.group_by() != route.group_by()) {
        all.push(match route.group_by() {
            GroupBy::All => "by each alert".to_owned(),
            GroupBy::Labels(names) if names.is_empty() => "all together".to_owned(),
            GroupBy::Labels(names) => {
                format!("by {}", names.iter().map(|name| &**name).collect::<Vec<_>>().join("+"))
            }
        });
    }
    for (name, of) in [
        ("wait", Route::group_wait as fn(&Route) -> _),
        ("interval", Route::group_interval),
        ("repeat", Route::repeat_interval),
    ] {
        if parent.is_none_or(|parent| of(parent) != of(route)) {
            all.push(format!("{name} {}", written(of(route))));
        }
    }
    if let Some(sla) = route.sla().filter(|_| parent.is_none_or(|p| p.sla() != route.sla())) {
        all.push(format!("sla {}", sla.number()));
    }
    for (word, names) in
        [("muted in", route.mute_time_intervals()), ("active in", route.active_time_intervals())]
    {
        if !names.is_empty() {
            all.push(format!("{word} {}", names.join(", ")));
        }
    }
    all
}
