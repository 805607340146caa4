//! Every adapter passes the one suite.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use birl_logsource::conformance::{Abilities, Fixture, run};
use birl_logsource::{
    Batch, BlockingTail, Chunk, CommandSource, Error, FileSource, Health, JournaldSource,
    LogSource, Origin, Parser, Position, PushSource, Pusher, StdinSource, Watch, async_trait,
};
use futures_util::Stream;
use tokio::sync::mpsc;

use crate::support::{Batches, Place, append};

struct File {
    place: Place,
    watch: Watch,
    name: &'static str,
}

impl File {
    fn source(&self) -> Result<FileSource, Error> {
        FileSource::builder(self.place.path(self.name))
            .offset_file(&self.place.offsets)
            .watch(self.watch)
            .poll_interval(Duration::from_millis(20))
            .build()
    }
}

#[async_trait]
impl Fixture for File {
    async fn open(&mut self) -> Result<Box<dyn LogSource>, Error> {
        Ok(Box::new(self.source()?))
    }

    async fn append(&mut self, lines: &[String]) -> Result<(), Error> {
        append(&self.place.log, lines.join("\n") + "\n");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file() {
    let make = || File { place: Place::new(), watch: Watch::Auto, name: "app.log" };
    run(make).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn file_by_polling() {
    let make = || File { place: Place::new(), watch: Watch::Poll, name: "app.log" };
    run(make).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn file_by_pattern() {
    let make = || File { place: Place::new(), watch: Watch::Auto, name: "*.log" };
    run(make).await.unwrap();
}

/// The same, read on a thread of the test, which hands on what it is given.
struct Pulled(File);

#[derive(Debug)]
struct PulledSource(FileSource);

#[async_trait]
impl Fixture for Pulled {
    async fn open(&mut self) -> Result<Box<dyn LogSource>, Error> {
        Ok(Box::new(PulledSource(self.0.source()?)))
    }

    async fn append(&mut self, lines: &[String]) -> Result<(), Error> {
        self.0.append(lines).await
    }
}

#[async_trait]
impl LogSource for PulledSource {
    fn origin(&self) -> &Arc<Origin> {
        self.0.origin()
    }

    async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error> {
        self.0.read(from, max).await
    }

    fn tail(&self, from: Position) -> Batches {
        let tail = self.0.tail_blocking(from);
        let (sender, receiver) = mpsc::channel(1);
        let puller = thread::spawn(move || pull(tail, &sender));
        Box::pin(Handed { receiver, puller: Some(puller) })
    }

    async fn health_check(&self) -> Result<Health, Error> {
        self.0.health_check().await
    }
}

fn pull(tail: Result<BlockingTail, Error>, sender: &mpsc::Sender<Result<Batch, Error>>) {
    let mut tail = match tail {
        Ok(tail) => tail,
        Err(error) => return sender.blocking_send(Err(error)).unwrap_or_default(),
    };
    while !sender.is_closed() {
        if let Some(item) = tail.next_within(Duration::from_millis(20)).transpose() {
            sender.blocking_send(item).ok();
        }
    }
}

/// Dropping it drops the tail.
struct Handed {
    receiver: mpsc::Receiver<Result<Batch, Error>>,
    puller: Option<thread::JoinHandle<()>>,
}

impl Stream for Handed {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.receiver.close();
        while self.receiver.try_recv().is_ok() {}
        self.puller.take().unwrap().join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_by_a_caller() {
    let make = || Pulled(File { place: Place::new(), watch: Watch::Auto, name: "app.log" });
    run(make).await.unwrap();
}

/// A command that says the same again each time it is run.
struct Command {
    place: Place,
}

#[async_trait]
impl Fixture for Command {
    async fn open(&mut self) -> Result<Box<dyn LogSource>, Error> {
        append(&self.place.log, "");
        let words = ["tail", "-n", "+1", "-f"].map(PathBuf::from);
        let line = words.into_iter().chain([self.place.log.clone()]);
        Ok(Box::new(CommandSource::builder(line).build()?))
    }

    async fn append(&mut self, lines: &[String]) -> Result<(), Error> {
        append(&self.place.log, lines.join("\n") + "\n");
        Ok(())
    }

    fn abilities(&self) -> Abilities {
        let mut abilities = Abilities::default();
        (abilities.resumes, abilities.ends) = (false, false);
        abilities
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command() {
    run(|| Command { place: Place::new() }).await.unwrap();
}

/// What comes in on a pipe.
struct Stdin {
    reader: Option<OwnedFd>,
    writer: std::io::PipeWriter,
}

impl Stdin {
    fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        Self { reader: Some(reader.into()), writer }
    }
}

#[async_trait]
impl Fixture for Stdin {
    async fn open(&mut self) -> Result<Box<dyn LogSource>, Error> {
        let reader = self.reader.take().expect("a pipe is opened once");
        Ok(Box::new(StdinSource::of_fd(reader).build()?))
    }

    async fn append(&mut self, lines: &[String]) -> Result<(), Error> {
        let (mut writer, text) = (self.writer.try_clone().unwrap(), lines.join("\n") + "\n");
        let writing = move || std::io::Write::write_all(&mut writer, text.as_bytes());
        tokio::task::spawn_blocking(writing).await.unwrap().unwrap();
        Ok(())
    }

    fn abilities(&self) -> Abilities {
        let mut abilities = Abilities::default();
        (abilities.replays, abilities.resumes, abilities.ends) = (false, false, false);
        abilities
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin() {
    run(Stdin::new).await.unwrap();
}

/// What the test itself pushes.
struct Pushed {
    pusher: Pusher,
    source: Option<PushSource>,
}

impl Pushed {
    fn new() -> Self {
        let (pusher, source) = PushSource::builder("app").build().unwrap();
        Self { pusher, source: Some(source) }
    }
}

#[async_trait]
impl Fixture for Pushed {
    async fn open(&mut self) -> Result<Box<dyn LogSource>, Error> {
        Ok(Box::new(self.source.take().expect("it is opened once")))
    }

    async fn append(&mut self, lines: &[String]) -> Result<(), Error> {
        self.pusher.push(lines.join("\n").as_bytes()).await
    }

    fn abilities(&self) -> Abilities {
        let mut abilities = Abilities::default();
        (abilities.replays, abilities.resumes, abilities.ends) = (false, false, false);
        abilities
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push() {
    run(Pushed::new).await.unwrap();
}

/// A journal in the export format, and a stand-in for `journalctl` that knows the few options that
/// are asked of it. A cursor is the offset of its entry's end.
pub(crate) struct Journal {
    pub(crate) place: Place,
}

impl Journal {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        append(&place.log, "");
        let script = format!(
            "#!/bin/sh\n\
             cd '{}' || exit 1\n\
             echo \"$*\" >>calls\n\
             echo $$ >pid\n\
             from=0 follow=\n\
             for option; do case $option in\n\
             --after-cursor=*) from=$(echo \"${{option#--after-cursor=o=}}\" | sed 's/^0*//') ;;\n\
             --lines=0) from=$(wc -c <app.log) ;;\n\
             --lines=1) from=$(cat last) ;;\n\
             --follow) follow=-f ;;\n\
             esac; done\n\
             exec tail -c +$((${{from:-0}} + 1)) $follow app.log\n",
            place.dir.path().display()
        );
        let path = place.path("journalctl");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        Self { place }
    }

    pub(crate) fn source(&self) -> birl_logsource::JournaldSourceBuilder {
        JournaldSource::builder()
            .journalctl(self.place.path("journalctl"))
            .offset_file(&self.place.offsets)
            .parser(Parser::raw())
    }

    /// Writes one entry; the fields are in the export format.
    pub(crate) fn write(&self, fields: &[u8]) {
        let start = std::fs::metadata(&self.place.log).unwrap().len();
        let mut head = String::from("__CURSOR=o=");
        let end = start + (head.len() + 13 + fields.len() + 1) as u64;
        writeln!(head, "{end:012}").unwrap();
        let entry = [head.as_bytes(), fields, b"\n"].concat();
        std::fs::write(self.place.path("last"), start.to_string()).unwrap();
        append(&self.place.log, entry);
    }
}

#[async_trait]
impl Fixture for Journal {
    async fn open(&mut self) -> Result<Box<dyn LogSource>, Error> {
        Ok(Box::new(self.source().build()?))
    }

    async fn append(&mut self, lines: &[String]) -> Result<(), Error> {
        for line in lines {
            self.write(format!("__REALTIME_TIMESTAMP=1\nMESSAGE={line}\n").as_bytes());
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journald() {
    run(Journal::new).await.unwrap();
}
