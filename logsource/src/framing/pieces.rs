//! Framing as tests and fuzz targets drive it, and what anyone would say the lines are.

use std::time::Instant;

use super::encoding::Charset;
use super::framer::{Framed, Framer};
use super::naive;
use super::settings::{Framing, LongLines};
use crate::slab::{Pool, Span};

/// What came out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) lines: Vec<Vec<u8>>,
    /// The stream of each line, and whether its end is missing.
    pub(crate) fields: Vec<String>,
    /// The place after each line.
    pub(crate) ends: Vec<u64>,
    /// The place after each batch.
    pub(crate) taken: Vec<u64>,
    /// Lines and bytes that were too long, bytes of holes, and pieces.
    pub(crate) counts: [u64; 4],
}

impl Output {
    fn add(&mut self, framed: &Framed) {
        let (table, base) = (&framed.table, self.taken.last().copied().unwrap_or(0));
        self.lines.extend(table.lines.iter().map(|line| line.of(&table.slab).to_vec()));
        self.fields.extend((0..table.lines.len()).map(|index| {
            let fields = table.record_fields(index).iter();
            let text = |span: Span| String::from_utf8_lossy(span.of(&table.slab)).into_owned();
            fields.map(|field| format!("{}={} ", text(field.name), text(field.value))).collect()
        }));
        self.ends.extend((0..table.lines.len()).map(|index| base + table.end_of(index)));
        self.taken.push(base + framed.consumed);
        let tally = framed.tally;
        let counts = [tally.long_lines, tally.long_bytes, tally.hole_bytes, tally.split];
        self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
}

/// Feeds a text in pieces of these sizes.
pub(crate) fn framed(
    text: &[u8],
    pieces: &[usize],
    slab_bytes: usize,
    framing: &Framing,
    now: Instant,
) -> Output {
    let mut framer = Framer::new(Pool::new(slab_bytes), framing);
    let (mut output, mut at, mut finished) = (Output::default(), 0, false);
    for &piece in pieces.iter().cycle() {
        let room = framer.room();
        let len = piece.min(room.len()).min(text.len() - at);
        room[..len].copy_from_slice(&text[at..at + len]);
        framer.fed(len, now);
        at += len;
        if at == text.len() && !finished && !framer.room().is_empty() {
            framer.finish();
            finished = true;
        }
        // Taking is up to the owner: here, whenever the piece was an odd one.
        if piece % 2 == 1 || framer.room().is_empty() || finished {
            while let Some(framed) = framer.take() {
                output.add(&framed);
                if finished {
                    framer.finish();
                }
            }
        }
        if finished && framer.pending() == 0 {
            break;
        }
    }
    output
}

/// Compares what comes out with what anyone would say.
pub(crate) fn check(
    text: &[u8],
    pieces: &[usize],
    slab_bytes: usize,
    framing: &Framing,
    now: Instant,
) {
    let output = framed(text, pieces, slab_bytes, framing, now);
    assert_eq!(output.taken.last().copied().unwrap_or(0), text.len() as u64);
    assert!(output.ends.is_sorted() && output.taken.is_sorted());
    let settings = framing.settings();
    let (charset, _) = naive::charset(text, framing);
    let is_decoded = charset != Charset::Bytes || settings.charset != Charset::Bytes;
    match &settings.join {
        Some(join) if is_decoded || (join.containers && join.multiline.is_some()) => {
            // In one piece there is nothing to go wrong but the joining itself.
            let whole = framed(text, &[text.len() | 1], 1 << 16, framing, now);
            assert_eq!(output.lines, whole.lines);
            assert_eq!(output.fields, whole.fields);
            assert_eq!(output.counts, whole.counts);
        }
        Some(join) if join.containers => assert_eq!(output.lines, naive::messages(text, framing)),
        Some(_) => assert_eq!(output.lines, naive::groups(text, framing)),
        None if is_decoded => assert_eq!(output.lines, naive::decoded(text, framing)),
        None => check_plain(text, &output, framing),
    }
}

fn check_plain(text: &[u8], output: &Output, framing: &Framing) {
    let (lines, counts, places) = naive::lines(text, framing);
    assert_eq!(output.lines, lines);
    assert_eq!(output.counts, counts);
    // A hole's end is a place, and so is that of a piece.
    let is_place = |end: &u64| {
        let next = usize::try_from(*end).ok().and_then(|end| text.get(end.checked_sub(1)?));
        places.contains(end) || next == Some(&0)
    };
    if framing.settings().long_lines != LongLines::Split {
        assert!(output.ends.iter().chain(&output.taken).all(is_place));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{Join, Multiline, is_blank};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

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

    #[test]
    fn an_endless_line_takes_bounded_memory_and_comes_once() {
        let framing = Framing::new().max_line_bytes(1000);
        let mut framer = Framer::new(Pool::new(64), &framing);
        let mut fed = 0_u64;
        for _ in 0..100 {
            let room = framer.room();
            assert!(!room.is_empty() && room.len() <= 1000 + (64 << 10));
            room.fill(b'y');
            let len = room.len();
            framer.fed(len, now());
            fed += len as u64;
            assert!(framer.take().is_none());
        }
        let room = framer.room();
        room[..6].copy_from_slice(b"\nnext\n");
        framer.fed(6, now());
        let first = framer.take().unwrap();
        assert_eq!((first.table.lines.len(), first.consumed), (1, fed + 1));
        assert_eq!((first.tally.long_lines, first.tally.long_bytes), (1, fed - 1000));
        assert_eq!(first.table.lines[0].of(&first.table.slab).len(), 1000);
        let second = framer.take().unwrap();
        assert_eq!(second.table.lines[0].of(&second.table.slab), b"next");
        assert_eq!(second.consumed, 5);
    }

    #[test]
    fn a_hole_of_any_size_takes_no_memory() {
        let mut framer = Framer::new(Pool::new(64), &Framing::new());
        let (mut hole, mut consumed) = (0, 0);
        for _ in 0..100 {
            let room = framer.room();
            room.fill(0);
            hole += room.len() as u64;
            let len = room.len();
            assert!(len <= 64);
            framer.fed(len, now());
            if let Some(framed) = framer.take() {
                assert!(framed.table.lines.is_empty());
                consumed += framed.consumed;
            }
        }
        while framer.room().is_empty() {
            consumed += framer.take().unwrap().consumed;
        }
        framer.room()[..4].copy_from_slice(b"\0\0a\n");
        framer.fed(4, now());
        let framed = framer.take().unwrap();
        assert_eq!(framed.table.lines[0].of(&framed.table.slab), b"a");
        assert_eq!(consumed + framed.consumed, hole + 4);
    }

    #[test]
    fn a_last_line_without_its_end_comes_when_its_time_is_over() {
        let (start, wait) = (now(), Duration::from_secs(5));
        let framing = Framing::new().flush_partial_after(wait);
        let mut framer = Framer::new(Pool::new(64), &framing);
        assert_eq!(framer.next_deadline(), None);
        framer.room()[..3].copy_from_slice(b"abc");
        framer.fed(3, start);
        assert_eq!(framer.next_deadline(), Some(start + wait));
        framer.expire(start + wait - Duration::from_millis(1));
        assert!(framer.take().is_none());
        framer.room()[..1].copy_from_slice(b"d");
        framer.fed(1, start + Duration::from_secs(4));
        framer.expire(start + wait);
        assert!(framer.take().is_none());
        framer.expire(start + wait + Duration::from_secs(4));
        let framed = framer.take().unwrap();
        assert_eq!(framed.table.lines[0].of(&framed.table.slab), b"abcd");
        assert_eq!(framer.next_deadline(), None);
    }

    fn feed(framer: &mut Framer, text: &str, at: Instant) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let room = framer.room();
            let len = room.len().min(rest.len());
            room[..len].copy_from_slice(&rest[..len]);
            framer.fed(len, at);
            rest = &rest[len..];
        }
    }

