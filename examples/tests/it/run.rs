//! `birl run` on live files: what it does, and what it takes care not to do.

use crate::support::{Site, seconds_ago, told, webhook};

const RULES: &str = r#"
rules:
  - name: errors
    when: level == 'error'
    by: [incident]
    then: ["notify('team')", "scale('api', '+1')"]
"#;

/// Workers that say who they are, twice a second, into a log that birl follows.
fn site(head: &str, url: &str) -> Site {
    let site = Site::new(&format!(
        r#"
{head}
listen: 127.0.0.1:0
tick: 200ms
sources:
  - {{id: app, file: app.log, parse: json, timestamp: ts}}
  - {{id: workers, file: workers.log, parse: json, start: beginning}}
rules: [rules.yaml]
route: {{receiver: team}}
receivers: [{{name: team, webhook_configs: [{{url: "{url}"}}]}}]
scalers:
  - spec: {{targetRef: {{name: api}}, minReplicas: 1, maxReplicas: 3}}
    processes:
      command: [sh, -c, 'while :; do echo "{{\"instance\":\"{{instance}}\"}}"; sleep 0.2; done']
      log: workers.log
    verify: {{within: 20s}}
"#
    ));
    site.write("rules.yaml", RULES);
    site.write("app.log", "");
    site
}

fn error_line(incident: &str) -> String {
    format!(
        "{{\"ts\":\"{}\",\"level\":\"error\",\"incident\":\"{incident}\",\"trace_id\":\"4bf92f-{incident}\"}}\n",
        seconds_ago(0)
    )
}

