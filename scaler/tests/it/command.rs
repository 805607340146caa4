//! Scaling by a command: what it is told, what it says, and when it does not end.

use std::path::Path;
use std::time::Duration;

use birl_scaler::{CommandTarget, CommandTargetBuilder, ErrorKind, Replicas, ScaleTarget};
use tokio::time::Instant;

use crate::support::{at, decision};

fn shell(script: &str) -> CommandTargetBuilder {
    CommandTarget::builder("web", ["sh", "-c", script, "sh", "{replicas}", "{from}", "{target}"])
}

fn file(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_told_the_size_and_why_and_no_shell_reads_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("said");
    let script = r#"printf '%s\n' "$@" "$BIRL_REPLICAS $BIRL_FROM $BIRL_TARGET" "$BIRL_REASON" "$BIRL_DECISION" "$EXTRA" > "$OUT""#;
    let target = CommandTarget::builder(
        "a b; $(x)",
        ["sh", "-c", script, "sh", "n={replicas}", "{from}", "{target}", "{{keep}}"],
    )
    .env("OUT", path.as_os_str())
    .env("EXTRA", "more")
    .initial(1)
    .build()
    .unwrap();
    assert_eq!(target.replicas().await.unwrap(), Replicas::ready(1));
    let three = decision("web", 1, 3, at(0));
    target.scale_to(3, &three).await.unwrap();
    let said = file(&path);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..5], ["n=3", "1", "a b; $(x)", "{{keep}}", "3 1 a b; $(x)"]);
    assert_eq!(lines[5..], [three.explain(), three.id.to_string(), "more".to_owned()]);
    assert_eq!(target.replicas().await.unwrap(), Replicas::ready(3), "it remembers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_ends_when_the_count_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let size = dir.path().join("size");
    std::fs::write(&size, "1").unwrap();
    // The platform takes a moment.
    let target = shell(r#"(sleep 0.3; echo "$1" > "$SIZE") >/dev/null 2>&1 &"#)
        .count(["cat", size.to_str().unwrap()])
        .env("SIZE", size.as_os_str())
        .build()
        .unwrap();
    assert_eq!(target.replicas().await.unwrap(), Replicas::ready(1));
    target.scale_to(4, &decision("web", 1, 4, at(0))).await.unwrap();
    assert_eq!(file(&size).trim(), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_is_a_number_or_json() {
    let count =
        |text: &str| CommandTarget::builder("web", ["true", "{replicas}"]).count(["echo", text]);
    for (text, expected) in [
        ("3", Replicas::ready(3)),
        (" 3 \n", Replicas::ready(3)),
        (r#"{"desired": 3, "ready": 2}"#, Replicas { desired: 3, ready: 2 }),
    ] {
        assert_eq!(count(text).build().unwrap().replicas().await.unwrap(), expected);
    }
    let deployment = r#"{"spec": {"replicas": 3}, "status": {"readyReplicas": 2}}"#;
    let pointed =
        |text: &str| count(text).pointers("/spec/replicas", "/status/readyReplicas").build();
    let found = pointed(deployment).unwrap().replicas().await.unwrap();
    assert_eq!(found, Replicas { desired: 3, ready: 2 });
    // Kubernetes leaves a zero out.
    let none = pointed(r#"{"spec": {"replicas": 3}, "status": {}}"#).unwrap();
    assert_eq!(none.replicas().await.unwrap(), Replicas { desired: 3, ready: 0 });

    for text in ["", "-1", "three", "3.5", "[3]", r#"{"desired": 3}"#, "99999999999"] {
        let error = count(text).build().unwrap().replicas().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Target, "{text}");
        assert!(error.to_string().contains("which is no count: a number, or"), "{error}");
    }
    assert!(pointed("3").unwrap().replicas().await.is_err(), "an error page is not zero replicas");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_what_the_command_said_last() {
    let target =
        shell("echo first >&2; echo 'no such service' >&2; exit 3").initial(1).build().unwrap();
    let error = target.scale_to(2, &decision("web", 1, 2, at(0))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Target);
    let text = error.to_string();
    assert!(text.starts_with("web: `sh -c"), "{text}");
    assert!(text.ends_with("failed with exit status: 3: no such service"), "{text}");
    assert_eq!(target.replicas().await.unwrap(), Replicas::ready(1), "nothing has changed");

    let missing =
        CommandTarget::builder("web", ["/no/such/program", "{replicas}"]).build().unwrap();
    let error = missing.scale_to(2, &decision("web", 1, 2, at(0))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Spawn);
    assert!(error.to_string().contains("install it, or give its whole path"), "{error}");
    let error = missing.replicas().await.unwrap_err();
    assert!(error.to_string().contains("give a command that counts them"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_end_is_killed_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let target = shell(
        r#"trap '' TERM; sleep 60 & echo "$$ $!" > "$PIDS"; echo waiting >&2; wait; sleep 60"#,
    )
    .env("PIDS", pids.as_os_str())
    .deadline(Duration::from_millis(500))
    .initial(1)
    .build()
    .unwrap();
    let begun = Instant::now();
    let error = target.scale_to(2, &decision("web", 1, 2, at(0))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("did not end within 500ms; killed: waiting"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let pids = file(&pids);
    for pid in pids.split_whitespace() {
        let end = Instant::now() + Duration::from_secs(20);
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit(')').next()?.trim().chars().next()
        };
        while state().is_some_and(|state| state != 'Z') {
            assert!(Instant::now() < end, "{pid} lives");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A command that leaves a daemon behind which holds its pipes is at its end when it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_leaves_running_is_not_waited_for() {
    let target = shell("sleep 30 & echo $! >&2; exit 1").initial(1).build().unwrap();
    let begun = Instant::now();
    let error = target.scale_to(2, &decision("web", 1, 2, at(0))).await.unwrap_err().to_string();
    assert!(begun.elapsed() < Duration::from_secs(20), "it was waited for");
    let pid = error.rsplit(' ').next().unwrap().parse().unwrap();
    let daemon = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(daemon, rustix::process::Signal::KILL).unwrap();
}

/// Megabytes of output neither fill the memory nor block the command.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_read_and_forgotten() {
    let flood = "head -c 3000000 /dev/zero | tr '\\0' 'x'; head -c 3000000 /dev/zero | tr '\\0' '\\n' >&2; echo end >&2; exit 1";
    let target = shell(flood).initial(1).build().unwrap();
    let error = target.scale_to(2, &decision("web", 1, 2, at(0))).await.unwrap_err();
    assert!(error.to_string().ends_with(": end"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_never_comes_is_a_timeout_with_what_there_is() {
    let target = CommandTarget::builder("web", ["true"])
        .count(["echo", r#"{"desired": 4, "ready": 1}"#])
        .deadline(Duration::from_millis(400))
        .build()
        .unwrap();
    let error = target.scale_to(4, &decision("web", 1, 4, at(0))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().starts_with("web: "), "{error}");
}

#[test]
fn a_description_that_cannot_work_is_refused() {
    let refused = |builder: CommandTargetBuilder| builder.build().unwrap_err().to_string();
    assert!(refused(CommandTarget::builder("web", [""])).contains("the command is empty"));
    assert!(refused(CommandTarget::builder("web", ["x"])).contains("no argument has `{replicas}`"));
    let pointers = CommandTarget::builder("web", ["x", "{replicas}"]).pointers("/a", "/b");
    assert!(refused(pointers).contains("set both or neither"));
    let count = || CommandTarget::builder("web", ["x", "{replicas}"]).count(["y"]);
    assert!(
        refused(count().pointers("/a", "b")).contains("the pointer `b` does not begin with `/`")
    );
    assert!(count().pointers("/a", "").build().is_ok(), "the whole document");
    let zero = CommandTarget::builder("web", ["x", "{replicas}"]).deadline(Duration::ZERO);
    assert!(refused(zero).contains("the deadline is 0"));
}
