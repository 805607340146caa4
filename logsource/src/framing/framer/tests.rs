//! What the framer holds, for how long, and how much of it.

use std::time::{Duration, Instant};

use super::super::pieces::{Output, check, framed};
use super::super::{Join, LongLines, Multiline};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn now() -> Instant {
    crate::shell::ticks()
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
    lines.zip(fields).zip(output.ends).map(|((line, fields), end)| (line, fields, end)).collect()
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
    let found: Vec<_> = output.lines.iter().map(|line| line.escape_ascii().to_string()).collect();
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