    /// The lines that can be taken, what is known of them, and where they end.
    fn taken(framer: &mut Framer) -> Vec<(String, String, u64)> {
        let mut output = Output::default();
        while let Some(framed) = framer.take() {
            output.add(&framed);
        }
        let lines = output.lines.into_iter().map(|line| String::from_utf8(line).unwrap());
        let fields = output.fields.into_iter().map(|fields| fields.trim_end().to_owned());
        lines
            .zip(fields)
            .zip(output.ends)
            .map(|((line, fields), end)| (line, fields, end))
            .collect()
    }

    const TIME: &str = "2026-11-23T08:00:00.5Z";

    fn cri(rest: &str) -> String {
        format!("{TIME} {rest}\n")
    }

    #[test]
    fn a_part_whose_rest_never_comes_is_handed_on_and_says_so() {
        let framing = Framing::new().join(Join::containers().part_time_out(SECOND));
        let mut framer = Framer::new(Pool::new(256), &framing);
        let start = now();
        feed(&mut framer, &cri("stdout P begun "), start);
        feed(&mut framer, &cri("stderr F younger"), start);
        assert_eq!(taken(&mut framer), []);
        assert_eq!(framer.next_deadline(), Some(start + SECOND));
        framer.expire(start + SECOND);
        let len = cri("stdout P begun ").len() as u64;
        let both = len + cri("stderr F younger").len() as u64;
        let expected = [
            ("begun ".to_owned(), "stream=stdout partial=true".to_owned(), len),
            ("younger".to_owned(), "stream=stderr".to_owned(), both),
        ];
        assert_eq!(taken(&mut framer), expected);
        assert_eq!((framer.next_deadline(), framer.pending()), (None, 0));
    }

