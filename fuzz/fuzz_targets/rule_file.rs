//! A rule file: rules or diagnostics, whose rendering points into the file; formatted, it is as good or
//! bad as it was, and as it is when it is formatted again.
#![no_main]

use birl_rules_dsl::{RuleSet, SourceText, format};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for mut source in [SourceText::yaml("fuzz", text), SourceText::json("fuzz", text)] {
        let compiled = RuleSet::compile(std::slice::from_ref(&source));
        if let Err(diagnostics) = &compiled {
            assert!(!diagnostics.to_string().is_empty());
        }
        let Ok(formatted) = format(&source) else {
            assert!(compiled.is_err(), "what compiles can be formatted");
            continue;
        };
        source.text = formatted;
        let twice = format(&source).ok();
        assert_eq!(twice.as_ref(), Some(&source.text), "formatted again it is another text");
        let again = RuleSet::compile(std::slice::from_ref(&source));
        assert_eq!(again.is_ok(), compiled.is_ok(), "{}", source.text);
    }
});
