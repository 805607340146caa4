#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::memory::{Growing, read_growing};
use super::packed::Packed;
use super::*;

/// What `zstd -19 --check` makes of `text(6000)`: three blocks, and one window for all of it.
const ZSTD: &[u8] = include_bytes!("../../../tests/data/log.zst");

fn text(lines: usize) -> Vec<u8> {
    let line = |n: usize| {
        let (minute, second, took) = (n / 60 % 60, n % 60, n * 7919 % 1000);
        format!("2026-11-23T08:{minute:02}:{second:02}Z INFO request {n} took {took} ms\n")
    };
    (0..lines).flat_map(|n| line(n).into_bytes()).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    compress_to_vec(plain, CompressionLevel::Fastest)
}

fn open(bytes: impl Into<Vec<u8>>) -> Content<Growing> {
    Content::new(Growing::new(bytes)).unwrap()
}

/// Everything from an offset on.
fn rest(content: &mut Content<Growing>, from: usize) -> Vec<u8> {
    let (mut found, mut room) = (Vec::new(), vec![0; 50_000]);
    loop {
        match content.read_at(&mut room, (from + found.len()) as u64).unwrap() {
            0 => return found,
            read => found.extend_from_slice(&room[..read]),
        }
    }
}

/// A file's bytes and what is packed in them.
fn packed() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let lines = || 0_usize..300;
    let gzips = prop::collection::vec(lines(), 1..4).prop_map(|members| {
        let plain: Vec<_> = members.into_iter().map(text).collect();
        let padding = vec![0; plain.len() * 7];
        (plain.iter().flat_map(|text| gzip(text)).chain(padding).collect(), plain.concat())
    });
    let zstds = prop::collection::vec(lines(), 1..4).prop_map(|members| {
        let plain: Vec<_> = members.into_iter().map(text).collect();
        let skipped = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        (
            plain.iter().flat_map(|text| [zstd(text), skipped.to_vec()]).flatten().collect(),
            plain.concat(),
        )
    });
    let fixture =
        Just(([ZSTD, &zstd(b"more\n")].concat(), [text(6000), b"more\n".to_vec()].concat()));
    prop_oneof![6 => gzips, 6 => zstds, 1 => fixture]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn however_it_grows_and_is_read_it_is_the_same(
        (bytes, plain) in packed(),
        steps in prop::collection::vec(1_usize..1500, 0..40),
        sizes in prop::collection::vec(100_usize..70_000, 1..5),
        park in 0_usize..40,
    ) {
        let lengths: Vec<_> = steps.iter().scan(0, |sum, step| { *sum += step; Some(*sum) }).collect();
        let (found, wrong) = read_growing(&bytes, &lengths, &sizes, park, usize::MAX).unwrap();
        prop_assert!(found == plain, "{} of {}", found.len(), plain.len());
        prop_assert_eq!(wrong, None);
    }

    #[test]
    fn any_offset_gives_what_is_there(
        (bytes, plain) in packed(),
        reads in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..5000), 1..10),
    ) {
        let mut content = open(bytes);
        for (at, size) in reads {
            let (at, mut room) = (at.index(plain.len() + 2), vec![0; size]);
            let read = content.read_at(&mut room, at as u64).unwrap();
            let expected = plain.get(at..).unwrap_or_default();
            prop_assert!(expected.starts_with(&room[..read]));
            prop_assert_eq!(read == 0, expected.is_empty());
        }
    }

    #[test]
    fn damage_keeps_what_came_before_and_is_the_same_however_it_is_read(
        (mut bytes, plain) in packed(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        step in 50_usize..3000,
        size in 500_usize..70_000,
    ) {
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            // What is at the beginning decides what the file is.
            if at > 20 {
                bytes[at] = byte;
            }
        }
        let whole = read_growing(&bytes, &[], &[1 << 20], 0, 8 << 20).unwrap();
        let lengths: Vec<_> = (0..bytes.len()).step_by(step).collect();
        let grown = read_growing(&bytes, &lengths, &[size], 0, 8 << 20).unwrap();
        prop_assert!(whole == grown);
        prop_assert!(whole.1.is_some() || plain.starts_with(&whole.0) || whole.0.starts_with(&plain));
    }
}

