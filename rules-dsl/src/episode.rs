//! Episodes: what is remembered of an open one, and the firings that tell of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::explain::Seen;
use crate::firing::{Episode, Explain, Firing, Status, WindowSeen, Withheld};
use crate::groups::Group;
use crate::hits::Sighting;
use crate::intent::Intent;
use crate::literal::humane;
use crate::rule::{Piece, Rule, fnv1a};
use crate::time::{Nanos, system_time};

/// An open episode of one group.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) episode: Episode,
    /// Event time to which the rule holds if no further record comes: that of the last match, or, for
    /// a window rule, when its count falls below what it needs.
    pub(crate) holds_to: Nanos,
    /// What the last firing said; its end says it again.
    annotations: BTreeMap<String, String>,
    /// Of a rule whose intents hold templates.
    intents: Option<Vec<Intent>>,
    explain: Explain,
    /// The repeat that this call of the engine has told already: which call, and where it stands.
    pub(crate) told: Option<(u64, usize)>,
}

impl Open {
    pub(crate) fn new(rule: &Rule, group: &Group, at: Nanos) -> Self {
        let name = &rule.info.name;
        let id = fnv1a(&format!("{name}\0{:016x}\0{:?}\0{at}", rule.hash, group.key));
        Self {
            episode: Episode { id: format!("{id:016x}"), started: system_time(at) },
            holds_to: at,
            annotations: BTreeMap::new(),
            intents: None,
            explain: Explain {
                text: String::new(),
                cause: 0..0,
                condition: Arc::clone(&rule.info.when),
                scope: rule.info.scope.clone(),
                values: Vec::new(),
                line: None,
                window: None,
            },
            told: None,
        }
    }

    pub(crate) fn remember(&mut self, rule: &Rule, firing: &Firing) {
        if !rule.arguments.is_empty() {
            self.intents = Some(firing.intents.clone());
        }
        self.annotations.clone_from(&firing.annotations);
        self.explain.clone_from(&firing.explain);
    }
}

/// A firing for a record that made the rule hold.
pub(crate) fn fired(
    rule: &Rule,
    group: &Group,
    hit: &Sighting<'_>,
    episode: Episode,
    repeat: bool,
    withheld: Option<Withheld>,
) -> Firing {
    let window = window_seen(rule, group);
    let seen = hit.captured(rule);
    let verb = match (&withheld, repeat) {
        (Some(_), _) => "held",
        (None, true) => "still fires",
        (None, false) => "fired",
    };
    let mut text = format!("rule {} {verb}", rule.info.name);
    let cause = introduce(&mut text, rule, group);
    let head = text.len();
    for piece in &rule.sentence {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Value(index) => match seen.get(*index).copied().flatten() {
                Some(value) => text.push_str(&format!(" ({})", short(&value.to_string()))),
                None => text.push_str(" (missing)"),
            },
            Piece::Named(index) => {
                let name = &rule.captured[*index];
                match seen.get(*index).copied().flatten() {
                    Some(value) => {
                        text.push_str(&format!(" ({name}={})", short(&value.to_string())));
                    }
                    None => text.push_str(&format!(" ({name} is missing)")),
                }
            }
        }
    }
    if let Some(window) = &window {
        let comma = if text.len() > head { ", " } else { "" };
        text.push_str(&format!("{comma}{}", counted(window)));
    }
    if let Some(Withheld::TooOld { age, limit }) = &withheld {
        let age = humane(Duration::from_secs(age.as_secs()));
        text.push_str(&format!(
            "; withheld: the record is {age} old, the limit is {}",
            humane(*limit)
        ));
    }
    let cause = cause..text.len();
    if let Some(line) = hit.line {
        text.push_str("; line: ");
        text.extend(line.chars().map(printable));
    }
    let values = rule.captured.iter().zip(&seen);
    let explain = Explain {
        text,
        cause,
        condition: Arc::clone(&rule.info.when),
        scope: rule.info.scope.clone(),
        values: values
            .map(|(field, value)| Seen { field: field.to_string(), value: value.cloned() })
            .collect(),
        line: hit.line.map(str::to_owned),
        window: window.clone(),
    };
    let count = window.map(|window| window.count);
    let annotations = rule
        .annotations
        .iter()
        .map(|(name, template)| (name.clone(), template.render(&rule.info.name, &seen, count)));
    let mut intents = rule.info.intents.clone();
    for hole in &rule.arguments {
        let text = intents.get_mut(hole.intent).map(Intent::texts_mut);
        if let Some(text) = text.and_then(|texts| texts.into_iter().nth(hole.text)) {
            *text = hole.template.render(&rule.info.name, &seen, count);
        }
    }
    Firing {
        annotations: annotations.collect(),
        trace_id: hit.trace.map(Box::from),
        intents,
        repeat,
        withheld,
        ..bare(rule, group, Status::Firing, episode, hit.time, explain)
    }
}

