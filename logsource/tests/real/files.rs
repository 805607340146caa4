//! Files that are followed by a process which may not watch, or may not read, and a line that is
//! larger than the memory of many a machine.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::far_end::{END, FarEnd, Home};

fn append(log: &Path, text: &str) {
    let mut file = File::options().create(true).append(true).open(log).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn pain_13_no_watches_are_left() {
    for limit in ["max_inotify_instances", "max_inotify_watches"] {
        let home = Home::new();
        append(&home.log(), "say first\n");
        let script = format!("echo 0 > /proc/sys/user/{limit} && exec \"$@\"");
        let wrapper = ["unshare", "--user", "--map-root-user", "sh", "-c", &script, "sh"];
        let mut far_end = FarEnd::start(&home, &wrapper);
        far_end.answer("first");
        // It is told that it polls, of what, and why.
        let reason = far_end.answer("health Degraded");
        let log = home.log();
        let directory = log.parent().unwrap().to_str().unwrap();
        assert!(reason.contains(directory) && reason.contains("is polled"), "{limit}: {reason}");
        append(&home.log(), "1\n");
        fs::rename(home.log(), home.at("app.log.1")).unwrap();
        append(&home.log(), &format!("2\n{END}\n"));
        let told = far_end.told();
        assert_eq!((told.lines, told.polling), (3, 1), "{limit}");
    }
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_read_once_it_may() {
    let home = Home::new();
    append(&home.log(), &format!("0\n{END}\n"));
    fs::set_permissions(home.log(), Permissions::from_mode(0o000)).unwrap();
    // Offsets are written beside it.
    fs::set_permissions(home.at(""), Permissions::from_mode(0o777)).unwrap();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut far_end = FarEnd::start(&home, &nobody);
    let trouble = far_end.answer("trouble");
    assert!(trouble.contains("app.log") && trouble.contains("let this user read"), "{trouble}");
    far_end.answer("health Failed");
    fs::set_permissions(home.log(), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(far_end.told().lines, 1);
}

#[test]
fn a_line_of_1_gib_takes_no_more_memory_than_a_short_one() {
    let home = Home::new();
    append(&home.log(), "before\n");
    let mut file = File::options().append(true).open(home.log()).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..1024 {
        file.write_all(&chunk).unwrap();
    }
    file.write_all(format!("\nafter\n{END}\n").as_bytes()).unwrap();
    let told = FarEnd::start(&home, &["env"]).told();
    assert_eq!((told.lines, told.cut_bytes), (3, 1023 << 20));
    assert!(told.memory < 48 << 10, "{} KiB", told.memory);
}
