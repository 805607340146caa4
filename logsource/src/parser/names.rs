//! Parsers by the names that a configuration gives them.

use super::{KeyValue, Parser};
use crate::Error;

type Make = fn() -> Result<Parser, Error>;

/// Names, what they mean, and other names for it.
const NAMES: [(&str, Make, &[&str]); 9] = [
    ("auto", || Ok(Parser::auto()), &[]),
    ("raw", || Ok(Parser::raw()), &["none"]),
    ("json", || Ok(Parser::json()), &["ndjson", "jsonl"]),
    ("logfmt", || Ok(Parser::logfmt()), &[]),
    (
        "ltsv",
        || Parser::key_value(KeyValue::new().pairs_end_with("\t").values_begin_with(":")),
        &[],
    ),
    ("syslog", || Ok(Parser::syslog()), &["rfc3164", "rfc5424"]),
    ("combined", || Ok(Parser::combined()), &["common", "access"]),
    ("nginx", || Ok(Parser::nginx()), &[]),
    ("apache", || Ok(Parser::apache()), &["httpd"]),
];

pub(super) fn from_name(name: &str) -> Result<Parser, Error> {
    let known = NAMES.iter().find(|(known, _, others)| *known == name || others.contains(&name));
    if let Some((_, make, _)) = known {
        return make();
    }
    let all = NAMES.map(|(name, ..)| name);
    let names = all.join(", ");
    let guess = all.iter().map(|known| (distance(name, known), known)).min();
    let guess = match guess.filter(|(distance, known)| *distance <= known.len() / 3) {
        Some((_, known)) => format!("did you mean `{known}`? "),
        None => String::new(),
    };
    Err(Error::invalid(format!("there is no parser `{name}`; {guess}The parsers are {names}")))
}

/// How many letters must be changed, added or taken away to make one name the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    // No name is so long; nor is the work on what somebody took for one.
    for (line, a) in (1..).zip(one.bytes().take(40)) {
        let mut corner = row[0];
        row[0] = line;
        for (column, b) in (1..).zip(other.bytes()) {
            let changed = corner + usize::from(!a.eq_ignore_ascii_case(&b));
            corner = row[column];
            row[column] = changed.min(row[column] + 1).min(row[column - 1] + 1);
        }
    }
    row[other.len()]
}
