//! What rule files say beside conditions: lists, macros and `let`, fields, priorities, templates.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{
    Compiler, Event, FunctionSpec, Intent, RuleSet, Scratch, SourceText, Truth, Value, ValueKind,
};
use proptest::prelude::*;
use serde_json::json;

use crate::common::{Bench, compile, hits};
use crate::generated::{condition, record};

#[test]
fn a_name_is_what_it_stands_for() {
    let text = "
lists: {environments: [prod, 'eu-prod'], codes: [500, 503]}
macros:
  failing: status in codes || status in 520..599
  urgent: failing && env in environments
  limit: 300ms
rules:
  - name: r
    let: {slow: latency_ms > millis(limit), very: slow && latency_ms > 1000}
    when: urgent && !very
    then: notify()
";
    let rules = compile(text);
    assert_eq!(rules.warnings().len(), 0);
    let mut cases = Vec::new();
    for (status, env, latency, holds) in [
        (500, "prod", 200, true),
        (503, "eu-prod", 1000, true),
        (521, "prod", 200, true),
        (501, "prod", 200, false),
        (500, "dev", 200, false),
        (500, "prod", 2000, false),
    ] {
        cases.push(json!({"status": status, "env": env, "latency_ms": latency}));
        let record = cases.last().unwrap();
        assert_eq!(rules.explain("r", record).unwrap().holds, holds, "{record}");
        assert_eq!(hits(&rules, &[(0.0, record.clone())]).len(), usize::from(holds), "{record}");
    }
    // A name that is quoted is a field, whatever else it is.
    let rules = compile("{let: {up: x > 1}, when: '`up` == 1 && up', then: notify(), name: r}");
    assert!(rules.explain("r", &json!({"up": 1, "x": 2})).unwrap().holds);
}

#[test]
fn files_share_what_they_define() {
    let lists =
        SourceText::yaml("lists.yaml", "lists: {bad: [500]}\nmacros: {is_bad: code in bad}");
    let rules = SourceText::yaml("rules.yaml", "[{name: r, when: is_bad, then: notify()}]");
    for order in [[lists.clone(), rules.clone()], [rules, lists]] {
        let rules = RuleSet::compile(&order).unwrap();
        assert!(rules.explain("r", &json!({"code": 500})).unwrap().holds);
    }
}

#[test]
fn a_firing_tells_what_is_behind_a_name() {
    let text = "
macros: {failing: status >= 500 && env == 'prod'}
rules: [{name: r, when: failing && host == 'a', then: notify()}]
";
    let mut bench = Bench::new(text);
    let fired = bench.feed(0.0, json!({"status": 503, "env": "prod", "host": "a"}));
    assert_eq!(
        fired[0].explain.to_string(),
        "rule r fired: failing (status=503) (env=prod) && host == 'a'"
    );
    let why = bench.rules.explain("r", &json!({"status": 503, "host": "a"})).unwrap();
    assert_eq!(
        why.to_string(),
        "rule r does not match: unknown\n  unknown when  failing\n  \
         true    when    status >= 500  [status=503]\n  \
         unknown when    env == 'prod'  [env is missing]\n  \
         true    when  host == 'a'  [host=a]"
    );
}

