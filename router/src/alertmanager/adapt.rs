//! What Alertmanager reads becomes what birl reads: what has no effect here is taken out, and said.

use std::collections::{HashMap, HashSet};

use super::Notice;
use super::keys::{GLOBAL, RECEIVER, ROUTE, Section, Shape, TOP, WEBHOOK};
use super::kinds::{KINDS, Kind as Integration};
use crate::error::Position;
use crate::yaml::{Fault, Kind, Node, suggestion};

/// Alertmanager's default, which its sources rely on: they report each minute and may never send a resolve.
const RESOLVE_TIMEOUT: &str = "5m";
/// Goes with what is delivered elsewhere.
const SEND_RESOLVED: Section = Section::new("send_resolved");
const WEBHOOK_OWN: Section = Section::new("send_resolved timeout url");

/// Rewrites `root` and tells what that means.
pub(super) fn adapt(root: &mut Node) -> Result<Vec<Notice>, Fault> {
    let global = root.get("global").map(|global| global.entries().iter()).into_iter().flatten();
    let global = global.filter(|(_, value)| !value.is_null());
    let global = global.filter_map(|(key, _)| Some(format!("global.{}", key.text()?))).collect();
    let mut adapter = Adapter { notices: Vec::new(), said: HashMap::new(), global };
    adapter.drop_without_effect(root, "", &TOP)?;
    adapter.global(root)?;
    if let Some(route) = root.get_mut("route") {
        adapter.route(route, "route")?;
    }
    if let Some(receivers) = root.get_mut("receivers")
        && let Kind::List(receivers) = &mut receivers.kind
    {
        for (i, receiver) in receivers.iter_mut().enumerate() {
            adapter.receiver(receiver, &format!("receivers[{i}]"))?;
        }
    }
    Ok(adapter.notices())
}

struct Adapter {
    notices: Vec<Notice>,
    /// Where in `notices` a setting is, by its name, and in how many more places it was found.
    said: HashMap<&'static str, (usize, usize)>,
    /// What `global` sets, as `global.slack_api_url`.
    global: HashSet<String>,
}

impl Adapter {
    fn notices(mut self) -> Vec<Notice> {
        for (index, more) in self.said.into_values() {
            if let (Some(notice), 1..) = (self.notices.get_mut(index), more) {
                let places = if more == 1 { "place" } else { "places" };
                notice.message.push_str(&format!(" (nor in {more} more {places})"));
            }
        }
        self.notices
    }

    fn global(&mut self, root: &mut Node) -> Result<(), Fault> {
        let at = root.at;
        let Some(entries) = root.entries_mut() else { return Ok(()) };
        let global = entries.iter_mut().find(|(key, _)| key.text() == Some("global"));
        let global = match global {
            Some((_, global)) if !global.is_null() => global,
            _ => {
                entries.retain(|(key, _)| key.text() != Some("global"));
                let empty = Node { kind: Kind::Map(Vec::new()), at };
                entries.push((Node::scalar("global", true, at), empty));
                match entries.last_mut() {
                    Some((_, global)) => global,
                    None => return Ok(()),
                }
            }
        };
        one_of_each(global, "global", &GLOBAL)?;
        self.drop_without_effect(global, "global", &GLOBAL)?;
        if global.get("resolve_timeout").is_none()
            && let Some(entries) = global.entries_mut()
        {
            entries.retain(|(key, _)| key.text() != Some("resolve_timeout"));
            let value = Node::scalar(RESOLVE_TIMEOUT, true, at);
            entries.push((Node::scalar("resolve_timeout", true, at), value));
        }
        Ok(())
    }

    fn route(&mut self, route: &mut Node, place: &str) -> Result<(), Fault> {
        self.drop_without_effect(route, place, &ROUTE)?;
        if let Some(routes) = route.get_mut("routes")
            && let Kind::List(routes) = &mut routes.kind
        {
            for (i, child) in routes.iter_mut().enumerate() {
                self.route(child, &format!("{place}.routes[{i}]"))?;
            }
        }
        Ok(())
    }