#[test]
fn a_live_file_that_rotates_fires_notifies_scales_and_is_verified() {
    let (url, inbox) = webhook();
    let site = site("mode: act", &url);
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    site.append("app.log", &error_line("one"));
    let first = told(&inbox);
    assert_eq!((&first["version"], &first["status"]), (&"4".into(), &"firing".into()));
    assert_eq!(first["alerts"][0]["labels"]["alertname"], "errors");
    assert_eq!(first["alerts"][0]["labels"]["incident"], "one");
    birl.wait_for_metric(&["autoscaler_verifications_total", "verified"], 1.0);
    let log = birl.wait_for_log("\"scale action\"");
    let action = log.lines().find(|line| line.contains("\"scale action\"")).unwrap();
    assert!(action.contains(r#""trace_id":"4bf92f-one""#), "{action}");

    // The rest of the old file still counts, and then the new one.
    std::fs::rename(site.path("app.log"), site.path("app.log.1")).unwrap();
    site.append("app.log.1", &error_line("two"));
    site.append("app.log", &error_line("three"));
    let mut later = [told(&inbox), told(&inbox)]
        .map(|body| body["alerts"][0]["labels"]["incident"].to_string());
    later.sort();
    assert_eq!(later, ["\"three\"", "\"two\""]);

    birl.wait_for_metric(&["autoscaler_scale_actions_total", "scale_up", "success"], 2.0);
    for part in [
        "birl_logsource_lines_total",
        "birl_rules_firings_total",
        "birl_router_notifications_total",
    ] {
        birl.wait_for_metric(&[part], 1.0);
    }
    let metrics = birl.get("/metrics");
    let actions =
        metrics.lines().find(|line| line.starts_with("autoscaler_scale_actions_total")).unwrap();
    assert!(
        ["action=", "reason=", "status="].iter().all(|label| actions.contains(label)),
        "{actions}"
    );
    assert_eq!(birl.stop(), Some(0));
}

/// Also where nobody is to be told: birl's own log and its counters say it.
#[test]
fn a_brake_that_holds_is_said_without_any_route() {
    let site = Site::new(
        "mode: act\nlisten: 127.0.0.1:0\ntick: 200ms\nsources: [{id: app, file: app.log, parse: json}]\n\
         rules: [rules.yaml]\nscalers:\n  - spec: {targetRef: {name: api}, minReplicas: 1, \
         maxReplicas: 3, brake: {maxActionsPerHour: 1}}\n    processes: {command: [sleep, '600']}\n",
    );
    site.write("rules.yaml", &RULES.replace("\"notify('team')\", ", ""));
    site.write("app.log", "");
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    site.append("app.log", &error_line("one"));
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 2.0);
    site.append("app.log", &error_line("two"));
    let log = birl.wait_for_log("there is no `route`");
    let line = log.lines().find(|line| line.contains("there is no `route`")).unwrap();
    for part in ["WARN", "ScalingBraked", "brake, 1 change"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    birl.wait_for_metric(&["autoscaler_holds_total", "\"brake\""], 1.0);
    site.append("app.log", &error_line("three"));
    birl.wait_for_metric(&["autoscaler_holds_total", "\"brake\""], 2.0);
    assert_eq!(birl.log().matches("ScalingBraked").count(), 1, "said once");
    assert_eq!(birl.stop(), Some(0));
}

/// The brake that all scalers share, and its kill switch.
#[test]
fn a_shared_brake_holds_all_scalers_together() {
    for (brake, size) in
        [("{max_actions_per_hour: 1}", 2.0), ("{max_actions_per_hour: 9, kill_switch: true}", 1.0)]
    {
        let scaler = |name| {
            format!(
                "  - spec: {{targetRef: {{name: {name}}}, minReplicas: 1, maxReplicas: 3}}\n    \
                 processes: {{command: [sleep, '600']}}\n"
            )
        };
        let site = Site::new(&format!(
            "mode: act\nlisten: 127.0.0.1:0\ntick: 200ms\nsources: [{{id: app, file: app.log, parse: json}}]\n\
             rules: [rules.yaml]\nbrake: {brake}\nscalers:\n{}{}",
            scaler("api"),
            scaler("web"),
        ));
        site.write("rules.yaml", &RULES.replace("\"notify('team')\", ", ""));
        site.write("app.log", "");
        let birl = site.start();
        birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
        site.append("app.log", &error_line("one"));
        birl.wait_for_metric(&["autoscaler_replicas", "api"], size);
        site.append("app.log", &error_line("two"));
        let reason = if size > 1.0 { "\"brake\"" } else { "\"kill_switch\"" };
        birl.wait_for_metric(&["autoscaler_holds_total", reason], 1.0);
        assert_eq!(birl.stop(), Some(0));
    }
}

/// Whoever can write the log can make readings up, of workers that there are not.
#[test]
fn readings_of_workers_that_birl_does_not_run_do_not_count() {
    let site = Site::new(
        r#"
mode: act
listen: 127.0.0.1:0
tick: 100ms
sources: [{id: workers, file: workers.log, parse: json, start: beginning}]
scalers:
  - spec:
      targetRef: {name: api}
      minReplicas: 1
      maxReplicas: 3
      metrics: [{name: load, target: 10}]
      coolDown: {scaleUp: 0s, scaleDown: 0s}
    processes:
      command: [sh, -c, 'while :; do echo "{\"instance\":\"{instance}\",\"load\":10}"; sleep 0.1; done']
      log: workers.log
    signals: [{metric: load, field: load}]
    verify: {alert: false}
"#,
    );
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_holds_total", "steady"], 1.0);
    let before = birl.metric(&["autoscaler_holds_total", "steady"]).unwrap();
    site.append("workers.log", "{\"instance\":\"worker-9\",\"load\":1000}\n");
    birl.wait_for_metric(&["autoscaler_holds_total", "steady"], before + 10.0);
    assert_eq!(birl.metric(&["autoscaler_scale_actions_total"]), None, "{}", birl.log());
    assert_eq!(birl.stop(), Some(0));
}

#[test]
fn without_mode_act_nobody_is_told_and_nothing_is_scaled() {
    let (url, inbox) = webhook();
    let site = site("", &url);
    let birl = site.start();
    birl.wait_for_log("`mode: act` changes that");
    site.append("app.log", &error_line("one"));
    birl.wait_for_log("observe: would notify");
    birl.wait_for_log("observe: would scale");
    birl.wait_for_metric(&["birl_observed_total", "notify"], 1.0);
    assert_eq!(birl.metric(&["autoscaler_scale_actions_total"]), None);
    assert!(inbox.try_recv().is_err());
    assert_eq!(birl.stop(), Some(0));
}

#[test]
fn a_line_from_yesterday_is_counted_and_withheld() {
    let (url, inbox) = webhook();
    let site = site("mode: act", &url);
    let birl = site.start();
    let yesterday = seconds_ago(24 * 3600);
    site.append(
        "app.log",
        &format!("{{\"ts\":\"{yesterday}\",\"level\":\"error\",\"incident\":\"old\"}}\n"),
    );
    birl.wait_for_log("withheld");
    birl.wait_for_metric(&["birl_rules_withheld_total", "errors"], 1.0);
    // A fresh line of the same kind acts: the old one has not used the alert up.
    site.append("app.log", &error_line("old"));
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "old");
    assert!(inbox.try_recv().is_err());
}

#[test]
fn a_first_start_on_a_log_full_of_errors_begins_at_its_end() {
    let (url, inbox) = webhook();
    let site = site("mode: act", &url);
    let old: String = (0..1000).map(|n| error_line(&n.to_string())).collect();
    site.write("app.log", &old);
    let birl = site.start();
    birl.wait_for_log("the end of what exists");
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    site.append("app.log", &error_line("new"));
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "new");
    assert!(inbox.try_recv().is_err());
    assert_eq!(birl.metric(&["birl_logsource_lines_total", "source=\"app\""]), Some(1.0));
}

