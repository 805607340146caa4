//! What a user gets wrong: each is an exit code 2 that names the place and the remedy, never a crash.

use std::net::TcpListener;
use std::process::Output;

use crate::support::{Site, birl};

const GOOD: &str = "listen: 127.0.0.1:0\nsources: [{file: app.log, parse: json}]\nrules: [rules.yaml]\n\
                    route: {receiver: team}\nreceivers: [{name: team, stdout_configs: [{}]}]\n";
const RULE: &str = "rules:\n  - name: hot\n    when: cpu > 90\n    then: notify('team')\n";

#[track_caller]
fn refused(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
}

fn run(config: &str, rules: &str) -> Output {
    let site = Site::new(config);
    site.write("rules.yaml", rules);
    site.run_to_end()
}

#[test]
fn an_unknown_key_is_pointed_at_with_a_suggestion() {
    let config = GOOD.replace("receivers:", "recievers:");
    refused(
        &run(&config, RULE),
        &["birl.yaml:5:1", "unknown key `recievers`", "did you mean `receivers`?", "^^^"],
    );
}

#[test]
fn an_unknown_key_deep_inside_is_pointed_at_too() {
    let config = GOOD.replace("parse: json", "prase: json");
    refused(&run(&config, RULE), &["birl.yaml:2:", "unknown key `prase`", "did you mean `parse`?"]);
}

#[test]
fn a_missing_key_is_named() {
    refused(&run("listen: 127.0.0.1:0\n", RULE), &["`sources` is missing"]);
}

#[test]
fn a_bad_duration_shows_how_to_write_one() {
    refused(
        &run(&format!("tick: fast\n{GOOD}"), RULE),
        &["birl.yaml:1:", "`fast` is no duration", "15s"],
    );
}

#[test]
fn a_tick_that_cannot_be_shows_what_can() {
    for tick in ["0s", "2h"] {
        let output = run(&format!("tick: {tick}\n{GOOD}"), RULE);
        refused(&output, &["a tick every", "from 10ms to an hour", "15 s is customary"]);
    }
}

#[test]
fn framing_that_cannot_be_names_the_key_and_what_it_can_be() {
    let framed = |words: &str| {
        let config = GOOD.replace("parse: json", &format!("parse: json, framing: {{{words}}}"));
        run(&config, RULE)
    };
    refused(&framed("encoding: utf16"), &["app.log`: `encoding`", "utf-16le"]);
    refused(&framed("max_line_bytes: 0"), &["1 byte to 256 MiB"]);
    refused(&framed("containers: maybe"), &["`containers`", "true or false"]);
    refused(&framed("multi_line: java"), &["`multi_line`", "multiline, multiline_start"]);
}

#[test]
fn a_rule_syntax_error_shows_the_line_and_a_caret() {
    let rules = RULE.replace("cpu > 90", "cpu > > 90");
    refused(&run(GOOD, &rules), &["rules.yaml:3:", "cpu > > 90", "^"]);
}

#[test]
fn a_type_error_in_a_rule_shows_the_place() {
    let rules = RULE.replace("cpu > 90", "cpu > true");
    refused(&run(GOOD, &rules), &["rules.yaml:3:", "^", "bool"]);
}

#[test]
fn every_error_of_every_rule_file_is_shown_at_once() {
    let rules = format!(
        "{}  - name: b\n    when: x =~ '('\n    then: notfy('team')\n",
        RULE.replace("cpu > 90", "cpu >")
    );
    refused(&run(GOOD, &rules), &["rules.yaml:3:", "rules.yaml:6:", "rules.yaml:7:", "notify"]);
}

#[test]
fn a_receiver_that_nobody_configured_is_an_error_at_the_start() {
    let rules = RULE.replace("'team'", "'taem'");
    refused(&run(GOOD, &rules), &["taem", "did you mean `team`?"]);
}

#[test]
fn a_scaler_that_nobody_configured_is_an_error_at_the_start() {
    let rules = RULE.replace("notify('team')", "scale('api', '+2')");
    refused(&run(GOOD, &rules), &["api", "scalers"]);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&GOOD.replace("127.0.0.1:0", &address), RULE);
    refused(&output, &["cannot listen", &address, "choose another"]);
}

