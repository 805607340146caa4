//! What the path of a container's log says about it.

use std::collections::BTreeMap;
use std::path::Path;

/// The labels that the path of a container's log stands for, by their names in OpenTelemetry; none
/// if it is the path of no such log.
///
/// Both names of a log are understood, rotated files included:
/// `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log` and
/// `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log`. The first gives `k8s.namespace.name`,
/// `k8s.pod.name`, `k8s.container.name` and `container.id`; the second `k8s.pod.uid` and
/// `k8s.container.restart_count` instead of the last.
///
/// ```
/// use birl_logsource::kubernetes_labels;
///
/// let labels = kubernetes_labels("/var/log/pods/shop_api-0_1b2c-3d/api/4.log").unwrap();
/// assert_eq!(labels["k8s.pod.name"], "api-0");
/// assert_eq!(labels["k8s.container.restart_count"], "4");
/// ```
#[must_use]
pub fn kubernetes_labels(path: impl AsRef<Path>) -> Option<BTreeMap<String, String>> {
    let path = path.as_ref();
    let file = path.file_name()?.to_str()?;
    let directory = path.parent()?;
    if directory.ends_with("containers") {
        of_container(file.strip_suffix(".log")?)
    } else {
        of_pod(directory, file)
    }
}

/// `POD_NAMESPACE_CONTAINER-ID`. No name in Kubernetes has a `_` in it.
fn of_container(stem: &str) -> Option<BTreeMap<String, String>> {
    let (pod, rest) = stem.split_once('_')?;
    let (namespace, rest) = rest.split_once('_')?;
    let (container, id) = rest.rsplit_once('-')?;
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let names = [pod, namespace, container].into_iter().all(is_name);
    (is_id && names).then(|| {
        labels([
            ("k8s.namespace.name", namespace),
            ("k8s.pod.name", pod),
            ("k8s.container.name", container),
            ("container.id", id),
        ])
    })
}

/// `NAMESPACE_POD_UID/CONTAINER`, and `4.log`, `4.log.20261123-080000` or that with `.gz`.
fn of_pod(directory: &Path, file: &str) -> Option<BTreeMap<String, String>> {
    let (restarts, rest) = file.split_once('.')?;
    let is_log = rest == "log" || rest.starts_with("log.");
    let is_count = !restarts.is_empty() && restarts.bytes().all(|byte| byte.is_ascii_digit());
    let container = directory.file_name()?.to_str()?;
    let mut names = directory.parent()?.file_name()?.to_str()?.split('_');
    let (namespace, pod, uid) = (names.next()?, names.next()?, names.next()?);
    let all = [namespace, pod, uid, container].into_iter().all(is_name) && names.next().is_none();
    (is_log && is_count && all).then(|| {
        labels([
            ("k8s.namespace.name", namespace),
            ("k8s.pod.name", pod),
            ("k8s.pod.uid", uid),
            ("k8s.container.name", container),
            ("k8s.container.restart_count", restarts),
        ])
    })
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !name.is_empty() && name.bytes().all(is_plain)
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> Option<String> {
        let labels = kubernetes_labels(path)?;
        let labels = labels.iter().map(|(name, value)| {
            format!("{}={value}", name.replace("k8s.", "").replace(".name", ""))
        });
        Some(labels.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn both_names_of_a_log_are_understood() {
        let id = "0123456789abcdef".repeat(4);
        let path = format!("/var/log/containers/api-7d9_shop_web-server-{id}.log");
        let labels = format!("container.id={id} container=web-server namespace=shop pod=api-7d9");
        assert_eq!(shown(&path), Some(labels));
        let labels = "container=web-server container.restart_count=12 namespace=shop pod=api.v1 \
                      pod.uid=5f7-a";
        for file in ["12.log", "12.log.20261123-080000", "12.log.20261123-080000.gz"] {
            let path = format!("/var/log/pods/shop_api.v1_5f7-a/web-server/{file}");
            assert_eq!(shown(&path).as_deref(), Some(labels));
        }
    }

    #[test]
    fn other_paths_have_no_labels() {
        let paths = [
            "",
            "/",
            "/var/log/syslog",
            "/var/log/containers/api_shop_web-0123.log",
            "/var/log/pods/shop_api/web/0.log",
            "/var/log/pods/shop_api_5f7/web/access.log",
            "/var/log/pods/shop_api_5f7_x/web/0.log",
            "/var/log/pods/shop_api_5f7/web/0.txt",
        ];
        for path in paths {
            assert_eq!(shown(path), None, "{path}");
        }
    }
}
