//! What `journalctl --output=export` may say: entries or a refusal, the same however it is cut.
#![no_main]

use birl_logsource::fuzzing::export_entries;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (pieces, bytes) = input;
    let pieces: Vec<usize> = pieces.iter().map(|piece| usize::from(*piece) + 1).collect();
    if !pieces.is_empty() {
        assert_eq!(export_entries(bytes, &pieces), export_entries(bytes, &[bytes.len().max(1)]));
    }
});