#[test]
fn an_unwritable_state_directory_is_named() {
    refused(&run(&format!("state_dir: /proc/birl\n{GOOD}"), RULE), &["/proc/birl", "state_dir"]);
}

#[test]
fn a_missing_or_wrong_file_is_named() {
    let nothing = birl().args(["run", "-c", "/nonexistent/birl.yaml"]).output().unwrap();
    refused(&nothing, &["/nonexistent/birl.yaml"]);
    refused(&birl().args(["run", "-c", "/"]).output().unwrap(), &["is a directory"]);
    refused(&run(&GOOD.replace("rules.yaml", "nowhere.yaml"), RULE), &["nowhere.yaml"]);
}

#[test]
fn acting_without_something_to_act_on_is_an_error() {
    let config = format!(
        "mode: act\n{GOOD}scalers: [{{spec: {{targetRef: {{name: api}}, minReplicas: 1, maxReplicas: 2}}}}]\n"
    );
    refused(&run(&config, RULE), &["nothing to act on", "`processes`, `command`, `kubernetes`"]);
}

#[test]
fn a_target_that_cannot_be_is_pointed_at() {
    let scaler =
        "scalers:\n  - spec: {targetRef: {name: api}, minReplicas: 1, maxReplicas: 2}\n    ";
    let with = |target: &str| {
        // Found without acting, and without running anything.
        let site = Site::new(&format!("{GOOD}{scaler}{target}\n"));
        site.write("rules.yaml", RULE);
        birl().args(["run", "--check", "-c"]).arg(site.path("birl.yaml")).output().unwrap()
    };
    for (command, parts) in [
        ("{scale: []}", ["nobody knows how many there are", "`count: [PROGRAM, ARGUMENT]`"]),
        ("{scale: [], initial: 1}", ["the command is empty", "name a program"]),
        ("{scale: [x, '{replicas}'], count: ['']}", ["counts has an empty name", "`api`"]),
        ("{scale: [x], initial: 1}", ["no argument has `{replicas}`", "BIRL_REPLICAS"]),
        (
            "{scale: [x, '{replicas}'], initial: 1, count: [y]}",
            ["`command.initial` has no effect", "keep one"],
        ),
        (
            "{scale: [x], count: [y], desired: /a}",
            ["`command.desired` and `command.ready` go together", "/spec/replicas"],
        ),
        (
            "{scale: [x], count: [y], desired: a, ready: /b}",
            ["the pointer `a` does not begin with `/`", "/spec/replicas"],
        ),
        ("{scale: [x], count: [y], deadline: 0s}", ["deadline is 0", "at least a second"]),
        ("{scale: [x], cuont: [y]}", ["unknown key `cuont`", "did you mean `count`?"]),
    ] {
        let output = with(&format!("command: {command}"));
        refused(&output, &parts);
        refused(&output, &["birl.yaml:8:"]);
    }
    refused(
        &with("command: {scale: [x], count: [y]}\n    processes: {command: [z]}"),
        &["birl.yaml:7:", "several things to act on", "keep one of"],
    );
    refused(&with("processes: {command: []}"), &["birl.yaml:8:", "name a program"]);
    let kubernetes = with("kubernetes: {namespace: The Shop}");
    if cfg!(feature = "kube") {
        refused(&kubernetes, &["birl.yaml:8:", "namespace `The Shop`", "lower-case letters"]);
    } else {
        refused(&kubernetes, &["birl.yaml:8:", "built without it", "`--features kube`"]);
    }
}

#[test]
fn a_decision_log_that_cannot_be_is_pointed_at() {
    let with = |etcd: &str| run(&format!("{GOOD}decision_log:\n  etcd: {etcd}\n"), RULE);
    if cfg!(feature = "etcd") {
        refused(&with("{endpoints: []}"), &["birl.yaml:7:", "`etcd.endpoints` is empty", "2379"]);
        refused(
            &with("{endpoints: ['http://127.0.0.1:1'], user: me}"),
            &["birl.yaml:7:", "`etcd.user` and `etcd.password_file` go together"],
        );
        refused(&with("{endpoint: []}"), &["unknown key `endpoint`", "`endpoints`"]);
    } else {
        let output = with("{endpoints: ['http://127.0.0.1:2379']}");
        refused(&output, &["birl.yaml:7:", "built without it", "`--features etcd`"]);
    }
}

