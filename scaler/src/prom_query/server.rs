//! The server: one HTTP client for all queries, and one pause when it is away.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::answer;
use super::auth::Auth;
use super::gate::{Gate, Pass};
use crate::error::{Error, ErrorKind};
use crate::source::{Fault, FaultKind};

/// A connection that is not there by then is taken for none; less than a query's timeout, so that a
/// server that is gone is told from one that is slow.
const MAX_CONNECT: Duration = Duration::from_secs(1);

/// The body of an error is waited for up to here.
const MAX_ERROR: Duration = Duration::from_millis(500);

/// How many connections are kept for the next tick.
const MAX_IDLE: usize = 16;

/// A server that speaks Prometheus' HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics.
///
/// Clones are handles to the same server. Its queries share connections, and they share the pauses
/// when it is away: it is then dialled by one of them at a time, after 1, 2, 4, 8 and then every
/// 10 s, and the others are told so at once. `Debug` and errors show scheme, host and port only.
///
/// Needs a running tokio runtime with time and I/O enabled.
#[derive(Clone)]
pub struct PrometheusServer(Arc<Server>);

struct Server {
    client: Client<HttpConnector, Full<Bytes>>,
    endpoint: Uri,
    shown: String,
    auth: Option<Arc<Auth>>,
    gate: Arc<Mutex<Gate>>,
}

impl PrometheusServer {
    /// The server at this URL, such as `http://127.0.0.1:9090`, or with a path where it lives
    /// behind a prefix. Opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if it is not an absolute `http://` URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let (endpoint, shown) = endpoint(url)?;
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(MAX_CONNECT));
        http.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(MAX_IDLE)
            .build(http);
        Ok(Self(Arc::new(Server { client, endpoint, shown, auth: None, gate: Arc::default() })))
    }

    /// Sends the token that is in `file`, which is read for each query.
    #[must_use]
    pub fn bearer_token_file(self, file: impl Into<PathBuf>) -> Self {
        self.with(Auth::Bearer { file: file.into() })
    }

    /// Sends `user` with the password that is in `file`, which is read for each query.
    #[must_use]
    pub fn basic_auth(self, user: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        self.with(Auth::Basic { user: user.into(), file: file.into() })
    }

    fn with(self, auth: Auth) -> Self {
        let Server { client, endpoint, shown, gate, .. } = &*self.0;
        Self(Arc::new(Server {
            client: client.clone(),
            endpoint: endpoint.clone(),
            shown: shown.clone(),
            auth: Some(Arc::new(auth)),
            gate: Arc::clone(gate),
        }))
    }

    /// What may be shown of its URL.
    pub(super) fn shown(&self) -> &str {
        &self.0.shown
    }

    /// The whole body of a successful answer.
    pub(super) async fn ask(
        &self,
        expression: &str,
        timeout: Duration,
        max_body: usize,
    ) -> Result<Bytes, Fault> {
        let server = &*self.0;
        let mut visit = Visit::enter(server)?;
        let exchange = server.exchange(expression, timeout, max_body, &mut visit);
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(server.fault(
                FaultKind::Timeout,
                format!(
                    "no answer within {}: is the server overloaded, or the expression one for a \
                     recording rule?",
                    crate::duration::format(timeout)
                ),
            )),
        }
    }
}

