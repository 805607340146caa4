//! The log of decisions on a real file system of a few pages that fills up.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use birl_scaler::{
    Decider, DecisionEntry, DecisionLogReader, DecisionRecorder, FileDecisionLog, FileLogOptions,
    Observation, RecorderOptions, Replicas, ScalerSpec,
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// A tmpfs, as long as it lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success(), "mount failed: needs to be root");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.path()).status().ok();
    }
}

#[test]
fn no_decision_is_lost_over_a_full_disk_and_none_is_kept_twice() {
    let disk = SmallDisk::new();
    let folder = disk.path().join("decisions");
    let log = FileDecisionLog::open(&folder, FileLogOptions::default()).unwrap();
    let mut options = RecorderOptions::default();
    options.retry = Duration::from_millis(5);
    let recorder = DecisionRecorder::start(log, options).unwrap();
    let mut decider = Decider::new(ScalerSpec::new("workers", 1, 10)).unwrap();
    let mut written = Vec::new();
    let mut tick = |count: u64, recorder: &DecisionRecorder| {
        for _ in 0..count {
            let seen = Observation::new(Replicas::ready(3));
            let now = UNIX_EPOCH + Duration::from_secs(1_795_420_800 + written.len() as u64);
            let decision = decider.decide(&seen, now);
            let entry = DecisionEntry::decided(&decider, &seen, &decision);
            written.push(entry.clone());
            recorder.record([entry]);
        }
        written.clone()
    };
    tick(5, &recorder);
    assert!(recorder.flush(PATIENCE));
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![b'x'; 1 << 20]).unwrap_err();
    tick(100, &recorder);
    assert!(!recorder.flush(Duration::from_millis(300)));
    let stats = recorder.stats();
    assert!(stats.trouble.as_ref().is_some_and(|why| why.contains("make room there")), "{stats:?}");
    // Who reads meanwhile sees whole entries only.
    assert!(DecisionLogReader::open(&folder).unwrap().all(|entry| entry.is_ok()));
    fs::remove_file(&filler).unwrap();
    let all = tick(1, &recorder);
    let fits = recorder.flush(Duration::from_secs(2));
    // 106 entries are more than this disk takes; what fits is in order, the rest still waits.
    let stats = recorder.stats();
    assert_eq!(stats.written + stats.waiting, 106, "{stats:?}");
    assert_eq!(stats.dropped, 0);
    assert!(!fits || stats.written == 106);
    let kept: Vec<_> = DecisionLogReader::open(&folder).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept, all[..kept.len()]);
    assert!(kept.len() >= 5);
}