#[test]
fn a_file_that_ends_too_early_is_waited_for() {
    let plain = text(6000);
    for bytes in [gzip(&plain), ZSTD.to_vec()] {
        let cut = bytes.len() - 5;
        let file = Growing::new(bytes.clone());
        file.write_to(cut);
        let mut content = Content::new(file).unwrap();
        let found = rest(&mut content, 0);
        assert!(plain.starts_with(&found));
        assert_eq!(content.state(), State::Growing);
        assert_eq!(content.lag().unwrap(), 0);
        content.file().write_to(bytes.len());
        assert_eq!(content.lag().unwrap(), 5);
        assert_eq!([found.clone(), rest(&mut content, found.len())].concat(), plain);
        assert_eq!(content.state(), State::Complete);
    }
}

#[test]
fn when_no_more_comes_all_that_is_there_is_read_and_it_is_damage() {
    let plain = text(6000);
    for bytes in [gzip(&plain), ZSTD.to_vec()] {
        let file = Growing::new(bytes.clone());
        file.write_to(bytes.len() * 9 / 10);
        let mut content = Content::new(file).unwrap();
        content.finish();
        let found = rest(&mut content, 0);
        // A block of zstd is whole or not there at all.
        assert!(plain.starts_with(&found) && found.len() >= 128 << 10, "{}", found.len());
        assert!(matches!(content.state(), State::Damaged(why) if why.contains("no end")));
        // And if it comes all the same, it is read.
        content.file().write_to(bytes.len());
        assert_eq!([found.clone(), rest(&mut content, found.len())].concat(), plain);
        assert_eq!(content.state(), State::Complete);
    }
}

#[test]
fn a_broken_checksum_is_told_after_everything_was_read() {
    let plain = text(6000);
    for (mut bytes, from_end) in [(gzip(&plain), 8), (ZSTD.to_vec(), 1)] {
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        let mut content = open(bytes);
        assert!(rest(&mut content, 0) == plain);
        assert!(matches!(content.state(), State::Damaged(why) if why.contains("incorrect")));
    }
}

#[test]
fn what_is_behind_the_last_member_is_counted_unless_it_is_padding() {
    for member in [gzip(b"a\n"), zstd(b"a\n")] {
        let mut garbled = open([&member[..], &[0; 600], b"garbage"].concat());
        assert_eq!(rest(&mut garbled, 0), b"a\n");
        assert_eq!((garbled.state(), garbled.unreadable().unwrap()), (State::Complete, 7));
        let mut padded = open([&member[..], &[0; 600]].concat());
        assert_eq!(rest(&mut padded, 0), b"a\n");
        assert_eq!((padded.state(), padded.unreadable().unwrap()), (State::Complete, 0));
    }
}

#[test]
fn damage_says_how_much_is_lost() {
    let mut bytes = gzip(&text(2000));
    let lost = bytes.len() / 2;
    let at = bytes.len() - lost;
    bytes[at..].fill(0xff);
    let mut content = open(bytes);
    let found = rest(&mut content, 0);
    assert!(found.len() > 10_000 && text(2000).starts_with(&found[..found.len() - 300]));
    assert!(matches!(content.state(), State::Damaged(_)));
    let unreadable = usize::try_from(content.unreadable().unwrap()).unwrap();
    assert!(unreadable <= lost && unreadable > lost / 2, "{unreadable} of {lost}");
    assert_eq!(content.lag().unwrap(), 0);
}