#[test]
fn a_restart_goes_on_where_it_stopped_and_tells_nothing_twice() {
    let (url, inbox) = webhook();
    let site = site("mode: act", &url);
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    site.append("app.log", &error_line("before"));
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "before");
    birl.wait_for_metric(&["autoscaler_verifications_total", "verified"], 1.0);
    assert_eq!(birl.stop(), Some(0));
    site.append("app.log", &error_line("meanwhile"));
    let birl = site.start();
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "meanwhile");
    assert!(inbox.try_recv().is_err());
    assert_eq!(birl.stop(), Some(0));
}

#[test]
fn a_dry_run_takes_nothing_from_the_real_one_and_may_run_beside_it() {
    let (url, inbox) = webhook();
    let site = site("mode: act", &url);
    assert_eq!(site.start().stop(), Some(0));
    site.append("app.log", &error_line("between"));
    let dry = site.start_with(&["--dry-run"]);
    site.append("app.log", &error_line("seen by both"));
    dry.wait_for_log("observe: would notify");
    let birl = site.start();
    let mut told = [told(&inbox), told(&inbox)]
        .map(|body| body["alerts"][0]["labels"]["incident"].to_string());
    told.sort();
    assert_eq!(told, ["\"between\"", "\"seen by both\""]);
    assert_eq!((dry.stop(), birl.stop()), (Some(0), Some(0)));
}

#[test]
fn two_do_not_share_a_state_directory() {
    let site = Site::new("listen: 127.0.0.1:0\nsources: [{file: app.log}]\n");
    let birl = site.start();
    let second = site.run_to_end();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains("another birl uses the state directory"), "{said}");
    assert_eq!(birl.stop(), Some(0));
}

#[test]
fn a_missing_file_is_waited_for_and_health_says_so() {
    let (url, inbox) = webhook();
    let site = site("mode: act", &url);
    std::fs::remove_file(site.path("app.log")).unwrap();
    let birl = site.start();
    let health = birl.get("/healthz");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(health.contains("waiting") && health.contains("app.log"), "{health}");
    site.append("app.log", &error_line("first"));
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "first");
}