impl Server {
    async fn exchange(
        &self,
        expression: &str,
        timeout: Duration,
        max_body: usize,
        visit: &mut Visit<'_>,
    ) -> Result<Bytes, Fault> {
        let form = format!("query={}&timeout={}ms", encode(expression), timeout.as_millis().max(1));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("birl-scaler/", env!("CARGO_PKG_VERSION")));
        if let Some(auth) = &self.auth {
            let header = Arc::clone(auth).header().await;
            let header = header.map_err(|why| self.fault(FaultKind::Unsupported, why))?;
            request = request.header(AUTHORIZATION, header);
        }
        let mut request = request
            .body(Full::new(Bytes::from(form)))
            .map_err(|e| self.fault(FaultKind::Unsupported, format!("no request: {e}")))?;
        visit.connection = Some(capture_connection(&mut request));
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(e) => {
                visit.found(false);
                return Err(self.fault(FaultKind::Unreachable, format!("no answer: {}", chain(&e))));
            }
        };
        visit.found(true);
        let status = response.status();
        if status.is_success() {
            return self.body(response, max_body).await;
        }
        // It is known that it refuses; why is worth a moment.
        let body = tokio::time::timeout(MAX_ERROR, self.body(response, max_body)).await;
        let told = body.ok().and_then(Result::ok).map(|body| answer::error(&body));
        let told = told.unwrap_or_default();
        let hint = match status.as_u16() {
            300..=399 => "; redirects are not followed: write the URL that it leads to",
            401 | 403 => "; give the server's `bearer_token_file` or `basic_auth`",
            404 => "; write the URL with the path before `/api/v1/query`",
            _ => "",
        };
        Err(self.fault(FaultKind::Refused, format!("{status}{told}{hint}")))
    }

    async fn body(&self, response: Response<Incoming>, max: usize) -> Result<Bytes, Fault> {
        match Limited::new(response.into_body(), max).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(e) if e.is::<LengthLimitError>() => Err(self.fault(
                FaultKind::TooLarge,
                format!("the answer is longer than {max} bytes: aggregate, or raise `max_body`"),
            )),
            Err(e) => {
                let why = format!("the answer broke off: {}", chain(&*e));
                Err(self.fault(FaultKind::Unreachable, why))
            }
        }
    }

    fn fault(&self, kind: FaultKind, why: impl fmt::Display) -> Fault {
        Fault::new(kind, format!("{}: {why}", self.shown))
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One query that was let through, and tells the gate what it found.
struct Visit<'a> {
    server: &'a Server,
    pass: Option<Pass>,
    connection: Option<CaptureConnection>,
}

impl<'a> Visit<'a> {
    fn enter(server: &'a Server) -> Result<Self, Fault> {
        let entered = server.gate().enter(Instant::now());
        match entered {
            Ok(pass) => Ok(Self { server, pass: Some(pass), connection: None }),
            Err(wait) => Err(server.fault(
                FaultKind::Unreachable,
                format!(
                    "not dialled: it did not answer, and is tried again in {}",
                    crate::duration::format(wait)
                ),
            )),
        }
    }

    fn found(&mut self, is_there: bool) {
        if let Some(pass) = self.pass.take() {
            let mut gate = self.server.gate();
            match is_there {
                true => gate.reached(),
                false => gate.failed(pass, Instant::now()),
            }
        }
    }
}

impl Drop for Visit<'_> {
    /// Given up at a deadline. A server that let it in is there, and its other queries may be quicker.
    fn drop(&mut self) {
        let connection = self.connection.as_ref();
        let is_there = connection.is_some_and(|made| made.connection_metadata().is_some());
        self.found(is_there);
    }
}

impl fmt::Debug for PrometheusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusServer").field("url", &self.0.shown).finish_non_exhaustive()
    }
}

/// Where queries are posted to, and what may be shown of it.
fn endpoint(url: &str) -> Result<(Uri, String), Error> {
    let invalid = |why: &str| Error::new(ErrorKind::InvalidInput, format!("url: {why}"));
    let uri: Uri = url
        .parse()
        .map_err(|_| invalid("this is not a URL: write it like http://127.0.0.1:9090"))?;
    let authority = uri
        .authority()
        .filter(|authority| !authority.host().is_empty())
        .ok_or_else(|| invalid("the host is missing: write it like http://127.0.0.1:9090"))?;
    if authority.as_str().contains('@') {
        return Err(invalid("a user or password in a URL is not supported: use `basic_auth`"));
    }
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(invalid("https:// is not supported yet: use a local proxy")),
        _ => return Err(invalid("only http:// can be asked")),
    }
    if uri.query().is_some() {
        return Err(invalid("a `?` does not belong here: give the expression to a query"));
    }
    let path = uri.path().trim_end_matches('/');
    let base = path.strip_suffix("/api/v1/query").unwrap_or(path);
    let base = base.strip_suffix("/api/v1").unwrap_or(base);
    let endpoint = format!("http://{authority}{base}/api/v1/query");
    let endpoint = endpoint.parse().map_err(|_| invalid("its path cannot be added to"))?;
    Ok((endpoint, format!("http://{authority}")))
}

/// `application/x-www-form-urlencoded`, as the URL standard has it.
fn encode(text: &str) -> String {
    let mut coded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'*' | b'-' | b'.' | b'_' => {
                coded.push(char::from(byte));
            }
            b' ' => coded.push('+'),
            _ => coded.push_str(&format!("%{byte:02X}")),
        }
    }
    coded
}

/// An error and its causes: hyper's own text alone says little.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
