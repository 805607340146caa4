//! A rule file: rules or diagnostics, whose rendering points into the file.
#![no_main]

use birl_rules_dsl::RuleSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for compiled in [RuleSet::from_yaml("fuzz.yaml", text), RuleSet::from_json("fuzz.json", text)] {
        if let Err(diagnostics) = compiled {
            assert!(!diagnostics.to_string().is_empty());
        }
    }
});