    #[test]
    fn a_piece_of_a_message_comes_where_its_part_began() {
        let framing =
            Framing::new().join(Join::containers()).max_line_bytes(2).long_lines(LongLines::Split);
        let text = cri("stdout P abc") + &cri("stderr F err") + &cri("stdout F de");
        for piece in [1, 7, 1000] {
            check(text.as_bytes(), &[piece], 64, &framing, now());
            let lines = framed(text.as_bytes(), &[piece], 64, &framing, now()).lines;
            assert_eq!(lines, ["ab", "cd", "er", "r", "e"].map(|line| line.as_bytes().to_vec()));
        }
    }

    #[test]
    fn the_time_is_that_of_the_first_part() {
        let framing = Framing::new().join(Join::containers());
        let mut framer = Framer::new(Pool::new(256), &framing);
        feed(&mut framer, &cri("stdout P a"), now());
        feed(&mut framer, "2026-11-23T08:00:09Z stdout F b\nno format\n", now());
        let framed = framer.take().unwrap();
        let times: Vec<u64> = framed.table.records.iter().map(|record| record.realtime).collect();
        assert_eq!(times, [1_795_420_800_500_000, 0]);
    }

    #[test]
    fn a_message_goes_on_in_the_next_file() {
        let framing = Framing::new().join(Join::containers().then(Multiline::java()));
        let mut first = Framer::new(Pool::new(256), &framing);
        let head = cri("stdout F old");
        feed(&mut first, &head, now());
        feed(&mut first, &cri("stderr F java.lang.Exception: x"), now());
        feed(&mut first, &cri("stdout P half "), now());
        assert_eq!(taken(&mut first), [("old".into(), "stream=stdout".into(), head.len() as u64)]);
        let carry = first.carry(false).unwrap();
        assert_eq!(taken(&mut first), []);
        assert_eq!((first.pending(), first.next_deadline()), (0, None));
        assert!(first.carry(false).is_none());

        let mut second = Framer::new(Pool::new(256), &framing);
        second.resume(carry);
        let lines = cri("stdout F whole") + &cri("stderr F \tat a.B.c(B.java:1)");
        feed(&mut second, &lines, now());
        assert!(second.take().is_none_or(|framed| framed.consumed == 0 && !framed.carried));
        second.finish();
        let framed = second.take().unwrap();
        assert!(framed.carried);
        let mut output = Output::default();
        output.add(&framed);
        let found: Vec<_> =
            output.lines.iter().map(|line| line.escape_ascii().to_string()).collect();
        assert_eq!(found, [r"java.lang.Exception: x\n\tat a.B.c(B.java:1)", "half whole"]);
        assert_eq!(framed.consumed, lines.len() as u64);
    }

    #[test]
    fn a_group_goes_on_in_the_next_file() {
        let framing = Framing::new().join(Join::multiline(Multiline::continuation("^ ").unwrap()));
        let mut first = Framer::new(Pool::new(64), &framing);
        feed(&mut first, "a\nb\n 1\n", now());
        assert_eq!(taken(&mut first), [("a".into(), String::new(), 2)]);
        let mut second = Framer::new(Pool::new(64), &framing);
        second.resume(first.carry(false).unwrap());
        assert_eq!(taken(&mut first), []);
        feed(&mut second, " 2\nc\nd\n", now());
        let framed = second.take().unwrap();
        assert!(framed.carried);
        assert_eq!((framed.table.lines.len(), framed.table.end_of(0), framed.consumed), (2, 3, 5));
        assert_eq!(framed.table.lines[0].of(&framed.table.slab), b"b\n 1\n 2");
    }

    #[test]
    fn a_group_waits_for_its_time_and_no_longer() {
        let multiline = Multiline::continuation("^ ").unwrap().time_out(SECOND);
        let framing = Framing::new().join(Join::multiline(multiline));
        let mut framer = Framer::new(Pool::new(64), &framing);
        let start = now();
        feed(&mut framer, "a\n", start);
        feed(&mut framer, " 1\n b", start + SECOND / 2);
        framer.expire(start + SECOND);
        assert_eq!(taken(&mut framer), []);
        assert_eq!(framer.next_deadline(), Some(start + SECOND * 3 / 2));
        framer.expire(start + SECOND * 3 / 2);
        assert_eq!(taken(&mut framer), [("a\n 1".into(), String::new(), 5)]);
        assert_eq!((framer.pending(), framer.next_deadline()), (2, None));
    }

