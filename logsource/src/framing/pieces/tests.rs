//! However a text is cut into pieces, the lines are those that anyone would say it has.

use proptest::prelude::*;

use super::super::{Join, Multiline, is_blank};
use super::*;

fn now() -> Instant {
    crate::shell::ticks()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just(&b"x"[..]), 3 => Just(&b"\n"[..]), 1 => Just(&b"\r"[..]),
        1 => Just(&b" "[..]), 1 => Just(&b"\0"[..]), 1 => Just(&b"\r\n\r\n"[..]),
        1 => Just(&b"aba"[..]), 1 => Just("\u{20ac}".as_bytes()), 1 => Just(&b"\xff"[..]),
    ];
    let run = (token, prop_oneof![3 => Just(1_usize), 1 => 1_usize..40]);
    let runs = proptest::collection::vec(run, 0..120);
    let text = runs.prop_map(|runs| {
        runs.into_iter().flat_map(|(token, times)| token.repeat(times)).collect::<Vec<u8>>()
    });
    (prop_oneof![9 => Just(&b""[..]), 1 => Just(&b"\xef\xbb\xbf"[..])], text)
        .prop_map(|(mark, text)| [mark, &text].concat())
}

fn framing() -> impl Strategy<Value = Framing> {
    let delimiter = prop_oneof![
        3 => Just(None),
        5 => prop_oneof![
            Just(&b"\n"[..]), Just(&b"\0"[..]), Just(&b"\r\n\r\n"[..]), Just(&b"aba"[..]),
            Just(&b"xx"[..]), Just(&b"xxxxxxxxxxxxxxxxxxxx"[..]),
        ].prop_map(Some),
    ];
    let long_lines =
        prop_oneof![Just(LongLines::Truncate), Just(LongLines::Drop), Just(LongLines::Split)];
    (delimiter, 1_usize..64, long_lines).prop_map(|(delimiter, max_line, long_lines)| {
        let framing = Framing::new().max_line_bytes(max_line).long_lines(long_lines);
        match delimiter {
            Some(delimiter) => framing.delimiter(delimiter),
            None => framing,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_chunking_is_a_plain_split(
        text in text(),
        pieces in proptest::collection::vec(1_usize..60, 1..8),
        slab_bytes in 1_usize..128,
        framing in framing(),
    ) {
        check(&text, &pieces, slab_bytes, &framing, now());
    }

    /// Whoever stops after a line and begins again there, reads the rest and nothing twice.
    #[test]
    fn every_place_is_one_to_begin_at(
        text in text(),
        pieces in proptest::collection::vec(1_usize..60, 1..8),
        framing in framing(),
    ) {
        let output = framed(&text, &pieces, 64, &framing, now());
        for (index, end) in output.ends.iter().enumerate() {
            let rest = &text[usize::try_from(*end).unwrap()..];
            // A mark in the middle is text.
            prop_assume!(!rest.starts_with(b"\xef\xbb\xbf"));
            let (lines, ..) = naive::lines(rest, &framing);
            prop_assert_eq!(&output.lines[index + 1..], &lines[..]);
        }
    }

    /// A file that stops in the middle of a line, and another that goes on there.
    #[test]
    fn a_line_is_carried_to_the_next_file(
        text in text(),
        cut in any::<prop::sample::Index>(),
        framing in framing(),
    ) {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let cut = cut.index(text.len() + 1);
        let (first, second) = text.split_at(cut);
        prop_assume!(!second.starts_with(b"\xef\xbb\xbf"));
        let mut output = Output::default();
        let pool = Pool::new(4096);
        let mut framer = Framer::new(std::sync::Arc::clone(&pool), &framing);
        for (text, is_last) in [(first, false), (second, true)] {
            let mut at = 0;
            while at < text.len() {
                let room = framer.room();
                let len = room.len().min(text.len() - at);
                room[..len].copy_from_slice(&text[at..at + len]);
                framer.fed(len, now());
                at += len;
                while let Some(framed) = framer.take() {
                    output.add(&framed);
                }
            }
            let mut next = Framer::new(std::sync::Arc::clone(&pool), &framing);
            if is_last {
                framer.finish();
            } else if let Some(carry) = framer.carry(true) {
                next.resume(carry);
            } else {
                framer.finish();
            }
            while let Some(framed) = framer.take() {
                output.add(&framed);
                framer.finish();
            }
            if !is_last {
                let taken = output.taken.last().copied().unwrap_or(0);
                prop_assert!(taken <= first.len() as u64);
                output.taken = vec![first.len() as u64];
            }
            framer = next;
        }
        let (lines, ..) = naive::lines(text, &framing);
        prop_assert_eq!(&output.lines, &lines);
        prop_assert_eq!(output.taken.last().copied(), Some(text.len() as u64));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn groups_are_the_same_however_the_text_is_cut(
        text in text(),
        pieces in proptest::collection::vec(1_usize..60, 1..8),
        slab_bytes in 1_usize..128,
        framing in framing(),
        rule in 0_usize..5,
        max_bytes in 1_usize..100,
        max_lines in 1_usize..6,
    ) {
        let multiline = match rule {
            0 => Multiline::start("^x"),
            1 => Multiline::continuation("^[ a]"),
            2 => Multiline::end("^$|a$"),
            3 => Multiline::end_unless("x$"),
            _ => Multiline::start("^x").and_then(|it| it.and_continuation("^ ")),
        };
        let multiline = multiline.unwrap().max_bytes(max_bytes).max_lines(max_lines);
        let framing = framing.join(Join::multiline(multiline));
        check(&text, &pieces, slab_bytes, &framing, now());
    }

    #[test]
    fn messages_are_the_same_however_the_text_is_cut(
        parts in proptest::collection::vec(
            ("[ab]{0,40}|  at x|", any::<bool>(), prop::bool::weighted(0.7)), 0..30,
        ),
        pieces in proptest::collection::vec(1_usize..200, 1..8),
        slab_bytes in 1_usize..512,
        max_line in 1_usize..100,
        long_lines in 0_usize..3,
        grouped in any::<bool>(),
        docker in any::<bool>(),
    ) {
        let long_lines = [LongLines::Truncate, LongLines::Drop, LongLines::Split][long_lines];
        let mut join = Join::containers();
        if grouped {
            join = join.then(Multiline::continuation("^ ").unwrap());
        }
        let framing =
            Framing::new().max_line_bytes(max_line).long_lines(long_lines).join(join);
        let text: String = parts.iter().map(|(text, is_err, is_last)| {
            let stream = if *is_err { "stderr" } else { "stdout" };
            let time = "2026-11-23T08:00:00.123456789Z";
            if docker {
                let end = if *is_last { "\\n" } else { "" };
                format!("{{\"log\":\"{text}{end}\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
            } else {
                format!("{time} {stream} {} {text}\n", if *is_last { "F" } else { "P" })
            }
        }).collect();
        let output = framed(text.as_bytes(), &pieces, slab_bytes, &framing, now());
        // Each stream by itself, as anyone would join it who has all of it.
        for is_err in [false, true] {
            let mut messages = vec![String::new()];
            for (text, _, is_last) in parts.iter().filter(|part| part.1 == is_err) {
                messages.last_mut().unwrap().push_str(text);
                if *is_last {
                    messages.push(String::new());
                }
            }
            let (mut expected, mut open): (Vec<Vec<u8>>, bool) = (Vec::new(), false);
            for message in messages {
                let mut found = Vec::new();
                naive::limited(message.as_bytes(), &framing, &mut found);
                let is_alone = message.len() > max_line;
                if message.trim().is_empty() {
                    continue;
                }
                if grouped && !is_alone && open && message.starts_with(' ') {
                    let last = expected.last_mut().unwrap();
                    if last.len() + 1 + message.len() <= 1 << 20 {
                        last.push(b'\n');
                        last.extend(message.as_bytes());
                        continue;
                    }
                }
                open = !is_alone;
                expected.extend(found.into_iter().filter(|line| !is_blank(line)));
            }
            let name = if is_err { "stream=stderr " } else { "stream=stdout " };
            let lines = output.lines.iter().zip(&output.fields);
            let lines: Vec<_> = lines
                .filter(|(_, fields)| fields.starts_with(name))
                // Blank lines within a group are left to themselves here.
                .map(|(line, _)| {
                    let lines = line.split(|byte| *byte == b'\n').filter(|line| !is_blank(line));
                    lines.collect::<Vec<_>>().join(&b'\n')
                })
                .collect();
            prop_assert_eq!(lines, expected, "{}", name);
        }
        prop_assert_eq!(output.taken.last().copied().unwrap_or(0), text.len() as u64);
        prop_assert!(output.ends.is_sorted() && output.taken.is_sorted());
    }
}

#[cfg(feature = "encoding")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_setting_is_what_anyone_would_say(
        text in text(),
        pieces in proptest::collection::vec(1_usize..60, 1..8),
        slab_bytes in 1_usize..128,
        framing in framing(),
        label in prop::sample::select(vec!["utf-16le", "utf-16be", "gbk", "latin1", "utf-8"]),
        join in 0_u8..4,
    ) {
        let framing = framing.encoding(label.parse().unwrap());
        let group = || Multiline::continuation("^ ").unwrap();
        let framing = match join {
            0 => framing.join(Join::containers()),
            1 => framing.join(Join::containers().then(group())),
            2 => framing.join(Join::multiline(group())),
            _ => framing,
        };
        prop_assume!(framing.check().is_ok());
        check(&text, &pieces, slab_bytes, &framing, now());
    }
}

#[cfg(feature = "encoding")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn utf_16_is_the_same_however_it_is_cut(
        text in "(\\PC|[a \\u{a00}\\u{a0a}\\u{d0d}\\u{1f600}]|\r|\r?\n){0,120}",
        pieces in proptest::collection::vec(1_usize..60, 1..8),
        slab_bytes in 1_usize..128,
        is_marked in any::<bool>(),
        is_big in any::<bool>(),
        max_line in prop_oneof![2_usize..40, Just(1000)],
    ) {
        let units = text.encode_utf16();
        let units = is_marked.then_some(0xfeff).into_iter().chain(units);
        let bytes: Vec<u8> = units
            .flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect();
        let mut framing =
            Framing::new().max_line_bytes(max_line).long_lines(LongLines::Split);
        if !is_marked {
            prop_assume!(!text.starts_with(['\u{feff}', '\u{fffe}']));
            let label = if is_big { "utf-16be" } else { "utf-16le" };
            framing = framing.encoding(label.parse().unwrap());
        }
        let output = framed(&bytes, &pieces, slab_bytes, &framing, now());
        let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let lines: Vec<&str> = lines.filter(|line| !is_blank(line.as_bytes())).collect();
        if max_line == 1000 {
            let lines: Vec<Vec<u8>> = lines.iter().map(|line| (*line).into()).collect();
            prop_assert_eq!(output.lines, lines);
        } else {
            // Nothing but blank pieces is lost, and no character is torn.
            let glued = String::from_utf8(output.lines.concat()).unwrap();
            let bare = |text: &str| text.replace(|c: char| c.is_ascii_whitespace(), "");
            prop_assert_eq!(bare(&glued), bare(&lines.concat()));
        }
        prop_assert_eq!(output.taken.last().copied().unwrap_or(0), bytes.len() as u64);
    }
}

#[cfg(feature = "encoding")]
#[test]
fn a_character_that_is_cut_off_ends_the_last_piece() {
    // So does one before zero bytes, of which there may be some in the middle of a line.
    let text = ["x", &"\u{20ac}".repeat(31), "\0", &"\u{20ac}".repeat(3), "\0"].concat();
    for label in ["gbk", "utf-8"] {
        let framing = Framing::new()
            .max_line_bytes(3)
            .long_lines(LongLines::Split)
            .encoding(label.parse().unwrap());
        check(text.as_bytes(), &[1], 1, &framing, now());
        check(text.as_bytes(), &[7], 64, &framing, now());
    }
}
