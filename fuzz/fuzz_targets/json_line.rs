//! A line of JSON as a record, against `serde_json` reading all of it.
#![no_main]

#[path = "../../rules-dsl/tests/it/json_twin.rs"]
mod json_twin;

use birl_rules_dsl::{FieldPath, JsonLine, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let line = JsonLine::new(text);
    let absent = std::iter::once("another".to_owned());
    let names = json_twin::fields(text, &|_| false).into_iter().map(|(name, _)| name);
    for name in names.chain(absent) {
        // A path with dots leads into objects, and no path holds a backtick.
        if name.contains(['.', '`']) {
            continue;
        }
        let found = json_twin::fields(text, &|known| known == name);
        let expected = found.into_iter().find_map(|(_, value)| value);
        assert_eq!(line.get(&FieldPath::new(&format!("`{name}`"))), expected, "`{name}`");
    }
});