    /// A stream that says `P` for ever holds back the other only up to a limit.
    #[test]
    fn what_is_held_is_bounded() {
        let framing = Framing::new().join(Join::containers());
        let mut framer = Framer::new(Pool::new(4096), &framing);
        feed(&mut framer, &cri("stdout P begun"), now());
        let line = cri(&format!("stderr F {}", "x".repeat(1000)));
        let (mut count, mut held) = (0, 0);
        while count < 3000 {
            feed(&mut framer, &line, now());
            held = held.max(framer.pending());
            count += 1;
            if !taken(&mut framer).is_empty() {
                break;
            }
        }
        assert!(count < 3000 && held < 3 << 20, "{count} {held}");
    }

    /// A short record takes more memory than its text.
    #[test]
    fn tiny_messages_are_held_only_up_to_the_limit_too() {
        let framing = Framing::new().join(Join::containers()).max_line_bytes(1000);
        let mut framer = Framer::new(Pool::new(64 << 10), &framing);
        feed(&mut framer, &cri("stdout P begun"), now());
        let line = cri("stderr F x");
        let count = (0..100_000).find(|_| {
            feed(&mut framer, &line, now());
            !taken(&mut framer).is_empty()
        });
        assert!(count.is_some_and(|count| count < 20_000), "{count:?}");
    }

    #[cfg(feature = "encoding")]
    #[test]
    fn lines_of_other_encodings_come_as_utf_8() {
        let cases: [(&str, &[u8]); 4] = [
            ("gbk", b"\xc4\xe3\xba\xc3\nab\n"),
            ("shift_jis", b"\x93\xfa\x96\x7b\r\nab\n"),
            ("latin1", b"caf\xe9\nab\n"),
            ("gb18030", b"\x81\x30\x81\x30\nab\n"),
        ];
        let first = ["\u{4f60}\u{597d}", "\u{65e5}\u{672c}", "caf\u{e9}", "\u{80}"];
        for ((label, bytes), first) in cases.into_iter().zip(first) {
            let framing = Framing::new().encoding(label.parse().unwrap());
            for piece in [1, 3, 100] {
                let output = framed(bytes, &[piece], 16, &framing, now());
                assert_eq!(output.lines, [first.as_bytes(), b"ab"], "{label}");
            }
        }
        // What is not valid is replaced, and the line is kept.
        let framing = Framing::new().encoding("gbk".parse().unwrap());
        let mut framer = Framer::new(Pool::new(64), &framing);
        framer.room()[..5].copy_from_slice(b"a\xff b\n");
        framer.fed(5, now());
        let framed = framer.take().unwrap();
        assert_eq!(framed.table.lines[0].of(&framed.table.slab), "a\u{fffd} b".as_bytes());
        assert_eq!(framed.tally.undecodable, 1);
    }

    /// Else it would depend on where the reads end whether a blank line ends the group.
    #[cfg(feature = "encoding")]
    #[test]
    fn a_hole_at_the_end_is_no_line() {
        let group = Multiline::end("^$").unwrap().max_lines(1);
        let framing = Framing::new()
            .encoding("gbk".parse().unwrap())
            .max_line_bytes(2)
            .long_lines(LongLines::Split)
            .join(Join::multiline(group));
        for piece in [1, 3, 100] {
            for slab_bytes in [1, 8, 64] {
                let output = framed(b"@\0\0\0\0\0\0\0", &[piece], slab_bytes, &framing, now());
                assert_eq!(
                    (&output.lines[..], output.taken.last()),
                    (&[b"@\0".to_vec()][..], Some(&8))
                );
                assert_eq!(output.counts, [0, 0, 6, 1]);
            }
        }
    }

    /// A shortcut past the decoder must know what it would have refused.
    #[cfg(feature = "encoding")]
    #[test]
    fn bytes_that_an_encoding_forbids_are_replaced_in_a_line_of_ascii_too() {
        let framing = Framing::new().encoding("iso-2022-jp".parse().unwrap());
        let mut framer = Framer::new(Pool::new(64), &framing);
        framer.room()[..12].copy_from_slice(b"a\x0eb\na\x0fb\nab\t\n");
        framer.fed(12, now());
        let mut output = Output::default();
        let framed = framer.take().unwrap();
        output.add(&framed);
        let expected = ["a\u{fffd}b", "a\u{fffd}b", "ab\t"];
        assert_eq!(output.lines, expected.map(|line| line.as_bytes().to_vec()));
        assert_eq!(framed.tally.undecodable, 2);
    }

