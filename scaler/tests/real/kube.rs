//! Kubernetes' `/scale`: against a small server that speaks its paths, and against a real cluster where KUBECONFIG names
//! one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use birl_scaler::{
    Change, Decider, Decision, ErrorKind, KubeTarget, Observation, Replicas, ScaleIntent,
    ScaleTarget, ScalerSpec, TargetRef,
};
use serde_json::{Value, json};

/// A Deployment `web` in `shop`.
#[derive(Debug, Default)]
struct World {
    replicas: u32,
    ready: u32,
    /// How often the number of ready ones is asked for before it follows.
    lag: u32,
    version: u64,
    /// Somebody else changes something before so many of the next writes.
    intruders: u32,
    /// Somebody else sets this size once, after a write.
    undo: Option<u32>,
    /// Refuse these verbs and paths with this code.
    refuse: Option<(&'static str, &'static str, u16)>,
    /// Method, path with query, body.
    requests: Vec<(String, String, Value)>,
}

#[derive(Clone)]
struct Server {
    url: String,
    world: Arc<Mutex<World>>,
}

const OBJECT: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

impl Server {
    fn start(world: World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(world));
        let shared = Arc::clone(&world);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let world = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &world));
            }
        });
        Self { url, world }
    }

    fn target(&self) -> KubeTarget {
        KubeTarget::at(&self.url, "shop", &reference("web")).unwrap()
    }

    fn writes(&self) -> Vec<(String, Value)> {
        let world = self.world.lock().unwrap();
        let writes = world.requests.iter().filter(|(method, ..)| method != "GET");
        writes.map(|(_, path, body)| (path.clone(), body.clone())).collect()
    }
}

fn serve(stream: TcpStream, world: &Mutex<World>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (code, answer) = world.lock().unwrap().answer(method, path, body);
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if reader.get_mut().write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

impl World {
    fn answer(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.requests.push((method.to_owned(), path.to_owned(), body.clone()));
        let bare = path.split('?').next().unwrap_or_default();
        let refusal = |code: u16, reason: &str| {
            let message = format!("the server says {reason}");
            (
                code,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}),
            )
        };
        if let Some((verb, end, code)) = self.refuse
            && verb == method
            && bare.ends_with(end)
        {
            return refusal(code, "No");
        }
        let scale = format!("{OBJECT}/scale");
        match (method, bare) {
            ("GET", OBJECT) => {
                match self.lag {
                    0 => self.ready = self.replicas,
                    _ => self.lag -= 1,
                }
                let mut status = json!({"replicas": self.replicas});
                if self.ready > 0 {
                    status["readyReplicas"] = self.ready.into();
                }
                (200, json!({"kind": "Deployment", "metadata": {"name": "web"}, "status": status}))
            }
            ("GET", bare) if bare == scale => (200, self.scale()),
            ("PATCH", bare) if bare == scale => {
                if self.intruders > 0 {
                    (self.intruders, self.version) = (self.intruders - 1, self.version + 1);
                }
                let version = Value::from(self.version.to_string());
                if body["metadata"]["resourceVersion"] != version {
                    return refusal(409, "Conflict");
                }
                self.version += 1;
                let asked = body["spec"]["replicas"].as_u64().unwrap() as u32;
                self.replicas = self.undo.take().unwrap_or(asked);
                (200, self.scale())
            }
            _ => refusal(404, "NotFound"),
        }
    }

    fn scale(&self) -> Value {
        let mut spec = json!({});
        if self.replicas > 0 {
            spec["replicas"] = self.replicas.into();
        }
        json!({
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {"name": "web", "namespace": "shop", "resourceVersion": self.version.to_string()},
            "spec": spec,
            "status": {"replicas": self.replicas, "selector": "app=web"},
        })
    }
}

fn reference(name: &str) -> TargetRef {
    ScalerSpec::new(name, 1, 10).target_ref
}

