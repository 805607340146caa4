//! A line of a log: every parser takes any bytes, and loses none of what it does not understand.
#![no_main]

use birl_logsource::Parser;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    for parser in [Parser::json(), Parser::logfmt(), Parser::auto(), Parser::raw()] {
        let parsed = parser.timestamp_field("ts").parse(line);
        let _ = serde_json::to_string(&parsed.fields).unwrap();
    }
});
