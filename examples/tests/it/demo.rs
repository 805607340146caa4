//! The demo keeps its promise: it runs, tells its story, and verifies every leg.

use std::path::Path;
use std::process::Command;

#[test]
fn the_closed_loop_verifies_every_leg() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["run", "--offline", "--quiet", "--example", "closed_loop"])
        .output()
        .unwrap();
    let story = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{story}\n{}", String::from_utf8_lossy(&output.stderr));
    for leg in
        ["written", "seen", "fired", "notified", "decided", "applied", "verified", "scaled to 3"]
    {
        assert!(story.contains(leg), "no `{leg}` in:\n{story}");
    }
}
