//! An offset file that anyone may have written: places or a refusal, and places are written back.
#![no_main]

use birl_logsource::fuzzing::reread_offsets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, &str)| {
    let (seal, text) = input;
    let (_, same) = reread_offsets(text, seal);
    assert!(same);
});
