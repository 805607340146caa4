//! What is done to the files, and to the reader.

/// One way in which a log file makes room for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// `app.log` → `app.log.1` → `app.log.2` …
    Rename,
    /// The same, and then `gzip app.log.1`.
    Gzip,
    /// The same, and then `zstd --rm app.log.1`.
    Zstd,
    /// `cp app.log app.log.1; : > app.log`
    CopyTruncate,
    /// `: > app.log`
    Truncate,
    /// `: > app.log`, and at once more is written than was in it.
    Regrow,
    /// `rm app.log; touch app.log`; the inode number is often the same.
    Recreate,
}

/// What the reader is told to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    /// One name.
    Name,
    /// `*.log`
    Logs,
    /// `*.log*`: the rotated files match as well.
    All,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) follow: Follow,
    pub(crate) logs: u32,
    /// One of these is drawn for every rotation.
    pub(crate) cuts: &'static [Cut],
    /// How long between two rotations of a log, in milliseconds.
    pub(crate) every: (u64, u64),
    /// How many rotated files are kept.
    pub(crate) keep: usize,
    /// Every new file begins with the same long line.
    pub(crate) header: bool,
    /// Every new file has a line of its own at once, so that none can be lost without a line.
    pub(crate) signed: bool,
    /// Writers go on with the renamed file for a while, and write half a line now and then.
    pub(crate) untidy: bool,
    /// The consumer takes nothing for so long, once, in milliseconds.
    pub(crate) stall: u64,
    /// The queue of inotify overflows in every other life.
    pub(crate) overflow: bool,
    /// The lines of a writer must come in order within a life.
    pub(crate) ordered: bool,
}

/// What the others differ from.
const PLAIN: Scenario = Scenario {
    name: "",
    follow: Follow::Name,
    logs: 1,
    cuts: &[Cut::Rename],
    every: (50, 1000),
    keep: 200,
    header: false,
    signed: false,
    untidy: true,
    stall: 0,
    overflow: false,
    ordered: true,
};

/// Every scenario. `make loss SCENARIO=…` runs one.
pub(crate) const ALL: &[Scenario] = &[
    Scenario { name: "rename", ..PLAIN },
    Scenario { name: "churn", every: (50, 60), keep: 3, signed: true, ..PLAIN },
    Scenario { name: "copytruncate", cuts: &[Cut::CopyTruncate], ..PLAIN },
    Scenario { name: "header", cuts: &[Cut::CopyTruncate], header: true, ..PLAIN },
    Scenario { name: "gzip", cuts: &[Cut::Gzip], every: (150, 1000), ..PLAIN },
    Scenario { name: "zstd", cuts: &[Cut::Zstd], every: (150, 1000), ..PLAIN },
    Scenario { name: "truncate", cuts: &[Cut::Truncate, Cut::Regrow], ..PLAIN },
    Scenario { name: "recreate", cuts: &[Cut::Recreate], ..PLAIN },
    Scenario { name: "overflow", follow: Follow::Logs, logs: 2, overflow: true, ..PLAIN },
    Scenario { name: "stall", every: (200, 1000), stall: 10_000, ..PLAIN },
    Scenario { name: "scarce", every: (100, 400), keep: 5, stall: 4_000, ..PLAIN },
    Scenario {
        name: "directory",
        follow: Follow::Logs,
        logs: 4,
        cuts: &[Cut::Rename, Cut::CopyTruncate, Cut::Gzip],
        ordered: false,
        ..PLAIN
    },
    Scenario {
        name: "pattern",
        follow: Follow::All,
        cuts: &[Cut::Rename, Cut::CopyTruncate, Cut::Gzip],
        ordered: false,
        ..PLAIN
    },
    Scenario {
        name: "mixed",
        cuts: &[
            Cut::Rename,
            Cut::Rename,
            Cut::Gzip,
            Cut::Zstd,
            Cut::CopyTruncate,
            Cut::CopyTruncate,
            Cut::Truncate,
            Cut::Regrow,
            Cut::Recreate,
        ],
        keep: 8,
        ..PLAIN
    },
];
