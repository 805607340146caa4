//! Folders that look like `/proc` and a cgroup, to write into.

use std::fs;
use std::path::{Path, PathBuf};

use birl_scaler::{Fault, Signal, SignalSource};
use tempfile::TempDir;

use crate::support::at;

/// A machine that has nothing but a clock.
pub(crate) struct Machine {
    folder: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        machine.up(1000.0);
        machine
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn proc(&self) -> PathBuf {
        self.path("proc")
    }

    /// The folder of the cgroup that this process is in, once `in_cgroup` has said so.
    pub(crate) fn own(&self) -> PathBuf {
        self.path("cgroup/shop/api")
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    /// For how many seconds the kernel has been up.
    pub(crate) fn up(&self, seconds: f64) {
        self.write("proc/uptime", &format!("{seconds:.2} 1.00\n"));
    }

    pub(crate) fn in_cgroup(&self) {
        let root = self.path("cgroup");
        let mount = root.to_str().unwrap().replace(' ', "\\040");
        self.write("proc/self/cgroup", "3:cpu:/elsewhere\n0::/shop/api\n");
        let mount = format!("41 31 0:38 / {mount} rw,relatime shared:9 - cgroup2 cgroup2 rw\n");
        self.write("proc/self/mountinfo", &mount);
        fs::create_dir_all(self.own()).unwrap();
    }

    /// A file of pressure stall information with these microseconds in all.
    pub(crate) fn stalled(&self, file: &str, some: u64, full: u64) {
        let averages = "avg10=0.00 avg60=0.00 avg300=0.00";
        let text = format!("some {averages} total={some}\nfull {averages} total={full}\n");
        self.write(file, &text);
    }
}

/// A file as a real kernel wrote it.
pub(crate) fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/procfs");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Reads at second `second`; these sources never wait.
pub(crate) fn read(source: &dyn SignalSource, second: u64) -> Result<Signal, Fault> {
    let mut read = source.read(at(second));
    let waker = std::task::Waker::noop();
    match read.as_mut().poll(&mut std::task::Context::from_waker(waker)) {
        std::task::Poll::Ready(signal) => signal,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

/// The value of the only sample.
#[track_caller]
pub(crate) fn value(source: &dyn SignalSource, second: u64) -> f64 {
    let signal = read(source, second).unwrap();
    assert_eq!((signal.name.as_ref(), signal.samples.len()), (source.name(), 1));
    assert_eq!(signal.at, at(second));
    signal.samples[0].value.unwrap().as_f64()
}
