//! An offset file that anyone may have written: places or a refusal, and places are written back.
#![no_main]

use birl_logsource::fuzzing::reread_offsets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| assert!(reread_offsets(bytes)));
