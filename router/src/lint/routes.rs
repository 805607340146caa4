//! Routes that nothing can reach, and the walk over all of them.

use std::collections::HashMap;

use super::implies::Premises;
use super::settings::{self, Inherited};
use super::{Lint, LintCode, all, patterns};
use crate::config::RouteConfig;
use crate::{Config, MatchOp, Matcher};

/// So many pairs of a route and an earlier sibling without any `=` are looked at; what a larger tree has beyond is not
/// spoken of.
const MAX_PAIRS: usize = 200_000;
/// Deeper routes are refused anyway.
const MAX_DEPTH: usize = 64;

pub(super) fn check(config: &Config, lints: &mut Vec<Lint>) {
    let mut walk = Walk { lints, pairs: 0 };
    let inherited = Inherited::default().with(&config.route);
    settings::check(&config.route, "route", None, &inherited, walk.lints);
    let levels = Vec::new();
    walk.children(&config.route, "route", &inherited, &Premises::default(), &levels, true, 0);
}

struct Walk<'l> {
    lints: &'l mut Vec<Lint>,
    pairs: usize,
}

/// The siblings before one node of the path, which see an alert before it does.
struct Level<'a> {
    /// By a condition `name="value"`, of which each sibling here has one.
    exact: HashMap<(&'a str, &'a str), Vec<usize>>,
    others: Vec<usize>,
    siblings: Vec<Sibling<'a>>,
}

struct Sibling<'a> {
    path: String,
    conditions: &'a [Matcher],
    written: String,
}

impl Walk<'_> {
    #[expect(
        clippy::too_many_arguments,
        reason = "all of it is what the path to here has gathered"
    )]
    fn children(
        &mut self,
        parent: &RouteConfig,
        path: &str,
        inherited: &Inherited,
        premises: &Premises<'_>,
        above: &[&Level<'_>],
        reachable: bool,
        depth: usize,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        let conditions: Vec<Vec<Matcher>> = parent.routes.iter().map(conditions).collect();
        let mut level = Level { exact: HashMap::new(), others: Vec::new(), siblings: Vec::new() };
        for (i, (child, own)) in parent.routes.iter().zip(&conditions).enumerate() {
            let path = format!("{path}.routes[{i}]");
            self.patterns(child, &path);
            let below = inherited.with(child);
            settings::check(child, &path, Some(inherited), &below, self.lints);
            let mut premises = premises.clone();
            own.iter().for_each(|condition| premises.add(condition));
            let mut levels = above.to_vec();
            levels.push(&level);
            let reached = reachable && self.reached(&premises, &levels, &path);
            self.children(child, &path, &below, &premises, &levels, reached, depth + 1);
            if !child.continue_matching {
                level.add(path, own);
            }
        }
    }

    /// Says so if nothing can reach the route with these conditions.
    fn reached(&mut self, premises: &Premises<'_>, levels: &[&Level<'_>], path: &str) -> bool {
        if premises.contradictory() {
            let message =
                "no alert can fulfill the conditions of this route and of those it stands in";
            let remedy = "change what contradicts, or remove the route";
            self.lints.push(Lint::new(LintCode::UnreachableRoute, path, message, remedy));
            return false;
        }
        for level in levels {
            let exact = premises.fixed().filter_map(|fixed| level.exact.get(&fixed)).flatten();
            let mut candidates: Vec<usize> = exact.copied().collect();
            if self.pairs < MAX_PAIRS {
                self.pairs += level.others.len();
                candidates.extend(&level.others);
                candidates.sort_unstable();
            }
            for sibling in candidates.into_iter().filter_map(|i| level.siblings.get(i)) {
                if sibling.conditions.iter().all(|condition| premises.imply(condition)) {
                    let (first, written) = (&sibling.path, &sibling.written);
                    let message = format!(
                        "nothing comes here: {first} takes every alert with {written} before, and has no `continue`"
                    );
                    let remedy =
                        format!("move it before {first}, or give that one `continue: true`");
                    self.lints.push(Lint::new(LintCode::UnreachableRoute, path, message, remedy));
                    return false;
                }
            }
        }
        true
    }

    fn patterns(&mut self, route: &RouteConfig, path: &str) {
        let place = format!("{path}.matchers");
        route.matchers.iter().for_each(|matcher| patterns::check(matcher, &place, self.lints));
        for (name, value) in &route.match_re {
            if let Ok(matcher) = Matcher::new(name, MatchOp::Regex, value) {
                patterns::check(&matcher, &format!("{path}.match_re.{name}"), self.lints);
            }
        }
    }
}

impl<'a> Level<'a> {
    fn add(&mut self, path: String, conditions: &'a [Matcher]) {
        let index = self.siblings.len();
        match conditions.iter().find(|one| one.op() == MatchOp::Equal) {
            Some(one) => self.exact.entry((one.name(), one.value())).or_default().push(index),
            None => self.others.push(index),
        }
        let written: Vec<String> = conditions.iter().map(Matcher::to_string).collect();
        let written = format!("{{{}}}", written.join(","));
        self.siblings.push(Sibling { path, conditions, written });
    }
}

fn conditions(route: &RouteConfig) -> Vec<Matcher> {
    all(&route.matchers, &route.match_equal, &route.match_re)
}
