use birl_rules_dsl::*;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

#[test]
fn smoke() {
    let text = r#"
when: "cpu_usage > 90"
where: "cluster == 'prod' && node_type == 'backend'"
then: "send_pagerduty('HIGH_CPU')"
"#;
    let rules = Arc::new(RuleSet::from_yaml("r1.yaml", text).unwrap_or_else(|e| panic!("{e}")));
    let record = serde_json::json!({"cpu_usage": 95, "cluster": "prod", "node_type": "backend"});
    let t = UNIX_EPOCH + Duration::from_secs(1000);
    let mut scratch = Scratch::new();
    let hits = rules.matches([Event::new(&record, t)], &mut scratch);
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let firings = engine.advance(hits, t);
    println!("{}", serde_json::to_string_pretty(&firings).unwrap());
    println!("{}", firings[0].explain);
    println!(
        "{}",
        rules
            .explain("r1.yaml#1", &serde_json::json!({"cpu_usage": "95", "cluster": "prod"}))
            .unwrap()
    );
    for bad in [
        "when: cpu >> 90\nthen: notify()\n",
        "whn: x\nthen: notfy('x')\n",
        "when: !x\nthen: notify()",
        "when: a == 'b: c'\nthen: notify()",
        "when: (a == 1 && b\nthen: notify()",
        "when: a = 1 and b > '9'\nthen: notify()",
        "when: >\n  a > 1 &&\n  b =~ '('\nthen: notify()",
    ] {
        println!("{}", RuleSet::from_yaml("bad.yaml", bad).unwrap_err());
    }
}
