//! Processes that touch memory on purpose, and cgroups to put them in.

use std::fmt::Display;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use birl_scaler::{Fault, Signal, SignalSource};

/// Says why something is not tested on this machine: its kernel, or whoever runs it, does not let us.
#[allow(clippy::print_stderr, reason = "a test that did not look must say so")]
pub(crate) fn not_tested(why: &dyn Display) {
    eprintln!("not tested: {why}");
}

/// How many pages a [`Toucher`] touches, each of them once and for the first time.
pub(crate) const PAGES: f64 = 16_384.0;

/// Reads now; these sources never wait.
pub(crate) fn read(source: &dyn SignalSource) -> Result<Signal, Fault> {
    let mut read = source.read(SystemTime::now());
    let waker = std::task::Waker::noop();
    match read.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        std::task::Poll::Ready(signal) => signal,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

/// The only sample's value.
#[track_caller]
pub(crate) fn value(source: &dyn SignalSource) -> f64 {
    let signal = read(source).unwrap();
    signal.samples[0].value.unwrap().as_f64()
}

/// Long enough for a reading of its own.
pub(crate) fn rest() {
    sleep(Duration::from_millis(250));
}

/// For how long the kernel has been up.
pub(crate) fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// A process that stands ready, and touches its pages when told to.
pub(crate) struct Toucher(Child);

impl Toucher {
    /// Starts it, in these cgroups.
    pub(crate) fn ready(cgroups: &[&Path]) -> Self {
        let program = "import mmap, sys\n\
            pages = mmap.mmap(-1, 16384 * 4096)\n\
            pages.madvise(mmap.MADV_NOHUGEPAGE)\n\
            print('ready', flush=True)\n\
            sys.stdin.readline()\n\
            for page in range(0, 16384 * 4096, 4096): pages[page] = 1\n\
            print('done', flush=True)\n\
            sys.stdin.readline()";
        let mut toucher = Self(inside(cgroups, &["python3", "-c", program]));
        toucher.hears("ready\n");
        toucher
    }

    /// Returns when all pages were touched.
    pub(crate) fn touch(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        self.hears("done\n");
    }

    fn hears(&mut self, word: &str) {
        let mut heard = vec![0; word.len()];
        self.0.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), word);
    }
}

impl Drop for Toucher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program, which is in `cgroups` before it is itself.
pub(crate) fn inside(cgroups: &[&Path], program: &[&str]) -> Child {
    let enter = "while [ \"$1\" != -- ]; do echo $$ > \"$1/cgroup.procs\" || exit 1; shift; done\n\
                 shift; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", enter, "sh"]).args(cgroups).arg("--").args(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// A cgroup of our own, which is removed with the value. Nothing may be left in it.
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// One of version 2, or `None` where none may be made.
    pub(crate) fn new(name: &str) -> Option<Self> {
        Self::under(&version_2()?, name)
    }

    /// One whose memory is bounded, of whichever version has the controller; and one of version 2,
    /// which is another where the controller is with version 1.
    pub(crate) fn bounded(name: &str, bytes: u64) -> Option<(Self, Self)> {
        let unified = Self::new(name)?;
        if fs::write(unified.path().join("memory.max"), bytes.to_string()).is_ok() {
            let within = Self::under(unified.path(), "within")?;
            return Some((within, unified));
        }
        let bounded = Self::under(Path::new("/sys/fs/cgroup/memory"), name)?;
        let limit = bounded.path().join("memory.limit_in_bytes");
        fs::write(limit, bytes.to_string()).ok()?;
        Some((bounded, unified))
    }

    pub(crate) fn under(parent: &Path, name: &str) -> Option<Self> {
        let path = parent.join(format!("birl-test-{}-{name}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                not_tested(&error);
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What was in it has ended, but the kernel may need a moment to see that.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
    }
}

/// Where version 2 is mounted.
fn version_2() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    mounts.find(|mount| mount[2] == "cgroup2").map(|mount| mount[1].into())
}
