//! `peers`: us beside the crates that do the same: those that follow files, on the same file, with the same
//! hash, on the same core; and those that judge rules.
//!
//! Taken are those that follow a file by name through rotation and can be told to begin at its start:
//! `linemux` (inotify, async), `chase` (polling, callback), `staart` (polling, bytes that the caller
//! splits), `poll-tail` (polling, keeps the lines itself). None of them acknowledges or keeps places,
//! which we do here. Not taken: `logwatcher` begins at the end alone and cannot be stopped (`chase` is
//! modelled on it), `easy_reader` follows nothing, `tailf` starts a `tail` process.
//!
//! The last argument is the size of the file in MiB, 256 if not given; `--json` prints one object a
//! line. Exit code 0 when every figure holds, 1 when one does not.

mod followers;
mod rules;

use std::process::ExitCode;

use birl_benches::corpus::Corpus;
use birl_benches::figure::{Figure, ROUNDS, Target};
use birl_benches::hash::LineHash;
use birl_benches::one_core::OneCore;
use birl_benches::{bare, lines, stopwatch};

const MIB: f64 = 1024.0 * 1024.0;

type Follower = fn(&Corpus) -> anyhow::Result<LineHash>;

/// A stream beside a stream, and what blocks beside what blocks.
const PEERS: [(&str, &str, Follower, Follower); 4] = [
    (
        "file_read_linemux",
        "linemux 0.3, no places kept",
        followers::birl_stream,
        followers::linemux,
    ),
    ("file_read_chase", "chase 0.1, no places kept", followers::birl, followers::chase),
    ("file_read_staart", "staart 0.7, no places kept", followers::birl, followers::staart),
    ("file_read_poll_tail", "poll-tail 0.1, no places kept", followers::birl, followers::poll_tail),
];

fn main() -> anyhow::Result<ExitCode> {
    let json = std::env::args().any(|arg| arg == "--json");
    let size = std::env::args().skip(1).filter(|arg| arg != "--json").next_back();
    let mebibytes: u64 = size.map_or(Ok(256), |size| size.parse())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("lines.log");
    let corpus = Corpus::write(&path, mebibytes << 20, lines::text)?;
    let _core = OneCore::pin()?;
    let mut expected = LineHash::default();
    bare::lines(&path, |line| expected.line(line))?;
    if !json {
        println!("{}", Figure::heading());
    }
    let speed = |follower: Follower| {
        let (took, hash) = stopwatch::seconds(|| follower(&corpus));
        anyhow::ensure!(hash? == expected, "all must have seen the same lines");
        anyhow::Ok(corpus.bytes as f64 / MIB / took)
    };
    let mut all_hold = true;
    for (name, reference, ours, peer) in PEERS {
        let rounds = (0..ROUNDS).map(|_| Ok((speed(ours)?, speed(peer)?)));
        let rounds: Vec<_> = rounds.collect::<anyhow::Result<_>>()?;
        let target = Target::RatioAtLeast(1.0);
        let figure = Figure::of_rounds(name, "MiB/s", reference, target, &rounds);
        all_hold &= figure.ok;
        figure.print(json)?;
    }
    for figure in [rules::cel()?, rules::sigma()?] {
        all_hold &= figure.ok;
        figure.print(json)?;
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
