//! A packed file that anyone may have written: however it grows and is read, it is the same bytes
//! and the same trouble.
#![no_main]

use birl_logsource::fuzzing::unpack;
use libfuzzer_sys::fuzz_target;

/// More than that is not compared: a few bytes may unpack to very many.
const MOST: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    // The last bytes say how the others come, so that any packed file is a seed.
    let Some((bytes, [step, size, park])) = input.split_last_chunk() else { return };
    let whole = unpack(bytes, &[], &[MOST], 0, MOST);
    let lengths: Vec<usize> = (0..bytes.len()).step_by(usize::from(*step) + 1).collect();
    // What is parked is unpacked from the member's start again, so not too often.
    let (size, park) = (usize::from(*size) * 64 + 1024, usize::from(*park) + 8);
    let grown = unpack(bytes, &lengths, &[size], park, MOST);
    match (&whole, &grown) {
        (Some((whole, _)), Some((grown, _))) if whole.len() == MOST => assert!(grown == whole),
        (whole, grown) => assert!(whole == grown),
    }
});