#[test]
fn an_edited_rule_is_live_within_a_second_and_a_broken_edit_keeps_the_old_ones() {
    let (url, inbox) = webhook();
    let site = site("mode: act", &url);
    let birl = site.start();
    site.write("rules.yaml", &RULES.replace("'error'", "'fatal'"));
    birl.wait_for_log("rules reloaded");
    site.append("app.log", &error_line("not any more"));
    site.append("app.log", &error_line("fatal").replace("\"error\"", "\"fatal\""));
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "fatal");
    site.write("rules.yaml", &RULES.replace("level ==", "level = ="));
    let log = birl.wait_for_log("the old ones stay");
    assert!(log.contains("rules.yaml:4:"), "{log}");
    site.append("app.log", &error_line("still").replace("\"error\"", "\"fatal\""));
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "still");
}

#[test]
fn birls_own_output_does_not_feed_its_rules() {
    let (url, inbox) = webhook();
    let site = site("mode: act", &url);
    let birl = site.start();
    let own = error_line("own").replace("{\"ts\"", "{\"target\":\"birl::compose\",\"ts\"");
    site.append("app.log", &own);
    site.append("app.log", &error_line("foreign"));
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "foreign");
    birl.wait_for_metric(&["birl_own_output_skipped_total"], 1.0);
    assert!(inbox.try_recv().is_err());
}

#[test]
fn a_source_that_fails_for_good_is_told_by_the_exit_code() {
    let site = Site::new("sources: [{id: feed, command: [sh, -c, 'echo one; exit 3']}]\n");
    let output = site.run_to_end();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("source `feed`") && said.contains('3'), "{said}");
}

#[test]
fn a_source_that_ends_well_ends_birl_well() {
    let site = Site::new("sources: [{id: feed, command: [echo, done]}]\n");
    assert_eq!(site.run_to_end().status.code(), Some(0));
}

#[test]
fn workers_that_a_killed_birl_left_are_ended_by_the_next_one() {
    let (url, _inbox) = webhook();
    let site = site("mode: act", &url);
    let mut birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    let left: Vec<i32> = pids_in(&site.path("birl-state/api.pids"));
    assert!(!left.is_empty() && left.iter().all(|pid| is_running(*pid)));
    birl.kill();
    assert!(left.iter().all(|pid| is_running(*pid)), "nobody could have ended them");
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    assert!(!left.iter().any(|pid| is_running(*pid)), "they are ended before others begin");
    assert_eq!(birl.stop(), Some(0));
}

/// The process ids in a pid file: the first number of each line that describes a process.
fn pids_in(path: &std::path::Path) -> Vec<i32> {
    let text = std::fs::read_to_string(path).unwrap();
    let first = |line: &str| line.split_whitespace().next().and_then(|word| word.parse().ok());
    text.lines().filter_map(first).collect()
}

fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name in parentheses; a zombie has ended.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// What the decider remembers is in its log: a restart does not do again what was done.
#[test]
fn decisions_are_kept_and_a_restart_goes_on_from_them() {
    let (url, inbox) = webhook();
    let site = site("mode: act\nstate_dir: state", &url);
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    site.append("app.log", &error_line("one"));
    told(&inbox);
    birl.wait_for_metric(&["autoscaler_verifications_total", "verified"], 1.0);
    birl.stop();
    let replay = || {
        let mut birl = crate::support::birl();
        let output = birl
            .args(["decide", "-o", "text", "--replay"])
            .arg(site.path("state/decisions"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = replay();
    assert!(first.ends_with(" the same, 0 otherwise, 0 cannot be told, 0 damaged\n"), "{first}");
    let log =
        || std::fs::read_to_string(site.path("state/decisions/decisions-00000001.jsonl")).unwrap();
    for kind in ["decided", "applied", "verified"] {
        assert!(log().contains(&format!("\"entry\":{{\"kind\":\"{kind}\"")), "{kind}");
    }
    let before = log().lines().count();

    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 2.0);
    let decided = || (log().lines().count() > before + 2).then_some(());
    crate::support::wait("the restarted one to decide", decided).unwrap();
    birl.stop();
    // The first decision after the restart came from what was remembered before it.
    let second = replay();
    assert!(second.ends_with(" the same, 0 otherwise, 0 cannot be told, 0 damaged\n"), "{second}");
}