/// The firing that ends an episode. `why` finishes the sentence.
pub(crate) fn resolved(rule: &Rule, group: &Group, open: Open, at: Nanos, why: &str) -> Firing {
    let mut text = format!("rule {} resolved", rule.info.name);
    let cause = introduce(&mut text, rule, group);
    text.push_str(why);
    let cause = cause..text.len();
    let explain = Explain { text, cause, ..open.explain };
    Firing {
        annotations: open.annotations,
        intents: open.intents.unwrap_or_else(|| rule.info.intents.clone()),
        ..bare(rule, group, Status::Resolved, open.episode, at, explain)
    }
}

fn bare(
    rule: &Rule,
    group: &Group,
    status: Status,
    episode: Episode,
    at: Nanos,
    explain: Explain,
) -> Firing {
    let fields = || rule.group.iter().zip(&group.key);
    let mut labels = rule.info.labels.clone();
    labels.extend(fields().map(|(field, value)| (field.label.clone(), value.to_string())));
    labels.insert("alertname".to_owned(), rule.info.name.to_string());
    Firing {
        rule: Arc::clone(&rule.info.name),
        status,
        group: fields().map(|(field, value)| (field.name.clone(), value.to_string())).collect(),
        labels,
        annotations: BTreeMap::new(),
        episode,
        repeat: false,
        matched: 1,
        event_time: system_time(at),
        trace_id: None,
        intents: Vec::new(),
        withheld: None,
        explain,
    }
}

/// Why an episode came to its end by itself.
pub(crate) fn ended(rule: &Rule, group: &Group) -> String {
    match window_seen(rule, group) {
        None => format!("no further match for {}", humane(rule.info.keep_firing_for)),
        Some(window) => {
            let keep = rule.info.keep_firing_for;
            let kept = match keep.is_zero() {
                true => String::new(),
                false => format!(" for {}", humane(keep)),
            };
            format!(
                "fewer than {} records in {}{kept}",
                rule.window.as_ref().map_or(0, |w| w.needs),
                humane(window.over)
            )
        }
    }
}

fn window_seen(rule: &Rule, group: &Group) -> Option<WindowSeen> {
    rule.window.as_ref().map(|window| WindowSeen {
        count: group.times.len() as u64,
        at_least: group.saturated,
        over: window.over,
        needs: window.written.clone(),
    })
}

fn counted(window: &WindowSeen) -> String {
    let least = if window.at_least { "at least " } else { "" };
    let records = if window.count == 1 { "record" } else { "records" };
    let over = humane(window.over);
    format!("{least}{} {records} in {over} (needs {})", window.count, window.needs)
}

/// Goes on behind `rule NAME fired` as far as the colon, with the group if there is one. Returns where
/// the cause begins.
fn introduce(text: &mut String, rule: &Rule, group: &Group) -> usize {
    if group.key.is_empty() {
        text.push_str(": ");
        return text.len();
    }
    let cause = text.len() + 1;
    let pairs = rule.group.iter().zip(&group.key);
    let pairs: Vec<String> =
        pairs.map(|(field, value)| format!("{}={}", field.name, short(value))).collect();
    text.push_str(&format!(" for {}: ", pairs.join(", ")));
    cause
}

/// A value in a sentence, cut to where it can still be read.
fn short(text: &str) -> String {
    let cut = text.char_indices().nth(80).map(|(end, _)| end);
    let mut out: String = text[..cut.unwrap_or(text.len())].chars().map(printable).collect();
    if cut.is_some() {
        out.push('…');
    }
    out
}

/// A sentence stays on one line and moves no cursor, whatever a record holds.
fn printable(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

/// Age of a record at `now`, when it is beyond the limit.
pub(crate) fn too_old(at: Nanos, now: Nanos, limit: Option<Duration>) -> Option<Withheld> {
    let age = Duration::from_nanos(now.saturating_sub(at));
    let limit = limit.filter(|limit| age > *limit)?;
    Some(Withheld::TooOld { age, limit })
}

/// An episode that was never opened, so that a withheld firing has an identity too.
pub(crate) fn unopened(rule: &Rule, group: &Group, at: Nanos) -> Episode {
    Open::new(rule, group, at).episode
}