#[test]
fn an_empty_file_is_plain_until_it_is_packed() {
    let file = Growing::new(gzip(b"a\n"));
    file.write_to(0);
    let mut content = Content::new(file).unwrap();
    assert_eq!((content.is_packed(), content.state()), (false, State::Plain));
    content.file().write_to(1);
    assert_eq!(rest(&mut content, 0), b"");
    content.file().write_to(100);
    assert_eq!(rest(&mut content, 0), b"a\n");
    assert!(content.is_packed());
}

#[test]
fn a_text_is_not_taken_for_packed() {
    for text in ["P", "PK", "(", "BZh9 is how bzip2 begins\n", "\x1f\n", "_*M"] {
        let mut content = open(text);
        content.finish();
        assert_eq!(rest(&mut content, 0), text.as_bytes());
        assert!(!content.is_packed());
    }
}

#[test]
fn what_cannot_be_unpacked_is_refused_by_name() {
    let packed: [(&[u8], &str); 3] =
        [(b"BZh91AY&SY..", "bzip2"), (b"\xfd7zXZ\0..", "xz"), (b"\x04\x22\x4d\x18..", "lz4")];
    for (bytes, name) in packed {
        let error = Content::new(Growing::new(bytes)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_window_that_a_stranger_asks_for_is_not_given() {
    // 1 GiB: 10 + 20 bits.
    let mut content = open([0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3, 1, 0, 0]);
    assert_eq!(rest(&mut content, 0), b"");
    assert!(matches!(content.state(), State::Damaged(why) if why.contains("1024 MiB")));
}

#[test]
fn at_its_end_it_holds_no_memory() {
    let engine = |content: &Content<Growing>| match &content.form {
        Form::Packed(packed) => Packed::is_active(packed),
        _ => false,
    };
    for bytes in [gzip(&text(100)), zstd(&text(100))] {
        let mut content = open(bytes.clone());
        assert!(!engine(&content));
        content.read_at(&mut [0; 10], 0).unwrap();
        assert!(engine(&content));
        rest(&mut content, 10);
        assert!(!engine(&content));
        // Nor while it waits and is told to let go.
        let mut content = open(&bytes[..bytes.len() - 1]);
        let found = rest(&mut content, 0).len();
        assert!(engine(&content));
        content.park();
        assert_eq!(rest(&mut content, found), b"");
        assert!(!engine(&content));
    }
}

#[test]
fn a_frame_that_grows_byte_by_byte_is_read_from_disk_once() {
    let mut content = Content::new(Growing::new(ZSTD)).unwrap();
    content.file().write_to(0);
    content.restart().unwrap();
    let mut found = 0;
    for length in (0..=ZSTD.len()).step_by(7).chain([ZSTD.len()]) {
        content.file().write_to(length);
        found += rest(&mut content, found).len();
    }
    assert_eq!(found, text(6000).len());
    // Beside the file itself, a look at the beginning and one behind the end for each step.
    let read = content.file().read();
    assert!(read < ZSTD.len() + ZSTD.len() / 7 + 100, "{read} of {}", ZSTD.len());
}

#[test]
fn a_block_that_is_none_is_damage_however_the_frame_grew() {
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0xd7, 0x20, 0, 0, 0, 0, 0, 0x31, 0, 0, 0, 0x26, 0, 0];
    // 40,960 times the same byte, and a block of the kind that is reserved.
    let bytes = [&header[..], &[2, 0, 5, b'a', 0x26, 0, 0, 2, 0, 0, 0, 0]].concat();
    let whole = read_growing(&bytes, &[], &[1 << 20], 0, 1 << 20).unwrap();
    assert_eq!(whole.0, [b'a'; 40_960]);
    assert!(whole.1.as_ref().is_some_and(|why| why.contains("Reserved")), "{:?}", whole.1);
    for step in 1..30 {
        let lengths: Vec<_> = (0..bytes.len()).step_by(step).collect();
        assert!(whole == read_growing(&bytes, &lengths, &[1088], 11, 1 << 20).unwrap());
    }
}
