//! Targets that live without birl: `birl run` asks them how large they are, and tells them.

use crate::support::{Running, Site, told, wait, webhook};

/// A target that is a file with its size in it.
const FILE: &str = "{scale: [sh, -c, 'echo \"$1\" > SIZE', sh, '{replicas}'], count: [cat, SIZE]}";

/// Asks for one more with each new incident, SIZE in `command` is a file with a size in it.
fn site(mode: &str, command: &str, url: &str) -> Site {
    let site = Site::new("");
    let command = command.replace("SIZE", site.path("size").to_str().unwrap());
    let config = format!(
        r#"
mode: {mode}
listen: 127.0.0.1:0
tick: 100ms
sources: [{{id: app, file: app.log, parse: json}}]
rules: [rules.yaml]
route: {{receiver: team}}
receivers: [{{name: team, webhook_configs: [{{url: "{url}"}}]}}]
scalers:
  - spec: {{targetRef: {{name: api}}, minReplicas: 1, maxReplicas: 9}}
    command: {command}
    verify: {{alert: false}}
"#
    );
    site.write("birl.yaml", &config);
    site.write(
        "rules.yaml",
        "rules:\n  - name: errors\n    when: level == 'error'\n    by: [incident]\n    \
         then: [\"notify('team')\", \"scale('api', '+1')\"]\n",
    );
    site.write("app.log", "");
    site.write("size", "2\n");
    site
}

fn incident(site: &Site, name: &str) {
    site.append("app.log", &format!("{{\"level\":\"error\",\"incident\":\"{name}\"}}\n"));
}

fn size(site: &Site) -> String {
    std::fs::read_to_string(site.path("size")).unwrap().trim().to_owned()
}

#[track_caller]
fn wait_for_size(site: &Site, birl: &Running, wanted: &str) {
    wait("a size", || (size(site) == wanted).then_some(()))
        .unwrap_or_else(|_| panic!("{} instead of {wanted}:\n{}", size(site), birl.log()));
}

#[test]
fn a_command_is_run_and_what_others_change_is_seen() {
    let (url, _inbox) = webhook();
    let site = site("act", FILE, &url);
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 2.0);
    incident(&site, "one");
    wait_for_size(&site, &birl, "3");
    birl.wait_for_metric(&["autoscaler_scale_actions_total", "scale_up", "success"], 1.0);
    site.write("size", "5\n");
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 5.0);
    incident(&site, "two");
    wait_for_size(&site, &birl, "6");
    birl.wait_for_metric(&["autoscaler_scale_actions_total", "scale_up", "success"], 2.0);
    assert_eq!(birl.stop(), Some(0));
    assert_eq!(size(&site), "6", "what lives without birl stays");
}

#[test]
fn a_target_that_does_not_say_how_large_it_is_is_left_alone_until_it_does() {
    let (url, _inbox) = webhook();
    let site = site("act", FILE, &url);
    site.write("size", "out of order\n");
    let birl = site.start();
    let log = birl.wait_for_log("does not say how large it is");
    assert!(log.contains("printed `out of order`, which is no count"), "{log}");
    incident(&site, "one");
    birl.wait_for_log("\"fired\"");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(size(&site), "out of order");
    assert_eq!(birl.log().matches("does not say how large it is").count(), 1, "{}", birl.log());
    site.write("size", "4\n");
    wait_for_size(&site, &birl, "5");
    birl.wait_for_log("says how large it is again");
    assert_eq!(birl.stop(), Some(0));
}

#[test]
fn a_count_that_hangs_holds_nobody_up() {
    let (url, inbox) = webhook();
    let site = site("act", "{scale: [echo, '{replicas}'], count: [sleep, '600']}", &url);
    let birl = site.start();
    incident(&site, "one");
    let began = std::time::Instant::now();
    assert_eq!(told(&inbox)["alerts"][0]["labels"]["incident"], "one");
    assert!(began.elapsed().as_secs() < 8, "{:?}: before the count is given up", began.elapsed());
    assert_eq!(birl.stop(), Some(0));
}

#[test]
fn observing_counts_and_does_not_scale() {
    let (url, _inbox) = webhook();
    let site = site("observe", FILE, &url);
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 2.0);
    incident(&site, "one");
    let log = birl.wait_for_log("observe: would scale");
    assert!(log.contains("scale_up api 2 → 3"), "decided from what there is: {log}");
    assert_eq!(birl.stop(), Some(0));
    assert_eq!(size(&site), "2");
}

#[test]
fn without_a_count_the_last_size_is_remembered_over_a_restart() {
    let (url, _inbox) = webhook();
    let command = "{scale: [sh, -c, 'echo \"$1\" > SIZE', sh, '{replicas}'], initial: 3}";
    let site = site("act", command, &url);
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 3.0);
    incident(&site, "one");
    birl.wait_for_metric(&["autoscaler_scale_actions_total", "scale_up", "success"], 1.0);
    assert_eq!(birl.stop(), Some(0));
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 4.0);
    incident(&site, "two");
    wait_for_size(&site, &birl, "5");
    assert_eq!(birl.stop(), Some(0));
}
