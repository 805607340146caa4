//! `embed-rules-dsl RULES.yaml < events.ndjson`: judges JSON lines, prints one sentence per firing.
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_rules_dsl::{Engine, EngineConfig, Event, FieldPath, JsonLine, Record, RuleSet, Scratch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: embed-rules-dsl RULES.yaml < events.ndjson")?;
    let rules = Arc::new(RuleSet::from_yaml(&path, &std::fs::read_to_string(&path)?)?);
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let (mut scratch, ts) = (Scratch::new(), FieldPath::new("ts"));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let record = JsonLine::new(&line);
        let seconds = record.get(&ts).and_then(|ts| Duration::try_from_secs_f64(ts.as_f64()?).ok());
        let time = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(seconds));
        let time = time.unwrap_or_else(SystemTime::now);
        let hits = rules.matches([Event::new(&record, time)], &mut scratch);
        engine.advance(hits, time).iter().for_each(|firing| println!("{}", firing.explain));
    }
    Ok(())
}