    fn receiver(&mut self, receiver: &mut Node, place: &str) -> Result<(), Fault> {
        self.drop_without_effect(receiver, place, &RECEIVER)?;
        let name = receiver.get("name").and_then(Node::text).unwrap_or_default().to_owned();
        let mut hosts = Vec::new();
        self.webhooks(receiver, &name, place, &mut hosts)?;
        let Some(entries) = receiver.entries_mut() else { return Ok(()) };
        let kind_of = |key: &Node| KINDS.iter().find(|kind| key.text() == Some(kind.key));
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
            let Some(kind) = kind_of(key) else { continue };
            let place = format!("{place}.{}", kind.key);
            if !matches!(value.kind, Kind::List(_)) {
                let message = format!("expected a list, and there is {}", value.describe());
                return Err(Fault::new(message).at(value.at).in_place(&place));
            }
            for (i, item) in value.items().iter().enumerate() {
                let place = format!("{place}[{i}]");
                let send_resolved = self.integration(kind, item, &place)?;
                let endpoint = format!("{}/{i}", kind.key);
                self.tell_of_host(kind.name, &name, &endpoint, &place, item.at);
                hosts.push(host(&endpoint, send_resolved, item.at));
            }
        }
        entries.retain(|(key, _)| kind_of(key).is_none());
        if !hosts.is_empty() {
            let at = receiver.at;
            match receiver.get_mut("host_configs").map(|own| &mut own.kind) {
                Some(Kind::List(own)) => own.extend(hosts),
                _ => {
                    let key = Node::scalar("host_configs", true, at);
                    let value = Node { kind: Kind::List(hosts), at };
                    receiver.entries_mut().into_iter().for_each(|entries| {
                        entries.retain(|(key, _)| key.text() != Some("host_configs"));
                        entries.push((key.clone(), value.clone()));
                    });
                }
            }
        }
        Ok(())
    }

    /// Checks one integration that is delivered elsewhere; does it want to hear of a resolve?
    fn integration(&self, kind: &Integration, item: &Node, place: &str) -> Result<bool, Fault> {
        let at = |fault: Fault| fault.at(item.at).in_place(place);
        check_map(item, place, &[&kind.section, &SEND_RESOLVED])?;
        one_of_each(item, place, &kind.section)?;
        for group in kind.needs.split(',') {
            let there = |key| item.get(key).is_some() || self.global.contains(key);
            if !group.split_whitespace().any(there) {
                let names: Vec<_> =
                    group.split_whitespace().map(|name| format!("`{name}`")).collect();
                let names = names.join(" or ");
                return Err(at(Fault::new(format!("{} needs {names}", kind.key))));
            }
        }
        match item.get("send_resolved") {
            Some(value) => value.boolean().map_err(|fault| fault.in_place(place)),
            None => Ok(kind.send_resolved),
        }
    }

    fn webhooks(
        &mut self,
        receiver: &mut Node,
        name: &str,
        place: &str,
        hosts: &mut Vec<Node>,
    ) -> Result<(), Fault> {
        let Some(webhooks) = receiver.get_mut("webhook_configs") else { return Ok(()) };
        let Kind::List(items) = &mut webhooks.kind else { return Ok(()) };
        let (mut kept, all) = (Vec::with_capacity(items.len()), std::mem::take(items));
        for (i, mut item) in all.into_iter().enumerate() {
            let place = format!("{place}.webhook_configs[{i}]");
            one_of_each(&item, &place, &WEBHOOK)?;
            let send_resolved = match item.get("send_resolved") {
                Some(value) => value.boolean().map_err(|fault| fault.in_place(&place))?,
                None => true,
            };
            let elsewhere = match (item.get("url").and_then(Node::text), item.get("url_file")) {
                (None, None) => {
                    let fault = Fault::new("a webhook needs `url` or `url_file`").at(item.at);
                    return Err(fault.in_place(&place));
                }
                (None, Some(_)) => Some("webhook_url_file"),
                (Some(url), _) if url.contains("{{") => Some("webhook_url_template"),
                _ => None,
            };
            if let Some(kind) = elsewhere {
                check_map(&item, &place, &[&WEBHOOK, &WEBHOOK_OWN])?;
                let endpoint = format!("{kind}/{i}");
                let what = match kind {
                    "webhook_url_file" => "a webhook whose URL is in a file",
                    _ => "a webhook whose URL is a template",
                };
                self.tell_of_host(what, name, &endpoint, &place, item.at);
                hosts.push(host(&endpoint, send_resolved, item.at));
                continue;
            }
            self.drop_without_effect(&mut item, &place, &WEBHOOK)?;
            // Alertmanager's zero is "none of its own".
            if item.get("timeout").and_then(Node::text).is_some_and(is_zero)
                && let Some(entries) = item.entries_mut()
            {
                entries.retain(|(key, _)| key.text() != Some("timeout"));
            }
            kept.push(item);
        }
        *items = kept;
        Ok(())
    }

    fn tell_of_host(&mut self, what: &str, name: &str, endpoint: &str, place: &str, at: Position) {
        self.notices.push(Notice {
            place: place.to_owned(),
            position: at,
            message: format!("birl does not deliver {what} itself: the receiver is routed to, and told by its other ways only"),
            remedy: format!(
                "put a webhook, or an endpoint of birl's, beside it; a program that embeds the router registers a notifier named `{name}/{endpoint}`"
            ),
        });
    }

    /// Takes the keys of `section` out of `node`, once each is seen to be well-formed.
    fn drop_without_effect(
        &mut self,
        node: &mut Node,
        place: &str,
        section: &'static Section,
    ) -> Result<(), Fault> {
        let Some(entries) = node.entries_mut() else { return Ok(()) };
        for (key, value) in entries.iter() {
            let Some(name) = section.names().find(|name| key.text() == Some(name)) else {
                continue;
            };
            let place = joined(place, name);
            check(value, &place, section, name)?;
            if !value.is_null() {
                self.say(name, &place, key.at);
            }
        }
        entries.retain(|(key, _)| section.names().all(|name| key.text() != Some(name)));
        Ok(())
    }

    /// Each setting is spoken of once, however often it is found.
    fn say(&mut self, name: &'static str, place: &str, at: Position) {
        if let Some((_, more)) = self.said.get_mut(name) {
            *more += 1;
            return;
        }
        let (means, remedy) = meaning(name);
        self.said.insert(name, (self.notices.len(), 0));
        self.notices.push(Notice {
            place: place.to_owned(),
            position: at,
            message: format!("`{name}` has no effect here: {means}"),
            remedy: remedy.to_owned(),
        });
    }
}

