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

fn dead_without_a_runtime(pids: &[u32]) {
    for _ in 0..4000 {
        if pids.iter().all(|pid| !runs(*pid)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("some of {pids:?} go on");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_worker_comes_back_under_its_name() {
    let workers = shell("exec sleep 60").build().unwrap();
    workers.start(2).await.unwrap();
    let (name, pid) = workers.pids()[0].clone();
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("it is back", || workers.stats().restarts == 1 && workers.size().ready == 2).await;
    let (same, other) = workers.pids()[0].clone();
    assert_eq!(same, name);
    assert_ne!(other, pid.as_raw_nonzero().get() as u32);
    workers.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_crashes_at_first_gets_ready_in_the_end() {
    let dir = tempdir().unwrap();
    let workers = shell("if [ -e seen ]; then exec sleep 60; else touch seen; exit 3; fi")
        .directory(dir.path())
        .ready_when(Ready::After(Duration::from_millis(100)))
        .build()
        .unwrap();
    workers.start(1).await.unwrap();
    assert_eq!(workers.stats().restarts, 1);
    assert_eq!(workers.size(), Replicas::ready(1));
}

/// A worker that crashes at once is not started as fast as the machine can.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_slows_down() {
    let dir = tempdir().unwrap();
    let starts = dir.path().join("starts");
    let millis = Duration::from_millis;
    let workers = shell("date +%s%N >> starts; exit 1")
        .directory(dir.path())
        .ready_when(Ready::After(Duration::from_secs(5)))
        .ready_timeout(millis(50))
        .restart_backoff(millis(100), Duration::from_secs(20))
        .build()
        .unwrap();
    assert_eq!(workers.start(1).await.unwrap_err().kind(), ErrorKind::Timeout);
    until("it has crashed five times", || read(&starts).lines().count() >= 5).await;
    let times: Vec<u64> = read(&starts).lines().map(|line| line.parse().unwrap()).collect();
    let pauses = times.windows(2).map(|pair| Duration::from_nanos(pair[1] - pair[0]));
    for (pause, least) in pauses.zip([100, 200, 400, 800]) {
        assert!(pause >= millis(least), "{pause:?}, and it should be {least} ms");
    }
    workers.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_does_not_wait_for_workers_to_get_ready() {
    let dir = tempdir().unwrap();
    let log = dir.path().join("app.log");
    let workers = shell("exec sleep 60")
        .ready_when(Ready::After(Duration::from_secs(3600)))
        .ready_timeout(Duration::from_secs(3600))
        .log_file(&log)
        .build()
        .unwrap();
    let (change, shutdown) = tokio::join!(workers.start(2), async {
        until("both have started", || workers.pids().len() == 2).await;
        let pids = workers.pids();
        let shutdown = tokio::time::timeout(Duration::from_secs(30), workers.shutdown()).await;
        assert!(pids.iter().all(|(_, pid)| !runs(*pid)));
        shutdown.expect("it was held up by the change")
    });
    shutdown.unwrap();
    assert_eq!(change.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(workers.size(), Replicas::ready(0));
    assert_eq!(read(&log), "", "a size that was never reached is not told");
}

/// A log that other workers fill faster than one look reads must not hide the line.
#[tokio::test(flavor = "multi_thread")]
async fn the_ready_line_is_found_in_a_busy_log() {
    let dir = tempdir().unwrap();
    let log = dir.path().join("app.log");
    let script = "yes $(printf %01000d 0) | head -n 30000; echo ready; exec sleep 60";
    let workers = shell(script)
        .stdout_to(&log)
        .ready_when(Ready::FileLine { path: log, contains: "ready".into() })
        .ready_timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    workers.start(1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_never_gets_ready_is_named_at_the_deadline() {
    let workers = shell("exit 3")
        .ready_when(Ready::After(Duration::from_secs(60)))
        .ready_timeout(Duration::from_millis(300))
        .drain_timeout(Duration::ZERO)
        .build()
        .unwrap();
    let started = tokio::time::timeout(Duration::from_secs(30), workers.start(2)).await;
    let error = started.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let message = error.to_string();
    for part in ["0 of 2 workers were ready", "worker-1 ended by itself", "exit status: 3"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(workers.size(), Replicas { desired: 2, ready: 0 });
    workers.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_a_worker_finish_and_a_stubborn_one_is_killed() {
    let dir = tempdir().unwrap();
    let finish = "trap 'echo finished >> done; exit 0' TERM; echo up >> up; \
                  while :; do sleep 0.02; done";
    let up = || Ready::FileLine { path: dir.path().join("up"), contains: "up".into() };
    let polite = shell(finish).directory(dir.path()).ready_when(up()).build().unwrap();
    polite.start(1).await.unwrap();
    polite.shutdown().await.unwrap();
    assert_eq!(read(&dir.path().join("done")), "finished\n");
    assert_eq!(polite.stats().killed, 0);

    let stubborn = shell("trap '' TERM; echo up >> up; while :; do sleep 0.02; done")
        .directory(dir.path())
        .ready_when(up())
        .drain_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    stubborn.start(1).await.unwrap();
    let pid = stubborn.pids()[0].1;
    stubborn.shutdown().await.unwrap();
    assert_eq!(stubborn.stats().killed, 1);
    assert!(!runs(pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_started_drains_too_when_the_worker_ends_first() {
    let dir = tempdir().unwrap();
    // The shell ends on SIGTERM at once; the one that it started takes a moment longer.
    let script = "(trap 'sleep 0.2; echo finished >> done; exit 0' TERM; echo up >> up; \
                  while :; do sleep 0.02; done) & wait";
    let workers = shell(script)
        .directory(dir.path())
        .ready_when(Ready::FileLine { path: dir.path().join("up"), contains: "up".into() })
        .build()
        .unwrap();
    workers.start(1).await.unwrap();
    workers.shutdown().await.unwrap();
    assert_eq!(read(&dir.path().join("done")), "finished\n");
    assert_eq!(workers.stats().killed, 0);
}

/// Starts three workers that each have a child, and gives all six process ids.
async fn families(dir: &Path) -> (LocalProcesses, Vec<u32>) {
    let workers = shell("sleep 60 & echo $! > $BIRL_INSTANCE.child; echo up >> up; wait")
        .directory(dir)
        .ready_when(Ready::FileLine { path: dir.join("up"), contains: "up".into() })
        .build()
        .unwrap();
    workers.start(3).await.unwrap();
    let mut pids: Vec<u32> = workers.pids().into_iter().map(|(_, pid)| pid).collect();
    until("all have a child", || {
        (1..=3).all(|n| read(&dir.join(format!("worker-{n}.child"))).ends_with('\n'))
    })
    .await;
    for n in 1..=3 {
        pids.push(read(&dir.join(format!("worker-{n}.child"))).trim().parse().unwrap());
    }
    assert!(pids.iter().all(|pid| runs(*pid)), "{pids:?}");
    (workers, pids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_leaves_no_orphan() {
    let dir = tempdir().unwrap();
    let (workers, pids) = families(dir.path()).await;
    drop(workers);
    until("all are dead", || pids.iter().all(|pid| !runs(*pid))).await;
}

/// The directory of [`the_host_that_is_killed`], when this process is to be that host.
const HOST: &str = "BIRL_SCALER_TEST_HOST";

fn with_pid_file(dir: &Path) -> LocalProcessesBuilder {
    shell("sleep 60 & echo $! > $BIRL_INSTANCE.child; wait")
        .directory(dir)
        .pid_file(dir.join("pids"))
        .drain_timeout(Duration::from_secs(5))
}

/// No test by itself: the host that the next test runs as a process of its own, and kills.
#[tokio::test(flavor = "multi_thread")]
async fn the_host_that_is_killed() {
    let Some(dir) = std::env::var_os(HOST) else { return };
    let workers = with_pid_file(Path::new(&dir)).build().unwrap();
    workers.start(2).await.unwrap();
    until("both have a child", || {
        (1..=2).all(|n| read(&Path::new(&dir).join(format!("worker-{n}.child"))).ends_with('\n'))
    })
    .await;
    let pids: Vec<String> = workers.pids().iter().map(|(_, pid)| pid.to_string()).collect();
    std::fs::write(Path::new(&dir).join("up"), pids.join(" ") + "\n").unwrap();
    sleep(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_host_left_behind_is_ended_by_the_next_and_nothing_else_is() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("pids");
    let mut host = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::the_host_that_is_killed"])
        .env(HOST, dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("the host is up", || read(&dir.path().join("up")).ends_with('\n')).await;
    let mut left: Vec<u32> =
        read(&dir.path().join("up")).split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    for n in 1..=2 {
        let child = read(&dir.path().join(format!("worker-{n}.child")));
        left.push(child.trim().parse().unwrap());
    }
    let refused = with_pid_file(dir.path()).build().unwrap().start(1).await.unwrap_err();
    assert!(refused.to_string().contains("another host uses it"), "{refused}");
    host.kill().unwrap(); // SIGKILL
    host.wait().unwrap();
    assert!(left.iter().all(|pid| runs(*pid)), "orphans: {left:?}");

    // Somebody who has got a recorded number since: it started at another time.
    use std::os::unix::process::CommandExt;
    let mut stranger =
        std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
    let torn = format!("{}{} 1.\n{} 77", read(&file), stranger.id(), stranger.id());
    std::fs::write(&file, torn).unwrap();

    let workers = with_pid_file(dir.path()).build().unwrap();
    workers.start(1).await.unwrap();
    until("all are dead", || left.iter().all(|pid| !runs(*pid))).await;
    assert_eq!(workers.stats().leftovers, 2);
    assert!(runs(stranger.id()), "it is none of ours");
    let recorded = read(&file);
    assert_eq!(recorded.lines().count(), 2, "{recorded}");
    assert!(recorded.contains(&format!("\n{} ", workers.pids()[0].1)), "{recorded}");

    // Of another boot the numbers mean nothing.
    let own = workers.pids()[0].1;
    workers.shutdown().await.unwrap();
    assert!(!runs(own));
    drop(workers);
    let start = std::fs::read_to_string(format!("/proc/{}/stat", stranger.id())).unwrap();
    let start = start.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned();
    std::fs::write(&file, format!("birl pids 1 other-boot\n{} {start}.\n", stranger.id())).unwrap();
    let workers = with_pid_file(dir.path()).build().unwrap();
    workers.start(1).await.unwrap();
    assert_eq!(workers.stats().leftovers, 0);
    assert!(runs(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_drop_leaves_no_orphan_even_if_the_runtime_never_runs_again() {
    let dir = tempdir().unwrap();
    let (workers, pids) = families(dir.path()).await;
    drop(workers);
    dead_without_a_runtime(&pids); // this blocks the only thread there is
}

#[test]
fn a_runtime_that_ends_takes_its_workers_along() {
    let dir = tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (workers, pids) = runtime.block_on(families(dir.path()));
    drop(runtime);
    dead_without_a_runtime(&pids);
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nobody_waits_for_goes_on_and_still_leaves_no_orphan() {
    let dir = tempdir().unwrap();
    let workers = shell("trap '' TERM; echo $BIRL_INSTANCE >> up; while :; do sleep 0.02; done")
        .directory(dir.path())
        .ready_when(Ready::FileLine { path: dir.path().join("up"), contains: "{instance}".into() })
        .drain_timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    workers.start(2).await.unwrap();
    let pids = workers.pids();
    let cancelled = tokio::time::timeout(Duration::from_millis(50), workers.start(1)).await;
    assert!(cancelled.is_err());
    assert_eq!(workers.size().desired, 1);
    assert_eq!(workers.pids().len(), 2, "the one that drains is still known");
    drop(workers);
    until("both are dead", || pids.iter().all(|(_, pid)| !runs(*pid))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_free_only_when_its_process_is_gone() {
    let dir = tempdir().unwrap();
    let slow = "[ -e $BIRL_INSTANCE ] && echo $BIRL_INSTANCE >> twice; touch $BIRL_INSTANCE; \
                trap 'sleep 0.3; rm $BIRL_INSTANCE; exit 0' TERM; echo $BIRL_INSTANCE >> up; \
                while :; do sleep 0.02; done";
    let workers = shell(slow)
        .directory(dir.path())
        .ready_when(Ready::FileLine { path: dir.path().join("up"), contains: "{instance}".into() })
        .ready_timeout(Duration::MAX)
        .build()
        .unwrap();
    workers.start(2).await.unwrap();
    let cancelled = tokio::time::timeout(Duration::from_millis(20), workers.start(1)).await;
    assert!(cancelled.is_err());
    workers.start(2).await.unwrap();
    assert_eq!(read(&dir.path().join("twice")), "", "two processes had one name");
    assert_eq!(workers.size(), Replicas::ready(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_carried_out_whole_is_taken_back() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("worker-1")).unwrap();
    let workers =
        shell("exec sleep 60").stdout_to(dir.path().join("{instance}/log")).build().unwrap();
    assert_eq!(workers.start(2).await.unwrap_err().kind(), ErrorKind::Io);
    until("what was started is gone", || workers.pids().is_empty()).await;
    assert_eq!(workers.size(), Replicas::ready(0));
    workers.start(1).await.unwrap();
    assert_eq!(workers.size(), Replicas::ready(1));
    assert_eq!(workers.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_be_started_again_is_tried_until_it_can() {
    let dir = tempdir().unwrap();
    let (there, away) = (dir.path().join("there"), dir.path().join("away"));
    std::fs::create_dir(&there).unwrap();
    let workers = shell("exec sleep 60").stdout_to(there.join("log")).build().unwrap();
    workers.start(1).await.unwrap();
    std::fs::rename(&there, &away).unwrap();
    let pid = rustix::process::Pid::from_raw(workers.pids()[0].1 as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until("it has failed twice", || workers.stats().spawn_failures >= 2).await;
    assert_eq!(workers.size(), Replicas { desired: 1, ready: 0 });
    std::fs::rename(&away, &there).unwrap();
    until("it is back", || workers.size().ready == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_be_started_changes_nothing() {
    let workers = LocalProcesses::builder("workers", "/nowhere/worker").build().unwrap();
    let error = workers.start(2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Spawn);
    assert!(error.to_string().contains("cannot start /nowhere/worker"), "{error}");
    assert_eq!(workers.size(), Replicas::ready(0));
    assert_eq!(workers.stats().spawn_failures, 1);

    let workers = shell("exec sleep 60").stdout_to("/nowhere/log").build().unwrap();
    let error = workers.start(1).await.unwrap_err();
    assert!(error.to_string().contains("cannot append to /nowhere/log"), "{error}");
    let workers = shell("exec sleep 60").max_workers(2).build().unwrap();
    let error = workers.start(3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("2 are allowed"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_overlap_are_carried_out_in_order() {
    let dir = tempdir().unwrap();
    let log = dir.path().join("app.log");
    let workers = shell("exec sleep 60").log_file(&log).build().unwrap();
    let (a, b, c) = tokio::join!(workers.start(4), workers.start(1), workers.start(2));
    for outcome in [a, b, c] {
        outcome.unwrap();
    }
    assert_eq!(workers.size(), Replicas::ready(2));
    let told: Vec<_> = read(&log)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["replicas"].clone())
        .collect();
    assert_eq!(told, [4, 1, 2]);
    workers.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_is_counted_and_stops_nothing() {
    let workers = shell("exec sleep 60").log_file("/nowhere/app.log").build().unwrap();
    workers.start(1).await.unwrap();
    assert_eq!(workers.stats().log_failures, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_worker_can_have_a_file_of_its_own() {
    let dir = tempdir().unwrap();
    let workers = shell("echo out; echo err >&2; exec sleep 60")
        .env("PORT", "{index}")
        .stdout(Output::Append(dir.path().join("{instance}.log")))
        .stderr(Output::Null)
        .ready_when(Ready::FileLine {
            path: dir.path().join("{instance}.log"),
            contains: "out".into(),
        })
        .build()
        .unwrap();
    workers.start(2).await.unwrap();
    assert_eq!(read(&dir.path().join("worker-2.log")), "out\n");
    workers.shutdown().await.unwrap();
}

#[test]
fn a_description_that_cannot_work_is_refused() {
    for (builder, expected) in [
        (LocalProcesses::builder("", "sleep"), "the target has no name"),
        (LocalProcesses::builder("w", ""), "there is no program"),
        (LocalProcesses::builder("w", "x").max_workers(0), "max_workers is 0"),
        (LocalProcesses::builder("w", "x").arg("--port={port}"), "say where with `ports_from`"),
        (LocalProcesses::builder("w", "x").ports_from(65_500), "would have port 65755"),
        (
            LocalProcesses::builder("w", "x").ports_from(9000).max_workers(u32::MAX),
            "lower `ports_from` or `max_workers`",
        ),
        (
            LocalProcesses::builder("w", "x")
                .restart_backoff(Duration::ZERO, Duration::from_secs(10)),
            "restart_backoff begins at zero",
        ),
        (
            LocalProcesses::builder("w", "x")
                .ready_when(Ready::FileLine { path: "log".into(), contains: String::new() }),
            "must hold some text",
        ),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
