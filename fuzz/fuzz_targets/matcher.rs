//! A matcher: parsed or refused, and what is printed parses to the same again.
#![no_main]

use birl_router::Matcher;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(matcher) = Matcher::parse(text) {
        assert_eq!(Matcher::parse(&matcher.to_string()).unwrap(), matcher);
    }
});
