//! `file_json` and `file_regex`: fields of every line of a file on one core, beside the bare parser
//! over the same bytes; both hash the values.

use std::str::from_utf8;

use birl_benches::figure::{Figure, Target};
use birl_benches::hash::LineHash;
use birl_benches::lines::{ACCESS, ACCESS_FIELDS};
use birl_logsource::{Extracted, Parser, ValueRef};
use serde::Deserialize;

use crate::one_pass::{self, By};
use crate::setup::Setup;

/// One near the beginning, one in the middle, and the last: there is no early way out.
const FIELDS: [&str; 3] = ["level", "status", "trace_id"];

#[derive(Deserialize)]
struct Wanted<'a> {
    level: &'a str,
    status: i64,
    trace_id: &'a str,
}

pub(crate) fn json(setup: &Setup) -> anyhow::Result<Vec<Figure>> {
    let by_hand = |line: &[u8], hash: &mut LineHash| {
        let wanted: Wanted<'_> = serde_json::from_slice(line)?;
        hash.line(wanted.level.as_bytes());
        hash.number(wanted.status);
        hash.line(wanted.trace_id.as_bytes());
        Ok(())
    };
    let mut extractor = Parser::json().extractor(&FIELDS);
    let ours = |line: &[u8], hash: &mut LineHash| take(extractor.extract(line), hash);
    let rounds = one_pass::rounds(setup.json()?, By::Stream, by_hand, ours)?;
    Ok(vec![Figure::of_rounds(
        "file_json",
        "MiB/s",
        "read + memchr + borrowed serde_json",
        Target::RatioAtLeast(0.6),
        &rounds,
    )])
}

pub(crate) fn regex(setup: &Setup) -> anyhow::Result<Vec<Figure>> {
    let regex = regex::bytes::Regex::new(ACCESS)?;
    let mut found = regex.capture_locations();
    let by_hand = |line: &[u8], hash: &mut LineHash| {
        anyhow::ensure!(regex.captures_read(&mut found, line).is_some(), "every line matches");
        for (group, name) in (1..).zip(ACCESS_FIELDS) {
            let (start, end) = found.get(group).unwrap_or_default();
            match name {
                "status" | "size" => hash.number(from_utf8(&line[start..end])?.parse()?),
                _ => hash.line(&line[start..end]),
            }
        }
        Ok(())
    };
    let mut extractor = Parser::regex(ACCESS)?.extractor(&ACCESS_FIELDS);
    let ours = |line: &[u8], hash: &mut LineHash| take(extractor.extract(line), hash);
    let rounds = one_pass::rounds(setup.combined()?, By::Stream, by_hand, ours)?;
    Ok(vec![Figure::of_rounds(
        "file_regex",
        "MiB/s",
        "read + memchr + captures_read",
        Target::RatioAtLeast(0.6),
        &rounds,
    )])
}

fn take(found: Extracted<'_>, hash: &mut LineHash) -> anyhow::Result<()> {
    for value in found.iter() {
        match value {
            Some(ValueRef::Str(text)) => hash.line(text.as_bytes()),
            Some(ValueRef::Int(number)) => hash.number(number),
            other => anyhow::bail!("not what is in the line: {other:?}"),
        }
    }
    Ok(())
}
