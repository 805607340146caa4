//! A running `systemd-journald`, in a mount namespace of its own.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use birl_logsource::{
    Batch, Count, Edge, Error, JournaldSource, JournaldSourceBuilder, LogSource, Parser, Position,
};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tempfile::TempDir;

/// The daemon; it ends when its input does.
struct Daemon {
    dir: TempDir,
    script: Child,
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Daemon {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/journald.sh");
        let mut script = Command::new("unshare")
            .args(["--mount", "sh", script])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is missing; install util-linux");
        let orders = script.stdin.take();
        let answers = BufReader::new(script.stdout.take().unwrap()).lines();
        let mut daemon = Self { dir, script, orders, answers };
        daemon.answered("ready");
        daemon
    }

    fn answered(&mut self, expected: &str) {
        let answer = self.answers.next().expect("journald.sh failed; see its complaint").unwrap();
        assert_eq!(answer, expected);
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        self.answered("done");
    }

    fn source(&self) -> JournaldSourceBuilder {
        // The daemon keeps its files in a directory named after the machine.
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap();
        let directory: PathBuf = self.dir.path().join("journal").join(machine.trim());
        JournaldSource::builder()
            .directory(directory)
            .offset_file(self.dir.path().join("state.offsets"))
            .parser(Parser::raw())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.orders.take());
        self.script.wait().ok();
    }
}

/// Takes lines of our own until there are so many.
async fn lines(stream: &mut BoxStream<'static, Result<Batch, Error>>, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        let batch = tokio::time::timeout(Duration::from_secs(20), stream.next());
        let batch = batch.await.expect("nothing came").expect("the stream ended").unwrap();
        let ours = |entry: &birl_logsource::EntryRef<'_>| {
            entry.field("SYSLOG_IDENTIFIER").is_some_and(|name| name.starts_with(b"birl-"))
        };
        found.extend(batch.entries().filter(ours).map(|entry| entry.text().into_owned()));
        batch.ack();
    }
    found
}

#[tokio::test]
async fn a_running_journal_is_followed_through_rotation_and_restart() {
    let mut daemon = Daemon::start();
    daemon.order("logger one");
    let resume = Position::Resume { otherwise: Edge::Start };
    let source = daemon.source().build().unwrap();
    let mut stream = source.tail(resume.clone());
    assert_eq!(lines(&mut stream, 1).await, ["one"]);
    daemon.order("cat two");
    assert_eq!(lines(&mut stream, 1).await, ["two"]);
    daemon.order("rotate");
    let mut expected = Vec::new();
    for n in 0..20 {
        daemon.order(&format!("logger after {n}"));
        expected.push(format!("after {n}"));
        if n == 10 {
            daemon.order("rotate");
        }
    }
    assert_eq!(lines(&mut stream, expected.len()).await, expected);
    assert_eq!(source.metrics().source("journald").unwrap().get(Count::Restarts), 0);
    drop((stream, source));
    daemon.order("logger while away");
    let source = daemon.source().build().unwrap();
    assert_eq!(lines(&mut source.tail(resume), 1).await, ["while away"]);
}

#[tokio::test]
async fn priority_and_fields_are_the_journals_own() {
    let mut daemon = Daemon::start();
    daemon.order("cat mere information");
    daemon.order("logger an error");
    let source = daemon.source().priority("err").build().unwrap();
    let mut stream = source.tail(Position::Start);
    let batch = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
    let batch = batch.expect("nothing came").unwrap().unwrap();
    let entry = batch.get(0).unwrap();
    assert_eq!(entry.text(), "an error");
    assert_eq!(entry.field("PRIORITY"), Some(&b"3"[..]));
    assert_eq!(entry.field("_TRANSPORT"), Some(&b"syslog"[..]));
    let chunk = source.read(Position::Start, 10).await.unwrap();
    assert_eq!(chunk.batch.unwrap().len(), 1);
    assert!(chunk.at_end);
}