fn decision(from: u32, to: u32) -> Decision {
    let mut decider = Decider::new(ScalerSpec::new("web", 1, 100)).unwrap();
    let seen =
        Observation::new(Replicas::ready(from)).intent(ScaleIntent::new("a", Change::To(to)));
    decider.decide(&seen, std::time::SystemTime::now())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_size_is_written_through_scale_as_birls_own_field_and_is_waited_for() {
    let server =
        Server::start(World { replicas: 2, ready: 2, lag: 1, version: 7, ..World::default() });
    let target = server.target();
    assert_eq!(target.replicas().await.unwrap(), Replicas::ready(2));
    server.world.lock().unwrap().lag = 2;
    target.scale_to(4, &decision(2, 4)).await.unwrap();
    assert_eq!(target.replicas().await.unwrap(), Replicas::ready(4));
    let writes = server.writes();
    let [(path, body)] = &writes[..] else { panic!("{writes:?}") };
    assert!(path.starts_with(&format!("{OBJECT}/scale?")), "{path}");
    assert!(path.contains("fieldManager=birl"), "{path}");
    assert_eq!(*body, json!({"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 4}}));
    // What is there already is not written again.
    target.scale_to(4, &decision(2, 4)).await.unwrap();
    assert_eq!(server.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_tried_again_with_what_is_there_then() {
    let server = Server::start(World { replicas: 2, intruders: 3, ..World::default() });
    server.target().scale_to(3, &decision(2, 3)).await.unwrap();
    assert_eq!(server.writes().len(), 4);

    let server = Server::start(World { replicas: 2, intruders: 100, ..World::default() });
    let error = server.target().scale_to(3, &decision(2, 3)).await.unwrap_err();
    assert!(
        error.to_string().contains("(409): it was changed by others 5 times in a row"),
        "{error}"
    );
    assert_eq!(server.writes().len(), 6);
}

/// A person who sets it to zero between the decision and the write is not overruled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_about_another_size_is_not_carried_out() {
    let server = Server::start(World::default());
    let error = server.target().scale_to(3, &decision(2, 3)).await.unwrap_err();
    assert!(
        error.to_string().contains("it has 0 replicas, and the decision was made for 2"),
        "{error}"
    );
    assert!(error.is_retryable());
    assert!(server.writes().is_empty());

    let server = Server::start(World { replicas: 2, undo: Some(1), ..World::default() });
    let error = server.target().scale_to(3, &decision(2, 3)).await.unwrap_err();
    assert!(error.to_string().contains("3 was written, and somebody else wrote 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_api_server_refuses_comes_with_a_remedy() {
    for (refuse, words) in [
        (
            ("PATCH", "/scale", 403),
            "grant a Role in `shop` the verb `patch` on `deployments/scale`",
        ),
        (("GET", "/scale", 403), "grant a Role in `shop` the verb `get` on `deployments/scale`"),
        (("GET", "/scale", 404), "check namespace, name, kind and apiVersion"),
        (("GET", "/scale", 401), "renew the credentials"),
        (("PATCH", "/scale", 422), "the server says No (422)"),
    ] {
        let server = Server::start(World { replicas: 2, refuse: Some(refuse), ..World::default() });
        let error = server.target().scale_to(3, &decision(2, 3)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Target);
        let text = error.to_string();
        assert!(text.starts_with("deployments.apps/web in shop: "), "{text}");
        assert!(text.contains(words), "{text}");
    }
    // Whoever may not see the object goes by those that exist.
    let refuse = Some(("GET", "/web", 403));
    let server = Server::start(World { replicas: 2, refuse, ..World::default() });
    assert_eq!(server.target().replicas().await.unwrap(), Replicas::ready(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_do_not_get_ready_are_a_timeout_and_none_ready_is_not_all_ready() {
    let world = World { replicas: 2, lag: 1000, ..World::default() };
    let server = Server::start(world);
    let target = server.target().deadline(Duration::from_millis(600));
    assert_eq!(target.replicas().await.unwrap(), Replicas { desired: 2, ready: 0 });
    let error = target.scale_to(3, &decision(2, 3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("0 of 3 replicas are ready after 600ms"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_and_names_that_cannot_be_are_said() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target =
        KubeTarget::at(&format!("http://127.0.0.1:{port}"), "shop", &reference("web")).unwrap();
    let error = target.replicas().await.unwrap_err();
    assert!(error.to_string().contains("the API server cannot be asked"), "{error}");
    for (namespace, name) in
        [("../x", "web"), ("shop", "web/../secrets"), ("", "web"), ("shop", "Web")]
    {
        let error = KubeTarget::at("http://127.0.0.1:1", namespace, &reference(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{namespace} {name}");
    }
    let mut custom = reference("web");
    custom.kind = Some("CronTab".to_owned());
    let error = KubeTarget::at("http://127.0.0.1:1", "shop", &custom).unwrap_err();
    assert!(error.to_string().contains("write it as in `apps/v1`"), "{error}");
    custom.api_version = Some("stable.example.com/v1".to_owned());
    let target = KubeTarget::at("http://127.0.0.1:1", "shop", &custom).unwrap();
    let shown = format!("{target:?}");
    assert!(shown.contains("/apis/stable.example.com/v1/namespaces/shop/crontabs"), "{shown}");
    assert!(KubeTarget::at("no url at all", "shop", &reference("web")).is_err());
}

/// Against the cluster of KUBECONFIG, on the Deployment that BIRL_KUBE_TARGET names as `NAMESPACE/NAME`: one more, and
/// back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_cluster_where_one_is_named() {
    let (Some(_), Ok(place)) = (std::env::var_os("KUBECONFIG"), std::env::var("BIRL_KUBE_TARGET"))
    else {
        return;
    };
    let (namespace, name) = place.split_once('/').expect("BIRL_KUBE_TARGET is NAMESPACE/NAME");
    let target = KubeTarget::connect(namespace, &reference(name)).await.unwrap();
    let before = target.replicas().await.unwrap().desired;
    target.scale_to(before + 1, &decision(before, before + 1)).await.unwrap();
    assert_eq!(target.replicas().await.unwrap(), Replicas::ready(before + 1));
    target.scale_to(before, &decision(before + 1, before)).await.unwrap();
}
