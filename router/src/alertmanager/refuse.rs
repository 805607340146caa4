//! What Alertmanager refuses and birl by itself would not: a file that it does not load is not loaded here.

use std::collections::HashSet;

use crate::duration;
use crate::yaml::{Fault, Kind, Node};

pub(super) fn refuse(root: &Node) -> Result<(), Fault> {
    if !matches!(root.kind, Kind::Map(_)) {
        let message =
            format!("expected `route:` and `receivers:`, and there is {}", root.describe());
        return Err(Fault::new(message).at(root.at));
    }
    let Some(route) = root.get("route") else {
        return Err(Fault::new("the key `route` is missing: add `route: {receiver: NAME}`"));
    };
    for key in ["mute_time_intervals", "active_time_intervals"] {
        if let Some(list) = route.get(key).filter(|list| !list.items().is_empty()) {
            let message = "the root route takes every alert at any time: move this to a child";
            return Err(Fault::new(message).at(list.at).in_place(&format!("route.{key}")));
        }
    }
    self::route(route, "route")?;
    for (i, rule) in items(root, "inhibit_rules") {
        for key in ["source_match_re", "target_match_re"] {
            let patterns = rule.get(key).map(Node::entries).unwrap_or_default();
            if let Some((name, _)) = patterns.iter().find(|(_, pattern)| pattern.is_null()) {
                return Err(no_pattern(name).in_place(&format!("inhibit_rules[{i}].{key}")));
            }
        }
    }
    for (i, receiver) in items(root, "receivers") {
        let label = receiver.get("labels").and_then(|labels| labels.get("name"));
        let (label, name) = (label.and_then(Node::text), receiver.get("name"));
        if let (Some(label), Some(name)) = (label, name)
            && name.text() != Some(label)
        {
            let message = "the label `name` is the receiver's name: leave it out";
            let place = format!("receivers[{i}].labels.name");
            return Err(Fault::new(message).at(receiver.at).in_place(&place));
        }
    }
    Ok(())
}

fn route(route: &Node, place: &str) -> Result<(), Fault> {
    let fault = |key: &str, at: &Node, message: &str| {
        Err(Fault::new(message).at(at.at).in_place(&format!("{place}.{key}")))
    };
    if let Some(labels) = route.get("group_by") {
        let mut seen = HashSet::new();
        for label in labels.items() {
            let name = label.text().unwrap_or_default();
            if name.is_empty() {
                return fault(
                    "group_by",
                    label,
                    "a label's name is missing: write it, or remove this",
                );
            }
            if !seen.insert(name) {
                return fault("group_by", label, &format!("`{name}` is here twice: keep one"));
            }
        }
        if seen.contains("...") && seen.len() > 1 {
            let message = "`...` is every label already: keep it alone, or remove it";
            return fault("group_by", labels, message);
        }
    }
    for key in ["group_interval", "repeat_interval"] {
        let Some(value) = route.get(key) else { continue };
        let zero = value.text().and_then(|text| duration::parse(text).ok());
        if zero.is_some_and(|duration| duration.is_zero()) {
            let message = format!("`{key}` must be longer than zero: leave it out, or write 1s");
            return fault(key, value, &message);
        }
    }
    for key in ["match", "match_re"] {
        for (name, value) in route.get(key).map(Node::entries).unwrap_or_default() {
            if key == "match_re" && value.is_null() {
                return Err(no_pattern(name).in_place(&format!("{place}.{key}")));
            }
            if !is_label_name(name.text().unwrap_or_default()) {
                let message = "a label's name is letters, digits and underscores here: \
                               `matchers` take any other name in double quotes";
                return fault(key, name, message);
            }
        }
    }
    for (i, child) in items(route, "routes") {
        self::route(child, &format!("{place}.routes[{i}]"))?;
    }
    Ok(())
}

fn no_pattern(name: &Node) -> Fault {
    Fault::new("the pattern is missing: write it, or remove this").at(name.at)
}

fn items<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = (usize, &'n Node)> {
    node.get(key).into_iter().flat_map(|list| list.items().iter().enumerate())
}

/// The older maps take the classic names alone.
fn is_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
