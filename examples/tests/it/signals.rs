//! Signals from outside the log: `birl run` decides by them, and a failing one changes nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};

use crate::support::Site;

/// A scaler of sleeping workers with these signals for `orders`, whose target is 10.
fn site(head: &str, signal: &str) -> Site {
    let site = Site::new(&format!(
        r#"
mode: act
listen: 127.0.0.1:0
tick: 200ms
sources: [{{id: app, file: app.log}}]
{head}
scalers:
  - spec:
      targetRef: {{name: api}}
      minReplicas: 1
      maxReplicas: 5
      metrics: [{{name: orders, target: 10}}]
      coolDown: {{scaleUp: 0s, scaleDown: 0s}}
    processes: {{command: [sleep, "600"]}}
    signals: [{signal}]
"#
    ));
    site.write("app.log", "");
    site
}

#[test]
fn what_services_report_over_statsd_scales() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let site = site(
        &format!("statsd: {{listen: [\"127.0.0.1:{port}\"]}}"),
        "{metric: orders, statsd: {name: shop.open, statistic: value}}",
    );
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    // Nobody has said anything: that is Unknown, and no reason to do anything.
    birl.wait_for_log("a signal cannot be read");
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"shop.open:30|g", ("127.0.0.1", port)).unwrap();
    birl.wait_for_log("a signal can be read again");
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 3.0);
    let of_orders = |name| birl.metric(&[name, "{signal=\"orders\",target=\"api\"}"]);
    assert_eq!(of_orders("birl_scaler_signal_healthy"), Some(1.0));
    assert!(of_orders("birl_scaler_signal_age_seconds").is_some_and(|age| age < 30.0));
    birl.wait_for_metric(&["birl_scaler_signal_reads_total", "\"ok\"", "\"api\""], 1.0);
    // What nobody watches, and what is no line, is counted too.
    sender.send_to(b"shop.other:1|c\nnonsense", ("127.0.0.1", port)).unwrap();
    for (outcome, least) in [("taken", 1.0), ("unwatched", 1.0), ("no_value", 1.0)] {
        let outcome = format!("outcome=\"{outcome}\"");
        birl.wait_for_metric(&["birl_scaler_statsd_lines_total", &outcome], least);
    }
    assert_eq!(birl.stop(), Some(0));
}

#[test]
fn a_prometheus_that_answers_scales_and_one_that_fails_does_not() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    // Two replicas' worth at first; then it is out of order.
    std::thread::spawn(move || {
        for (number, connection) in server.incoming().enumerate() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let vector = format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{},"20"]}}]}}}}"#,
                now.as_secs_f64()
            );
            let (status, body) =
                if number < 3 { ("200 OK", vector) } else { ("503 Gone", String::new()) };
            let _ = write!(
                connection,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let site = site(
        "",
        &format!("{{metric: orders, prometheus: {{url: \"{url}\", query: orders}}, max_age: 1s}}"),
    );
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 2.0);
    birl.wait_for_log("a signal cannot be read");
    birl.wait_for_log("refused");
    assert_eq!(birl.metric(&["autoscaler_scale_actions_total", "scale_down"]), None);
    assert_eq!(birl.stop(), Some(0));
}
