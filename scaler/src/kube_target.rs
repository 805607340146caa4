//! A target in Kubernetes: anything with a `/scale` subresource.

use std::time::Duration;

use async_trait::async_trait;
use kube::api::{GetParams, Patch, PatchParams};
use kube::core::request::Request;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, Resource};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::decision::Decision;
use crate::error::{Error, ErrorKind};
use crate::signal::Replicas;
use crate::spec::TargetRef;
use crate::target::ScaleTarget;

/// How often a write is tried again when something else was changed meanwhile.
const CONFLICTS: u32 = 5;

/// How soon the size is asked for again while a change is under way; doubled up to the second one.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// How long one answer of the API server may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Scales a Deployment, a StatefulSet, or anything else of Kubernetes that has `/scale`.
///
/// It writes `spec.replicas` through that subresource alone, as the field manager `birl`, so that
/// whoever else applies the object sees whose field it is. A size that is there already is not
/// written again. A change that was decided from another size than the one that is there now is not
/// carried out: somebody else has changed it meanwhile, and the next decision sees that.
///
/// It needs the verbs `get` and `patch` on the resource's `/scale`, and `get` on the resource
/// itself, which tells how many replicas are ready. Where it may not get that, those that exist
/// count as ready.
///
/// ```no_run
/// # async fn example() -> Result<(), birl_scaler::Error> {
/// use birl_scaler::{KubeTarget, ScaleTarget, ScalerSpec};
///
/// let spec = ScalerSpec::new("web", 1, 10); // of kind Deployment unless it says otherwise
/// let target = KubeTarget::connect("shop", &spec.target_ref).await?;
/// println!("{} are ready", target.replicas().await?.ready);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct KubeTarget {
    client: Client,
    /// The namespaced collection, as in `/apis/apps/v1/namespaces/shop/deployments`.
    path: String,
    name: String,
    /// `deployments.apps`, for messages.
    resource: String,
    namespace: String,
    manager: String,
    deadline: Duration,
}

/// What is read of a `Scale`.
#[derive(Debug, Deserialize)]
struct Scale {
    metadata: Metadata,
    #[serde(default)]
    spec: ScaleSpec,
    #[serde(default)]
    status: ScaleStatus,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ScaleSpec {
    /// Zero is left out.
    #[serde(default)]
    replicas: u32,
}

#[derive(Debug, Default, Deserialize)]
struct ScaleStatus {
    #[serde(default)]
    replicas: u32,
}

/// What is read of the scaled object.
#[derive(Debug, Deserialize)]
struct Scaled {
    status: Option<ScaledStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScaledStatus {
    /// Absent while it is zero, and for kinds that have none.
    ready_replicas: Option<u32>,
    /// Whether the kind counts replicas at all.
    replicas: Option<u32>,
}

impl std::fmt::Debug for KubeTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, name, manager, .. } = self;
        f.debug_struct("KubeTarget")
            .field("path", path)
            .field("name", name)
            .field("manager", manager)
            .finish_non_exhaustive()
    }
}

impl KubeTarget {
    /// Finds the cluster as `kubectl` does: `KUBECONFIG`, `~/.kube/config`, or the pod's service
    /// account.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Target`] if there is none, and as from [`with_client`](Self::with_client).
    pub async fn connect(namespace: &str, target: &TargetRef) -> Result<Self, Error> {
        let client = Client::try_default().await.map_err(|error| {
            let message = format!(
                "no cluster is configured: {error}: set KUBECONFIG, or run with a service account"
            );
            Error::new(ErrorKind::Target, message).with_source(error)
        })?;
        Self::with_client(client, namespace, target)
    }

    /// Talks to the API server at `url` without credentials, as through `kubectl proxy`. Needs a
    /// running tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if that is no URL, and as from
    /// [`with_client`](Self::with_client).
    pub fn at(url: &str, namespace: &str, target: &TargetRef) -> Result<Self, Error> {
        let wrong = |why: String| {
            let message = format!("`{url}` is no API server: {why}: write http://127.0.0.1:8001");
            Error::new(ErrorKind::InvalidInput, message)
        };
        let uri = url.parse().map_err(|error| wrong(format!("{error}")))?;
        let client =
            Client::try_from(Config::new(uri)).map_err(|error| wrong(error.to_string()))?;
        Self::with_client(client, namespace, target)
    }