    /// What is on both sides of a hole was not written together.
    #[cfg(feature = "encoding")]
    #[test]
    fn no_character_spans_a_hole() {
        let framing = Framing::new()
            .encoding("euc-jp".parse().unwrap())
            .max_line_bytes(1)
            .long_lines(LongLines::Split);
        let text = b"F\xc0\0\0\0\xc4\xe3\xba\xc3\n";
        for (piece, slab_bytes) in [(1, 1), (2, 16), (3, 64), (100, 64)] {
            check(text, &[piece], slab_bytes, &framing, now());
            let lines = framed(text, &[piece], slab_bytes, &framing, now()).lines;
            assert_eq!(lines.concat(), "F\u{fffd}\u{4f4e}\u{632b}".as_bytes());
        }
    }

    #[cfg(feature = "encoding")]
    #[test]
    fn nothing_of_one_stream_is_left_for_the_next() {
        // In the middle of a character, in the middle of a line that comes in pieces.
        let framing = Framing::new().encoding("gbk".parse().unwrap()).max_line_bytes(4);
        let mut framer = Framer::new(Pool::new(64), &framing.long_lines(LongLines::Split));
        let torn = b"abc\xc4\xe3def\xc4";
        framer.room()[..9].copy_from_slice(torn);
        framer.fed(9, now());
        framer.begin(0);
        feed(&mut framer, "ok\n", now());
        assert_eq!(taken(&mut framer), [("ok".into(), String::new(), 3)]);
        // What the next file is written in may be another format.
        let mut framer = Framer::new(Pool::new(256), &Framing::new().join(Join::containers()));
        feed(&mut framer, "{\"log\":\"a\\n\",\"stream\":\"stdout\"}\n", now());
        assert_eq!(taken(&mut framer)[0].0, "a");
        framer.begin(0);
        feed(&mut framer, &cri("stderr F b"), now());
        assert_eq!(taken(&mut framer)[0].0, "b");
    }

    #[cfg(feature = "encoding")]
    #[test]
    fn what_a_file_is_in_is_known_further_on_too() {
        let text: Vec<u8> = "\u{feff}a\nb\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut framer = Framer::new(Pool::new(64), &Framing::new());
        framer.begin(6);
        framer.know(&text[..4]);
        framer.room()[..4].copy_from_slice(&text[6..10]);
        framer.fed(4, now());
        assert_eq!(taken(&mut framer), [("b".into(), String::new(), 4)]);
        let mut framer = Framer::new(Pool::new(64), &Framing::new());
        framer.begin(3);
        framer.know(b"abc");
        feed(&mut framer, "d\n", now());
        assert_eq!(taken(&mut framer), [("d".into(), String::new(), 2)]);
    }

    #[test]
    fn settings_that_cannot_be_are_refused_with_a_remedy() {
        let told = |framing: Framing| framing.check().unwrap_err().to_string();
        assert!(told(Framing::new().delimiter("")).contains("1 to 64 bytes"));
        assert!(told(Framing::new().delimiter([0; 65])).contains("not 65"));
        assert!(told(Framing::new().max_line_bytes(0)).contains("max_line_bytes"));
        assert!(Multiline::start("(").unwrap_err().to_string().contains("`(`"));
        for preset in [Multiline::java(), Multiline::traces()] {
            for refused in [preset.clone().and_continuation("^ "), preset.and_end("^$")] {
                assert!(refused.unwrap_err().to_string().contains("preset"));
            }
        }
        #[cfg(feature = "encoding")]
        {
            let gbk = Framing::new().encoding("gbk".parse().unwrap());
            assert!(told(gbk.clone().delimiter("END")).contains("`END`"));
            assert!(gbk.delimiter("\r\n\r\n").check().is_ok());
            // Its characters have bytes from 0x21 on, and it is switched by escape sequences.
            let jis = Framing::new().encoding("iso-2022-jp".parse().unwrap());
            for delimiter in ["!", "--", "\n--", "\x1b", "\x1b\n"] {
                let error = told(jis.clone().delimiter(delimiter));
                assert!(error.contains("control"), "{delimiter:?}: {error}");
            }
            assert!(jis.clone().delimiter("\r\n\r\n").check().is_ok() && jis.check().is_ok());
        }
    }
}
