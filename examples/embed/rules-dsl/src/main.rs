//! `embed-rules-dsl RULES.yaml < events.ndjson`: judges JSON lines, prints one sentence per firing.
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: embed-rules-dsl RULES.yaml < events.ndjson")?;
    let rules = Arc::new(RuleSet::from_yaml(&path, &std::fs::read_to_string(&path)?)?);
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let mut scratch = Scratch::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(record) = serde_json::from_str::<serde_json::Value>(&line?) else { continue };
        let time = match record["ts"].as_f64() {
            Some(seconds) => UNIX_EPOCH + Duration::from_secs_f64(seconds),
            None => SystemTime::now(),
        };
        let hits = rules.matches([Event::new(&record, time)], &mut scratch);
        engine.advance(hits, time).iter().for_each(|firing| println!("{}", firing.explain));
    }
    Ok(())
}