#[test]
fn a_signal_that_nothing_feeds_is_an_error() {
    let scaler = "scalers:\n  - spec: {targetRef: {name: api}, minReplicas: 1, maxReplicas: 2, metrics: [{name: cpu, averageUtilization: 60}]}\n";
    let with = |line: &str| run(&format!("{GOOD}{scaler}    {line}\n"), RULE);
    refused(
        &with("signals: [{metric: cpu, field: cpu, source: app.lgo}]"),
        &["app.lgo", "did you mean"],
    );
    refused(&with("signals: [{metric: cpuu, field: cpu}]"), &["cpuu", "did you mean `cpu`?"]);
    refused(&with("verify: {source: app.lgo}"), &["app.lgo", "did you mean"]);
    refused(&with("signals: [{metric: cpu}]"), &["names nothing to read", "`prometheus`"]);
    refused(
        &with("signals: [{metric: cpu, field: cpu, disk: {}}]"),
        &["names several things to read", "keep one of"],
    );
    refused(
        &with("signals: [{metric: cpu, statsd: {name: x, statistic: value}}]"),
        &["nobody who listens", "add `statsd: {listen:"],
    );
    refused(
        &with("signals: [{metric: cpu, spans: {measure: retry_ratio}}]"),
        &["nobody who listens", "add `otlp: {listen:"],
    );
    refused(&with("signals: [{metric: cpu, disk: {in_flght: true}}]"), &["in_flght", "in_flight"]);
}

#[test]
fn a_proof_that_cannot_be_is_an_error() {
    let scaler = "scalers:\n  - spec: {targetRef: {name: api}, minReplicas: 1, maxReplicas: 2}\n";
    let with = |verify: &str| {
        let site = Site::new(&format!("{GOOD}{scaler}    verify: {{{verify}}}\n"));
        site.write("rules.yaml", RULE);
        birl().args(["run", "--check", "-c"]).arg(site.path("birl.yaml")).output().unwrap()
    };
    for (verify, parts) in [
        ("legs: {alert: 1m}", ["`verify.legs.alert` is 60s", "`verify.within` longer"]),
        ("legs: {alrt: 1s}", ["alrt", "alert"]),
        ("legs: {alert: soon}", ["`soon` is no duration", "15s"]),
        ("legs: {text: 5s}", ["`verify.legs.text` has no effect", "add `text:"]),
        ("text: ''", ["`verify.text` is empty", "scaled to {replicas}"]),
        ("within: 5s", ["no scale-in can be proven within 5s", "`verify.quiet` shorter"]),
    ] {
        refused(&with(verify), &parts);
    }
    let good =
        with("within: 20s, legs: {alert: 5s, text: 9s}, text: 'scaled to {replicas}', quiet: 2s");
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
}

#[test]
fn the_check_flag_says_that_a_good_configuration_is_good() {
    let site = Site::new(GOOD);
    site.write("rules.yaml", RULE);
    let output =
        birl().args(["run", "--check", "-c"]).arg(site.path("birl.yaml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!site.path("birl-state").exists(), "checking leaves nothing behind");
}

#[test]
fn tail_refuses_what_it_cannot_read() {
    refused(
        &birl().args(["tail", "nonsense"]).output().unwrap(),
        &["nonsense", "./nonsense", "PATH"],
    );
    refused(&birl().args(["tail", "--parse", "jsn", "-"]).output().unwrap(), &["jsn", "json"]);
    refused(&birl().args(["tail", "--regex", "(", "-"]).output().unwrap(), &["regex"]);
}

#[test]
fn the_configuration_in_the_readme_is_good() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks: Vec<&str> =
        readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let site =
        Site::new(&blocks[0].replace("/var/lib/birl", "state").replace("/var/log/shop", "logs"));
    for folder in ["rules", "logs"] {
        std::fs::create_dir(site.path(folder)).unwrap();
    }
    site.write("rules/shop.yaml", blocks[1]);
    let output =
        birl().args(["run", "--check", "-c"]).arg(site.path("birl.yaml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
