//! Which fields there are and what they hold, where rule files say so.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::check::Type;
use crate::compile::{Session, resolve};
use crate::definitions::{File, section};
use crate::issue::{Issue, nearest};
use crate::keys;
use crate::template::is_path;

/// Among more fields it is not looked for the one that was meant.
const MAX_COMPARED: usize = 5_000;

/// What `fields` of all files say. Without any, every field may be and hold anything.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    fields: BTreeMap<String, Declared>,
    aliases: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) holds: Type,
    /// A record may be without it.
    pub(crate) is_optional: bool,
}

/// The words for what a field holds.
const WORDS: [(&str, Type); 6] = [
    ("any", Type::Any),
    ("bool", Type::Bool),
    ("list", Type::List),
    ("map", Type::Any),
    ("number", Type::Number),
    ("string", Type::Text),
];

impl Schema {
    /// Whether nothing was said about any field.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// What is known of a field as it is written; none if nothing was said about any field.
    /// One that is not among them is given with its aliases resolved.
    pub(crate) fn field(&self, path: &str) -> Option<Result<Declared, String>> {
        if self.fields.is_empty() {
            return None;
        }
        let path = resolve(&self.aliases, path);
        let path = path.as_str();
        if path == "line" {
            return Some(Ok(Declared { holds: Type::Text, is_optional: true }));
        }
        Some(self.fields.get(path).copied().ok_or_else(|| path.to_owned()))
    }

    /// The complaint about a field that is not among them, maybe with the one that was meant.
    pub(crate) fn unknown(&self, path: &str, span: Range<usize>, suggests: bool) -> Issue {
        let message = format!("no field is called `{path}`");
        let issue = Issue::new("E0311", span, message, "not among `fields`");
        let names = self.fields.keys().chain(self.aliases.keys()).map(String::as_str);
        let is_asked = suggests && self.fields.len() <= MAX_COMPARED;
        let near = is_asked.then(|| nearest(path, names)).flatten();
        let issue = issue.suggest_if(near);
        let help = "`fields:` says which fields there are; add it there if it is one";
        if near.is_some() { issue } else { issue.help(help) }
    }
}

impl Session<'_> {
    /// Reads `fields` of all files.
    pub(crate) fn fields(&mut self, files: &[File<'_>]) {
        for (source, root) in files {
            let Some(node) = section(root, "fields") else { continue };
            let mut issues = Vec::new();
            for (name, key, value) in keys::map(node, "fields", &mut issues) {
                if !is_path(name) {
                    let message = format!("`{name}` is not the name of a field");
                    let label = "expected dotted names";
                    issues.push(Issue::new("E0109", key.span.clone(), message, label));
                    continue;
                }
                let word = keys::text(value, name).unwrap_or_default().trim();
                let (word, is_optional) =
                    word.strip_suffix('?').map_or((word, false), |word| (word, true));
                let Some((_, holds)) = WORDS.iter().find(|(known, _)| *known == word) else {
                    issues.push(unknown_type(word, value.span.clone()));
                    continue;
                };
                let declared = Declared { holds: *holds, is_optional };
                let name = resolve(&self.aliases, name).as_str().to_owned();
                match self.schema.fields.get(&name) {
                    Some(known) if *known != declared => {
                        let message = format!("`{name}` is declared already, as something else");
                        let label = "a second meaning";
                        issues.push(Issue::new("E0105", value.span.clone(), message, label));
                    }
                    _ => drop(self.schema.fields.insert(name, declared)),
                }
            }
            self.report(source, issues);
        }
        self.schema.aliases.clone_from(&self.aliases);
    }
}

fn unknown_type(word: &str, span: std::ops::Range<usize>) -> Issue {
    let message = format!("no field holds `{word}`");
    let issue = Issue::new("E0110", span, message, "not one of the words for it");
    let meant = match word {
        "int" | "integer" | "float" | "double" | "long" => Some("number"),
        "str" | "text" | "time" | "ip" => Some("string"),
        "boolean" => Some("bool"),
        "array" | "seq" => Some("list"),
        "object" => Some("map"),
        word => nearest(word, WORDS.iter().map(|(word, _)| *word)),
    };
    let help =
        "it is string, number, bool, list, map or any; with a `?` where a record may be without it";
    issue.suggest_if(meant).help(help)
}