/// Every part of a condition has its verdict, down to the fields.
#[test]
fn a_condition_is_taken_apart() {
    let text = "
lists: {bad: [500, 'x\\y']}
macros: {slow: 'latency_ms > 300 && !(route in bad)', odd: \"any(tags[*] =~ 'x')\"}
rules:
  - name: r
    let: {hot: '-cpu + 2.5 < max(1, 2)'}
    when: (status in 500..599 || slow || (hot || odd)) && !(slow && x ?? true)
    then: notify()
";
    let rules = compile(text);
    let record = json!({"status": 200, "latency_ms": 412, "route": "a", "cpu": 1, "tags": ["y"]});
    let why = rules.explain("r", &record).unwrap();
    assert_eq!(
        why.to_string().lines().skip(1).collect::<Vec<_>>(),
        [
            "  true    when  (status in 500..599 || slow || (hot || odd))",
            "  false   when    status in 500..599  [status=200]",
            "  true    when    slow",
            "  true    when      latency_ms > 300  [latency_ms=412]",
            "  true    when      !(route in [500, 'x\\\\y'])  [route=a]",
            "  true    when    (hot || odd)",
            "  true    when      hot",
            "  true    when        ((-cpu) + 2.5) < max(1, 2)  [cpu=1]",
            "  false   when      odd",
            "  false   when        any(tags[*] =~ 'x')  [tags=[y]]",
            "  false   when  !(slow && x ?? true)",
            "  true    when    (slow && x ?? true)",
            "  true    when      slow",
            "  true    when        latency_ms > 300  [latency_ms=412]",
            "  true    when        !(route in [500, 'x\\\\y'])  [route=a]",
            "  true    when      x ?? true  [x is missing]",
        ]
    );
    let data = serde_json::to_value(&why).unwrap();
    assert_eq!(data["terms"][0]["parts"][1]["parts"][0]["verdict"], "true");
    assert!(data["terms"][0]["parts"][0].get("parts").is_none());
}

#[test]
fn what_nothing_uses_is_told() {
    let text = "
lists: {a: [1], b: [2]}
macros: {c: x in a, d: x == 3}
rules: [{let: {e: x > 1, f: x > 2}, when: c && e, then: notify()}]
";
    let rules = compile(text);
    let told: Vec<_> =
        rules.warnings().iter().map(|one| (one.code, &text[one.span.clone()])).collect();
    assert_eq!(told, [("W0002", "b"), ("W0002", "d"), ("W0002", "f")]);
    assert!(
        rules.warnings()[0].to_string().starts_with("warning[W0002]: no rule uses the list `b`")
    );
    assert!(rules.warnings().iter().all(birl_rules_dsl::Diagnostic::is_warning));
}

#[test]
fn a_change_of_what_a_name_stands_for_is_a_change_of_the_rule() {
    let text = |limit| {
        format!(
            "{{macros: {{hot: cpu > {limit}}}, rules: [{{name: r, when: hot, then: notify()}}]}}"
        )
    };
    let mut bench = Bench::new(&text(90));
    let first = bench.feed(0.0, json!({"cpu": 99})).remove(0);
    bench.replace(&text(90));
    assert!(bench.feed(1.0, json!({"cpu": 99}))[0].repeat);
    bench.replace(&text(95));
    let next = bench.feed(2.0, json!({"cpu": 99}));
    let next = next.iter().find(|firing| !firing.repeat && firing.episode != first.episode);
    assert!(next.is_some(), "an edited rule goes on with the old episode");
}

#[test]
fn higher_priorities_come_first() {
    let text = "
- {name: a, when: x > 0, then: notify()}
- {name: b, when: x > 0, then: notify(), priority: 5}
- {name: c, when: x > 0, then: notify(), priority: -1}
- {name: d, when: x > 0, then: notify(), priority: 5}
- {name: e, when: x > 0, then: notify()}
";
    let mut bench = Bench::new(text);
    let names: Vec<String> = bench.rules.rules().map(|rule| rule.name.to_string()).collect();
    assert_eq!(names, ["b", "d", "a", "e", "c"]);
    let fired = bench.feed(0.0, json!({"x": 1}));
    assert_eq!(fired.iter().map(|one| &*one.rule).collect::<Vec<_>>(), ["b", "d", "a", "e", "c"]);
}

#[test]
fn intents_are_filled_in_and_stay_so_to_the_end() {
    let text = "
name: r
when: x > 0
by: [team]
then: [\"notify('{{team}}-oncall')\", \"scale('{{service}}', '+1')\", \"keep_logs('5m')\", \"send_pagerduty('K')\"]
";
    let mut bench = Bench::new(text);
    let written = |intents: &[Intent]| intents.iter().map(Intent::to_string).collect::<Vec<_>>();
    let fired = bench.feed(0.0, json!({"x": 1, "team": "web", "service": "shop"}));
    let expected =
        ["notify('web-oncall')", "scale('shop', '+1')", "keep_logs(5m)", "send_pagerduty('K')"];
    assert_eq!(written(&fired[0].intents), expected);
    assert_eq!(written(&bench.tick(400.0)[0].intents), expected);
    let fired = bench.feed(500.0, json!({"x": 1, "team": "web"}));
    assert_eq!(written(&fired[0].intents)[1], "scale('<missing:service>', '+1')");
    assert_eq!(
        written(&bench.rules.rules().next().unwrap().intents)[0],
        "notify('{{team}}-oncall')"
    );
}

#[test]
fn a_host_adds_functions() {
    let double = FunctionSpec::new("double", ValueKind::Number, |arguments| match arguments {
        [Value::Int(number)] => number.checked_mul(2).map(Value::Int),
        _ => None,
    });
    let join = FunctionSpec::new("join", ValueKind::Text, |arguments| match arguments {
        [Value::Str(a), Value::Str(b)] => Some(Value::from(format!("{a}/{b}"))),
        _ => None,
    });
    let join = join.argument(ValueKind::Text).argument(ValueKind::Text).costs(90);
    let compiler = Compiler::new().function(double.argument(ValueKind::Number)).function(join);
    let compile = |when: &str| {
        let rule = json!({"name": "r", "when": when, "then": "notify()"}).to_string();
        compiler.compile(&[SourceText::json("r.json", rule)])
    };
    let verdict = |when: &str| {
        let record = json!({"x": 4, "a": "p", "b": "q", "tags": ["p", "z"]});
        let rules = Arc::new(compile(when).unwrap());
        let verdict = rules.explain("r", &record).unwrap().verdict;
        let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
        assert_eq!(hits.len() == 1, verdict == Truth::True, "{when}");
        verdict
    };
    assert_eq!(verdict("double(x) == 8 && join(a, b) == 'p/q'"), Truth::True);
    assert_eq!(verdict("double(double(x)) > 16"), Truth::False);
    assert_eq!(verdict("double(missing) > 1"), Truth::Unknown);
    assert_eq!(verdict("join(a, missing) != 'x'"), Truth::Unknown);
    assert_eq!(verdict("double(a) > 1"), Truth::Unknown);
    assert_eq!(verdict("any(join(tags[*], b) == 'z/q')"), Truth::True);
    assert_eq!(compile("join(a, b) == 'x'").unwrap().rules().next().unwrap().cost, 93);
    for (wrong, code) in [
        ("double('a') > 1", "E0307"),
        ("double(x, x) > 1", "E0307"),
        ("join(a) == 'x'", "E0307"),
        ("double(x) == 'a'", "E0302"),
        ("duble(x) > 1", "E0306"),
    ] {
        let wrong = compile(wrong).unwrap_err();
        assert_eq!(wrong.iter().map(|one| one.code).collect::<Vec<_>>(), [code], "{wrong}");
    }
    assert!(compile("duble(x) > 1").unwrap_err().to_string().contains("did you mean `double`?"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A name in the place of what it stands for changes no verdict.
    #[test]
    fn names_change_nothing(a in condition(), b in condition(), records in prop::collection::vec(record(), 4)) {
        let named = json!({
            "macros": {"one": a}, "rules": [
                {"name": "r", "let": {"two": b, "both": "one && two"}, "when": "both || !one", "then": "notify()"},
            ],
        });
        let plain = format!("(({a}) && ({b})) || !({a})");
        let plain = json!({"name": "r", "when": plain, "then": "notify()"});
        let named = RuleSet::compile(&[SourceText::json("r.json", named.to_string())]);
        let plain = RuleSet::compile(&[SourceText::json("r.json", plain.to_string())]);
        prop_assert_eq!(named.is_ok(), plain.is_ok());
        let (Ok(named), Ok(plain)) = (named.map(Arc::new), plain.map(Arc::new)) else { return Ok(()) };
        for record in &records {
            let expected = plain.explain("r", record).unwrap().verdict;
            prop_assert_eq!(named.explain("r", record).unwrap().verdict, expected, "{}", record);
            let hits = named.matches([Event::new(record, UNIX_EPOCH)], &mut Scratch::new());
            prop_assert_eq!(hits.len() == 1, expected == Truth::True, "{}", record);
        }
    }
}

/// A function of the host's own may be called like anything in the language that is no function.
#[test]
fn a_function_is_not_taken_for_an_operator_of_its_name() {
    let negate = FunctionSpec::new("negate", ValueKind::Number, |_| Some(Value::Int(0)));
    let compiler = Compiler::new().function(negate.argument(ValueKind::Number));
    let rules = json!([
        {"name": "operator", "when": "-x > 5", "then": "notify()"},
        {"name": "function", "when": "negate(x) > 5", "then": "notify()"},
    ]);
    let rules = compiler.compile(&[SourceText::json("r.json", rules.to_string())]).unwrap();
    let found = hits(&Arc::new(rules), &[(0.0, json!({"x": -9}))]);
    assert_eq!(found.rule_names().collect::<Vec<_>>(), ["operator"]);
}

/// What is told of a record grows neither with its size nor with how often a condition asks for it.
#[test]
fn an_explanation_keeps_the_beginning_of_each_value() {
    let many = (0..500).map(|n| format!("text contains 'zz{n}'")).collect::<Vec<_>>().join(" || ");
    let rule = json!({"name": "r", "when": many, "then": "notify()"}).to_string();
    let rules = RuleSet::from_json("r.json", &rule).unwrap();
    let why = rules.explain("r", &json!({"text": "x".repeat(1 << 20)})).unwrap();
    assert!(serde_json::to_string(&why).unwrap().len() < 2 << 20);
    assert_eq!(why.terms[0].parts.len(), 500);
}