/// Why a setting has no effect, and what to do.
fn meaning(name: &str) -> (&'static str, &'static str) {
    match name {
        "templates" | "labels" => (
            "birl has no templates, and its webhooks post Alertmanager's JSON, version 4",
            "let what receives the JSON make the text",
        ),
        "payload" => (
            "the body is Alertmanager's JSON, version 4",
            "let what receives the JSON make another of it",
        ),
        "http_config" => (
            "webhooks are posted without credentials, proxies or headers of their own, and TLS trusts the system's certificates",
            "post to a relay on this machine that adds them",
        ),
        "max_alerts" => ("a webhook gets every alert of its group", "group by more labels"),
        "tracing" => ("birl writes no traces", "read the reason that is in every notification"),
        "event_recorder" => ("birl records no such events", "read birl's own log"),
        _ => (
            "it is for integrations that birl does not deliver itself",
            "a notifier of the host brings settings of its own; otherwise leave it out",
        ),
    }
}

fn host(name: &str, send_resolved: bool, at: Position) -> Node {
    let word = |text: &str| Node::scalar(text, true, at);
    let resolved = word(if send_resolved { "true" } else { "false" });
    let entries = vec![(word("name"), word(name)), (word("send_resolved"), resolved)];
    Node { kind: Kind::Map(entries), at }
}

fn is_zero(duration: &str) -> bool {
    duration.bytes().any(|byte| byte == b'0')
        && duration.bytes().all(|byte| byte == b'0' || byte.is_ascii_lowercase())
}

fn joined(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

/// `api_key` and `api_key_file` exclude each other, wherever both exist.
fn one_of_each(node: &Node, place: &str, section: &Section) -> Result<(), Fault> {
    for file in section.names().filter(|name| name.ends_with("_file")) {
        let inline = file.trim_end_matches("_file");
        if let (Some(_), Some(value)) = (node.get(inline), node.get(file)) {
            let message = format!("`{inline}` and `{file}` exclude each other: keep one");
            return Err(Fault::new(message).at(value.at).in_place(&joined(place, file)));
        }
    }
    Ok(())
}

/// Is the value of `name`, a key of `section`, of the shape that it should have?
fn check(value: &Node, place: &str, section: &Section, name: &str) -> Result<(), Fault> {
    let nested = section.nested.iter().find(|(key, _)| *key == name);
    match nested.map(|(_, shape)| shape) {
        _ if value.is_null() => Ok(()),
        Some(Shape::Free) => Ok(()),
        Some(Shape::Map(section)) => check_map(value, place, &[section]),
        Some(Shape::Maps(section)) => match &value.kind {
            Kind::List(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(i, item)| check_map(item, &format!("{place}[{i}]"), &[section])),
            _ => Err(shape(value, place, "a list")),
        },
        None => match &value.kind {
            Kind::Map(_) => Err(shape(value, place, "one value")),
            _ => Ok(()),
        },
    }
}

/// A map with no other keys than those of `sections`.
fn check_map(node: &Node, place: &str, sections: &[&Section]) -> Result<(), Fault> {
    if node.is_null() {
        return Ok(());
    }
    let Kind::Map(entries) = &node.kind else { return Err(shape(node, place, "a map")) };
    for (key, value) in entries {
        let name = key.text().unwrap_or_default();
        let Some(section) = sections.iter().find(|s| s.names().any(|known| known == name)) else {
            let known = sections.iter().flat_map(|section| section.names());
            let message = format!("unknown key `{name}`: {}", suggestion(name, known));
            return Err(Fault::new(message).at(key.at).in_place(place));
        };
        check(value, &joined(place, name), section, name)?;
    }
    Ok(())
}

fn shape(node: &Node, place: &str, expected: &str) -> Fault {
    let message = format!("expected {expected}, and there is {}", node.describe());
    Fault::new(message).at(node.at).in_place(place)
}

/// What could stand at this level of the file, besides what birl's own types name.
pub(super) fn keys_at(place: &str) -> Vec<&'static str> {
    let last = place.rsplit('.').next().unwrap_or_default();
    match last.split('[').next().unwrap_or_default() {
        "" => TOP.names().collect(),
        "global" => GLOBAL.names().collect(),
        "route" | "routes" => ROUTE.names().collect(),
        "receivers" => KINDS.iter().map(|kind| kind.key).chain(RECEIVER.names()).collect(),
        "webhook_configs" => WEBHOOK.names().collect(),
        _ => Vec::new(),
    }
}
