//! Bytes in pieces of any sizes: the lines of a plain split, and places only between lines.
#![no_main]

use birl_logsource::fuzzing::frame;
use libfuzzer_sys::fuzz_target;

fn naive(text: &[u8], max_line: usize) -> Vec<Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.filter(|line| !line.iter().all(u8::is_ascii_whitespace));
    lines.map(|line| line[..line.len().min(max_line)].to_vec()).collect()
}

fuzz_target!(|input: (Vec<u8>, u8, u8, &[u8])| {
    let (pieces, slab_bytes, max_line, text) = input;
    let pieces: Vec<usize> = pieces.iter().map(|piece| usize::from(*piece) + 1).collect();
    if pieces.is_empty() {
        return;
    }
    let (slab_bytes, max_line) = (usize::from(slab_bytes) + 1, usize::from(max_line) + 1);
    let (lines, ends) = frame(text, &pieces, slab_bytes, max_line);
    assert_eq!(lines, naive(text, max_line));
    for end in ends {
        let end = usize::try_from(end).unwrap();
        assert!(end == text.len() || text[end - 1] == b'\n', "{end}");
    }
});
