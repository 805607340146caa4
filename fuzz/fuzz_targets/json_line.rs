//! A line of JSON as a record, against `serde_json` reading all of it.
#![no_main]

#[path = "../../rules-dsl/tests/it/json_twin.rs"]
mod json_twin;

use birl_rules_dsl::{FieldPath, JsonLine, Record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // The twin ends at a name with half of a surrogate pair.
    if text.contains("\\ud") || text.contains("\\uD") {
        return;
    }
    let line = JsonLine::new(text);
    let fields = json_twin::fields(text);
    let absent = std::iter::once("another");
    for name in fields.iter().map(|(name, _)| name.as_str()).chain(absent) {
        // A path with dots leads into objects, and no path holds a backtick.
        if name.contains(['.', '`']) {
            continue;
        }
        let path = FieldPath::new(&format!("`{name}`"));
        assert_eq!(line.get(&path), json_twin::first(&fields, name), "`{name}`");
    }
});
