//! The log of decisions in a real etcd (Debian's packages `etcd-server` and `etcd-client`).

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::support::{Site, wait};

/// An etcd of our own, as long as it lives.
struct Etcd {
    child: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Etcd {
    fn start() -> Self {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (url, peer) = (port(), port());
        let [url, peer] = [url, peer].map(|port| format!("http://127.0.0.1:{port}"));
        let data = tempfile::tempdir().unwrap();
        let child = Command::new("etcd")
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--data-dir"])
            .arg(data.path().join("etcd"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`etcd` is missing: install Debian's package `etcd-server`");
        let etcd = Self { child, url, _data: data };
        wait("etcd", || etcd.ctl(&["endpoint", "health"])).unwrap();
        etcd
    }

    fn ctl(&self, args: &[&str]) -> Option<String> {
        let mut ctl = Command::new("etcdctl");
        ctl.env("ETCDCTL_API", "3").args(["--endpoints", &self.url]).args(args);
        let output = ctl.output().expect("`etcdctl` is missing: install Debian's `etcd-client`");
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// The count and the kind of each entry, oldest first: a decider that remembers counts on.
    fn entries(&self) -> Vec<(u64, String)> {
        let args =
            ["get", "--prefix", "mine/api/", "--keys-only", "--sort-by=CREATE", "--order=ASCEND"];
        let keys = self.ctl(&args).unwrap();
        let entry = |key: &str| {
            let (id, kind) = key.strip_prefix("mine/api/")?.split_once('/')?;
            Some((id.rsplit_once('-')?.1.parse().unwrap(), kind.to_owned()))
        };
        keys.lines().filter_map(entry).collect()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn decisions_are_kept_in_etcd_and_a_restart_goes_on_from_them() {
    let etcd = Etcd::start();
    let site = Site::new(&format!(
        r#"
mode: act
listen: 127.0.0.1:0
tick: 100ms
sources: [{{id: app, file: app.log, parse: json}}]
rules: [rules.yaml]
decision_log: {{etcd: {{endpoints: ["{}"], prefix: mine/}}}}
scalers:
  - spec: {{targetRef: {{name: api}}, minReplicas: 1, maxReplicas: 9}}
    command: {{scale: [echo, '{{replicas}}'], initial: 1}}
"#,
        etcd.url
    ));
    let rule = "rules: [{name: hot, when: level == 'error', then: \"scale('api', '+2')\"}]";
    site.write("rules.yaml", rule);
    site.write("app.log", "");
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 1.0);
    site.append("app.log", "{\"level\":\"error\"}\n");
    birl.wait_for_metric(&["autoscaler_replicas", "api"], 3.0);
    let applied = || etcd.entries().into_iter().find(|(_, kind)| kind.ends_with("applied"));
    wait("an entry", applied).unwrap();
    assert_eq!(birl.stop(), Some(0));
    assert!(!site.path("birl-state/decisions").exists(), "there is one log");

    let before = etcd.entries();
    let last = before.iter().map(|(count, _)| *count).max().unwrap();
    let birl = site.start();
    let more = || etcd.entries().get(before.len()).map(|(count, _)| *count);
    assert_eq!(wait("the next entry", more).unwrap(), last + 1);
    assert_eq!(birl.stop(), Some(0));
}