    /// Scales through a client of the host's own. Without a kind the target is a Deployment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if names or `apiVersion` are none that Kubernetes has.
    pub fn with_client(client: Client, namespace: &str, target: &TargetRef) -> Result<Self, Error> {
        let api = resource(namespace, target)?;
        let group = &api.group;
        let resource =
            if group.is_empty() { api.plural.clone() } else { format!("{}.{group}", api.plural) };
        Ok(Self {
            client,
            path: DynamicObject::url_path(&api, Some(namespace)),
            name: target.name.to_string(),
            resource,
            namespace: namespace.to_owned(),
            manager: "birl".to_owned(),
            deadline: Duration::from_secs(120),
        })
    }

    /// Whether such a target can be, as far as that is known without a cluster.
    ///
    /// # Errors
    ///
    /// As from [`with_client`](Self::with_client).
    pub fn check(namespace: &str, target: &TargetRef) -> Result<(), Error> {
        resource(namespace, target).map(|_| ())
    }

    /// Sets the field manager that changes are written as; `birl` by default.
    #[must_use]
    pub fn field_manager(mut self, name: impl Into<String>) -> Self {
        self.manager = name.into();
        self
    }

    /// How long a change may take until all replicas are ready; 2 min by default.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn scale(&self) -> Result<Scale, Error> {
        let request = Request::new(&self.path).get_subresource("scale", &self.name);
        self.answer("get", "/scale", request).await
    }

    async fn size(&self) -> Result<Replicas, Error> {
        let scale = self.scale().await?;
        let request = Request::new(&self.path).get(&self.name, &GetParams::default());
        let ready = match self.answer::<Scaled>("get", "", request).await {
            Ok(Scaled { status: Some(ScaledStatus { ready_replicas: Some(ready), .. }) }) => ready,
            // A kind that counts replicas leaves out how many are ready while none is.
            Ok(Scaled { status: Some(ScaledStatus { replicas: Some(_), .. }) }) => 0,
            Ok(_) => scale.status.replicas,
            Err(error) if is_status(&error, 403) => scale.status.replicas,
            Err(error) => return Err(error),
        };
        Ok(Replicas { desired: scale.spec.replicas, ready })
    }

    /// Writes the size, unless it is there or the decision was about another one.
    async fn write(&self, replicas: u32, from: u32) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            let scale = self.scale().await?;
            let there = scale.spec.replicas;
            if there == replicas {
                return Ok(());
            }
            if there != from {
                return Err(self.error(format!(
                    "it has {there} replicas, and the decision was made for {from}: somebody else \
                     has changed it; the next decision sees that"
                )));
            }
            let patch = Patch::Merge(json!({
                "metadata": { "resourceVersion": scale.metadata.resource_version },
                "spec": { "replicas": replicas },
            }));
            let params =
                PatchParams { field_manager: Some(self.manager.clone()), ..PatchParams::default() };
            let request =
                Request::new(&self.path).patch_subresource("scale", &self.name, &params, &patch);
            match self.answer::<Scale>("patch", "/scale", request).await {
                Ok(_) => return Ok(()),
                Err(error) if is_status(&error, 409) && tries < CONFLICTS => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn answer<T: serde::de::DeserializeOwned>(
        &self,
        verb: &str,
        sub: &str,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, Error> {
        let request = request.map_err(|error| self.error(error.to_string()))?;
        let answer = timeout(ANSWER, self.client.request(request)).await.map_err(|_| {
            let message = format!("{}: the API server did not answer within 10s", self.place());
            Error::new(ErrorKind::Timeout, message)
        })?;
        answer.map_err(|error| {
            let text = match &error {
                kube::Error::Api(status) => self.refusal(verb, sub, status.code, &status.message),
                other => format!("the API server cannot be asked: {other}"),
            };
            self.error(text).with_source(error)
        })
    }

    /// What the API server said, and what helps.
    fn refusal(&self, verb: &str, sub: &str, code: u16, message: &str) -> String {
        let Self { resource, namespace, .. } = self;
        let plural = resource.split('.').next().unwrap_or_default();
        let remedy = match code {
            401 => "renew the credentials".to_owned(),
            403 => {
                format!("grant a Role in `{namespace}` the verb `{verb}` on `{plural}{sub}`")
            }
            404 if sub.is_empty() => "check namespace, name, kind and apiVersion".to_owned(),
            404 => {
                "check namespace, name, kind and apiVersion; the kind must have /scale".to_owned()
            }
            409 => format!(
                "it was changed by others {CONFLICTS} times in a row: does something else scale it?"
            ),
            _ => return format!("{message} ({code})"),
        };
        format!("{message} ({code}): {remedy}")
    }

    fn error(&self, text: String) -> Error {
        Error::new(ErrorKind::Target, format!("{}: {text}", self.place()))
    }

    fn place(&self) -> String {
        format!("{}/{} in {}", self.resource, self.name, self.namespace)
    }
}

#[async_trait]
impl ScaleTarget for KubeTarget {
    async fn replicas(&self) -> Result<Replicas, Error> {
        self.size().await
    }

    async fn scale_to(&self, replicas: u32, decision: &Decision) -> Result<(), Error> {
        let deadline = Instant::now() + self.deadline.min(Duration::from_secs(86_400));
        self.write(replicas, decision.from).await?;
        let mut pause = POLL.0;
        loop {
            let there = self.size().await?;
            if there == Replicas::ready(replicas) {
                return Ok(());
            }
            if there.desired != replicas {
                let text =
                    format!("{} was written, and somebody else wrote {}", replicas, there.desired);
                return Err(self.error(text));
            }
            if timeout_at(deadline, sleep(pause)).await.is_err() {
                let within = crate::duration::format(self.deadline);
                let message = format!(
                    "{}: {} of {replicas} replicas are ready after {within}: see its events",
                    self.place(),
                    there.ready
                );
                return Err(Error::new(ErrorKind::Timeout, message));
            }
            pause = (pause * 2).min(POLL.1);
        }
    }
}

/// What to ask for. Without a kind it is a Deployment.
fn resource(namespace: &str, target: &TargetRef) -> Result<ApiResource, Error> {
    let wrong = |what: &str, value: &str, remedy: &str| {
        let message = format!("{what} `{value}` is none that Kubernetes has: {remedy}");
        Err(Error::new(ErrorKind::InvalidInput, message))
    };
    for (what, value) in [("namespace", namespace), ("targetRef.name", &*target.name)] {
        if !is_name(value) {
            return wrong(what, value, "use lower-case letters, digits, `-` and `.`");
        }
    }
    let kind = target.kind.as_deref().unwrap_or("Deployment");
    let default = if target.kind.is_none() || is_of_apps(kind) { "apps/v1" } else { "" };
    let api_version = target.api_version.as_deref().unwrap_or(default);
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if !kind.chars().all(|c| c.is_ascii_alphanumeric()) || kind.is_empty() {
        return wrong("targetRef.kind", kind, "write it as in `StatefulSet`");
    }
    if !is_name(version) || !(group.is_empty() || is_name(group)) {
        return wrong("targetRef.apiVersion", api_version, "write it as in `apps/v1`");
    }
    Ok(ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)))
}

fn is_status(error: &Error, code: u16) -> bool {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<kube::Error>()) {
        Some(kube::Error::Api(status)) => status.code == code,
        _ => false,
    }
}

/// The kinds of `apps/v1` that have `/scale`.
fn is_of_apps(kind: &str) -> bool {
    matches!(kind, "Deployment" | "ReplicaSet" | "StatefulSet")
}

/// What can stand in a path.
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !text.is_empty()
        && text.len() <= 253
        && text.chars().all(inner)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}
