//! Bytes in pieces of any sizes, with any delimiter, limit, encoding and rule for joining: what
//! anyone would say who has the whole text, and places only between lines.
#![no_main]

use std::sync::LazyLock;

use birl_logsource::fuzzing::check_framing;
use birl_logsource::{Framing, Join, LongLines, Multiline};
use libfuzzer_sys::fuzz_target;

const ENCODINGS: [&str; 9] = [
    "utf-16le", "utf-16be", "gbk", "gb18030", "shift_jis", "latin1", "euc-jp", "big5",
    "iso-2022-jp",
];

/// Every rule for joining, compiled once.
static RULES: LazyLock<[Multiline; 11]> = LazyLock::new(|| std::array::from_fn(multiline));

fn multiline(rule: usize) -> Multiline {
    let patterns = match rule {
        0 => Multiline::start("^[a-z0-9]"),
        1 => Multiline::start_unless(r"^\s"),
        2 => Multiline::continuation(r"^[ \t]"),
        3 => Multiline::end(";$|^$"),
        4 => Multiline::end_unless(r"\\$"),
        5 => Multiline::start("^x").and_then(|it| it.and_end("y$")),
        6 => return Multiline::java(),
        7 => return Multiline::python(),
        8 => return Multiline::go(),
        9 => return Multiline::rust(),
        _ => return Multiline::traces(),
    };
    patterns.expect("a regular expression")
}

type Input<'a> = (Vec<u8>, u8, u8, (u8, u8, u8, u8), Vec<u8>, &'a [u8]);

fuzz_target!(|input: Input<'_>| {
    let (pieces, slab_bytes, max_line, (long_lines, encoding, join, rule), delimiter, text) = input;
    let pieces: Vec<usize> = pieces.iter().map(|piece| usize::from(*piece) + 1).collect();
    if pieces.is_empty() || delimiter.len() > 64 {
        return;
    }
    let long_lines = match long_lines % 3 {
        0 => LongLines::Truncate,
        1 => LongLines::Drop,
        _ => LongLines::Split,
    };
    let mut framing =
        Framing::new().max_line_bytes(usize::from(max_line) + 1).long_lines(long_lines);
    if !delimiter.is_empty() {
        framing = framing.delimiter(delimiter);
    }
    if let Some(label) = ENCODINGS.get(usize::from(encoding)) {
        framing = framing.encoding(label.parse().expect("a label"));
    }
    let rule = usize::from(rule);
    let group = RULES[rule % RULES.len()].clone().max_bytes(rule + 1).max_lines(rule / 16 + 1);
    framing = match join % 8 {
        0 => framing.join(Join::containers()),
        1 => framing.join(Join::containers().then(group)),
        2 | 3 => framing.join(Join::multiline(group)),
        _ => framing,
    };
    check_framing(text, &pieces, usize::from(slab_bytes) + 1, &framing);
});
