//! Real small processes, started, drained, crashed and killed.

use std::path::Path;
use std::time::Duration;

use birl_scaler::{
    ErrorKind, LocalProcesses, LocalProcessesBuilder, Output, Ready, Replicas, ScaleTarget,
};
use tempfile::tempdir;
use tokio::time::{Instant, sleep};

use crate::support::{at, decision};

/// Workers that run `script` in a shell.
fn shell(script: &str) -> LocalProcessesBuilder {
    LocalProcesses::builder("workers", "sh")
        .args(["-c", script])
        .drain_timeout(Duration::from_secs(5))
        .ready_timeout(Duration::from_secs(10))
        .restart_backoff(Duration::from_millis(10), Duration::from_secs(1))
        .stderr(Output::Null)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs; one that has ended and was not reaped does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn scales_out_and_in_and_tells_the_log() {
    let dir = tempdir().unwrap();
    let log = dir.path().join("app.log");
    let workers =
        shell("echo \"$BIRL_INSTANCE {instance} {index} {port} $BIRL_PORT\"; exec sleep 60")
            .ports_from(9001)
            .stdout_to(&log)
            .log_file(&log)
            .ready_when(Ready::FileLine {
                path: log.clone(),
                contains: "{instance} {index}".into(),
            })
            .build()
            .unwrap();
    assert_eq!(workers.replicas().await.unwrap(), Replicas::ready(0));

    workers.scale_to(3, &decision("workers", 1, 3, at(0))).await.unwrap();
    assert_eq!(workers.replicas().await.unwrap(), Replicas::ready(3));
    let names: Vec<_> = workers.instances().iter().map(|i| i.name.to_string()).collect();
    assert_eq!(names, ["worker-1", "worker-2", "worker-3"]);
    let text = read(&log);
    for worker in 1..=3 {
        let port = 9000 + worker;
        assert!(
            text.contains(&format!("worker-{worker} worker-{worker} {worker} {port} {port}\n"))
        );
    }
    let line = text.lines().find(|line| line.contains("scaled to 3")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["replicas"], 3);
    assert_eq!(line["target"], "workers");
    assert_eq!(line["logger"], "birl");
    assert_eq!(line["instances"], serde_json::json!(["worker-1", "worker-2", "worker-3"]));
    assert!(line["ts"].as_str().unwrap().ends_with('Z'));

    let before = workers.pids();
    workers.scale_to(1, &decision("workers", 3, 1, at(0))).await.unwrap();
    assert_eq!(workers.pids(), before[..1], "the newest go first");
    assert!(!runs(before[1].1) && !runs(before[2].1));
    assert!(read(&log).contains("scaled to 1"));

    workers.start(1).await.unwrap();
    assert_eq!(read(&log).matches("scaled to 1").count(), 1, "nothing new, nothing told");
    workers.start(2).await.unwrap();
    assert_eq!(workers.pids()[1].0, "worker-2", "names are used again, the lowest first");

    workers.shutdown().await.unwrap();
    assert!(!runs(before[0].1));
    assert_eq!(workers.start(1).await.unwrap_err().kind(), ErrorKind::Closed);
}
