//! `alertmanager.yml`, read as it is.

mod adapt;
mod keys;
mod kinds;
mod refuse;

use std::fmt;

use serde::{Deserialize as _, Serialize};

use crate::config::Config;
use crate::error::{Error, Position};
use crate::router::Router;
use crate::yaml::{self, Fault, Kind, Node};

/// A configuration file of Alertmanager's, in YAML or JSON, and what it means to birl.
///
/// Every key that Alertmanager 0.25 to 0.34 knows is accepted; what Alertmanager refuses is refused, with line, column and
/// remedy. birl's own keys (`endpoints`, `sla`, `topology`, …) stand beside them in the same file. What birl does not act
/// on is named by a [`Notice`], never silently lost:
///
/// - A receiver keeps an integration that birl does not deliver itself (`slack_configs` and so on) as an endpoint of kind
///   `host` under `NAME/slack_configs/0`, for which the host can register a [`Notifier`](crate::Notifier) of its own.
/// - A setting without effect (`templates`, `http_config`, …) is named once.
///
/// `resolve_timeout` has Alertmanager's default here, 5m: its sources may never send a resolve.
///
/// ```
/// use birl_router::{AlertmanagerFile, Router};
///
/// let file = AlertmanagerFile::parse("
/// route:
///   receiver: team
/// receivers:
///   - name: team
///     webhook_configs: [{ url: http://pager.example/hook }]
///     slack_configs: [{ api_url: https://slack.example/secret, channel: '#team' }]
/// ")?;
/// assert_eq!(file.notices[0].place, "receivers[0].slack_configs[0]");
/// assert_eq!(file.notices[0].position.line, 7);
/// Router::new(file.config)?;
/// # Ok::<(), birl_router::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct AlertmanagerFile {
    /// What birl makes of it.
    pub config: Config,
    /// What is accepted and has no effect, or another one than in Alertmanager. In the order of the file.
    pub notices: Vec<Notice>,
    /// The file without its values.
    places: Node,
}

/// Something in a file that is accepted and has no effect, or another one than in Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Notice {
    /// The path: `receivers[3].slack_configs[0]`.
    pub place: String,
    /// Where that is in the file.
    #[serde(flatten)]
    pub position: Position,
    /// What it means here.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl AlertmanagerFile {
    /// Reads and checks the text of a file, as [`Router::new`](crate::Router::new) would check the configuration.
    ///
    /// # Errors
    /// Of kind `InvalidConfig` or `InvalidMatcher`, with the place, the [`position`](Error::position)
    /// and the remedy. No URL, token or password of the file is in it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut root = yaml::parse(text).map_err(error)?;
        refuse::refuse(&root).map_err(error)?;
        let places = without_values(root.clone());
        let mut notices = adapt::adapt(&mut root).map_err(error)?;
        notices.sort_by_key(|notice| notice.position);
        let config = Config::deserialize(&root).map_err(error)?;
        let file = Self { config, notices, places };
        match Router::new(file.config.clone()) {
            Ok(_) => Ok(file),
            Err(error) => {
                let at = file.position(error.place());
                Err(match at {
                    Some(at) => error.at(at),
                    None => error,
                })
            }
        }
    }

    /// Where a place such as `route.routes[2].matchers[0]` is in the file: the innermost part of it that is there.
    pub fn position(&self, place: &str) -> Option<Position> {
        let (mut node, mut found) = (&self.places, None);
        for step in place.split('.') {
            let (key, indices) = step.split_at(step.find('[').unwrap_or(step.len()));
            let entry = node.entries().iter().find(|(name, _)| name.text() == Some(key));
            let Some((name, value)) = entry else { break };
            (node, found) = (value, Some(name.at));
            for index in indices.split(['[', ']']).filter_map(|index| index.parse().ok()) {
                let index: usize = index;
                let Some(item) = node.items().get(index) else { return found };
                (node, found) = (item, Some(item.at));
            }
        }
        found
    }
}

impl Config {
    /// Reads `alertmanager.yml`: the short form of [`AlertmanagerFile::parse`].
    ///
    /// # Errors
    /// As [`AlertmanagerFile::parse`].
    pub fn from_alertmanager_yaml(text: &str) -> Result<(Self, Vec<Notice>), Error> {
        let file = AlertmanagerFile::parse(text)?;
        Ok((file.config, file.notices))
    }
}

impl fmt::Debug for AlertmanagerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertmanagerFile")
            .field("config", &self.config)
            .field("notices", &self.notices)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}: {}", self.place, self.position, self.message, self.remedy)
    }
}

/// Keys and positions alone: values may be secret.
fn without_values(mut node: Node) -> Node {
    match &mut node.kind {
        Kind::Scalar { text, .. } => text.clear(),
        Kind::List(items) => {
            *items = std::mem::take(items).into_iter().map(without_values).collect();
        }
        Kind::Map(entries) => {
            let bare = std::mem::take(entries).into_iter();
            *entries = bare.map(|(key, value)| (key, without_values(value))).collect();
        }
    }
    node
}

fn error(fault: Fault) -> Error {
    let also = adapt::keys_at(&fault.place());
    fault.into_error(&also)
}
