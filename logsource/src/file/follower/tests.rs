//! Whoever stops where a look ended early has missed nothing.

use std::fs::OpenOptions;
use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::file::disk::Real;
use crate::framing::pieces;
use crate::{FileSource, Framing, LongLines};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_left_when_all_is_read(
        pieces in proptest::collection::vec("((x{0,9}|y{40,300}| )\n?){1,6}", 1..8),
        batch_bytes in 1_usize..128,
        max_line_bytes in 1_usize..32,
        long_lines in prop::sample::select(vec![
            LongLines::Truncate, LongLines::Drop, LongLines::Split,
        ]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let framing = Framing::new().max_line_bytes(max_line_bytes).long_lines(long_lines);
        let source =
            FileSource::builder(&path).framing(framing.clone()).batch_bytes(batch_bytes).build();
        let (shared, now) = (source.unwrap().shared, crate::shell::ticks());
        let catalog = Catalog::new(false);
        let mut follower = Follower::new(&Real, &shared, &path.as_path().into(), &catalog);
        follower.begin(Begin::Edge(Edge::Start), now).unwrap();
        let mut found = Vec::new();
        let mut text = Vec::new();
        for piece in pieces {
            file.write_all(piece.as_bytes()).unwrap();
            text.extend_from_slice(piece.as_bytes());
            while let Some(batch) = follower.step(now, usize::MAX).unwrap() {
                found.extend(batch.entries().map(|entry| entry.line().to_vec()));
                if follower.is_read_to_end() {
                    break;
                }
            }
            prop_assert!(follower.step(now, usize::MAX).unwrap().is_none());
        }
        file.write_all(b"\n").unwrap();
        text.push(b'\n');
        while let Some(batch) = follower.step(now, usize::MAX).unwrap() {
            found.extend(batch.entries().map(|entry| entry.line().to_vec()));
        }
        let lines = pieces::framed(&text, &[text.len()], 1 << 20, &framing, now).lines;
        prop_assert_eq!(found, lines);
    }
}
