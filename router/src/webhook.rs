//! The webhook: Alertmanager's JSON, posted over HTTP.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::error::ErrorKind;
use crate::{Error, Notification, Notifier, NotifyError, WebhookConfig};

/// An endpoint's answer is read up to here; more of it closes the connection.
const MAX_ANSWER: usize = 64 * 1024;
/// So much of an answer is worth an operator's while.
const MAX_QUOTED: usize = 200;
const MAX_CONNECT: Duration = Duration::from_secs(5);
/// The body of an answer is waited for up to here: it decides nothing.
const MAX_BODY: Duration = Duration::from_secs(1);

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

/// Posts notifications as Alertmanager's webhook JSON, version 4, with the notification's id as `Idempotency-Key`.
///
/// | answer | meaning |
/// | --- | --- |
/// | 2xx | delivered |
/// | 408, 425, 429, 5xx, no answer | another attempt can help; `Retry-After` is honored |
/// | everything else | refused for good; redirects are not followed |
///
/// Connections are kept and used again. A URL may hold a secret, so errors and `Debug` show scheme, host and port only.
pub struct WebhookNotifier {
    client: Client<Connector, Full<Bytes>>,
    url: Uri,
    timeout: Duration,
}

impl WebhookNotifier {
    /// A notifier for this webhook. Opens no connection yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUrl`] if the URL is not an absolute `http://` one (or `https://`, with the feature `tls`),
    /// [`ErrorKind::Io`] if the system's certificates cannot be read.
    pub fn new(config: &WebhookConfig) -> Result<Self, Error> {
        let invalid = |message: &str| Error::new(ErrorKind::InvalidUrl, "url", message);
        let url: Uri = config.url.parse().map_err(|_| {
            invalid("this is not a URL: write it like http://alerts.example:8080/hook")
        })?;
        if url.host().is_none_or(str::is_empty) {
            return Err(invalid("the host is missing: write it like http://alerts.example/hook"));
        }
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(invalid("a user name or password in a URL is not supported: remove it"));
        }
        match url.scheme_str() {
            Some("http") => {}
            Some("https") if cfg!(feature = "tls") => {}
            Some("https") => {
                let hint = "https:// needs birl-router's feature `tls`, which this build lacks";
                return Err(invalid(hint));
            }
            _ => return Err(invalid("only http:// and https:// can be posted to")),
        }
        if config.timeout.is_zero() {
            let message = "must be longer than zero";
            return Err(Error::new(ErrorKind::InvalidConfig, "timeout", message));
        }
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(config.timeout.min(MAX_CONNECT)));
        http.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .build(connector(http)?);
        Ok(Self { client, url, timeout: config.timeout })
    }

    async fn post(&self, notification: &Notification) -> Result<(), NotifyError> {
        let body = serde_json::to_vec(&notification.to_webhook_v4())
            .map_err(|e| NotifyError::permanent(format!("the notification is no JSON: {e}")))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("birl-router/", env!("CARGO_PKG_VERSION")))
            .header(HeaderName::from_static("idempotency-key"), &notification.id)
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| NotifyError::permanent(format!("the request cannot be built: {e}")))?;
        let url = Shown(&self.url);
        let began = Instant::now();
        let answer = tokio::time::timeout(self.timeout, self.client.request(request)).await;
        let response = answer
            .map_err(|_| {
                let within = crate::duration::format(self.timeout);
                NotifyError::retryable(format!("{url}: no answer within {within}"))
            })?
            .map_err(|e| NotifyError::retryable(format!("{url}: no answer: {}", chain(&e))))?;
        // From here on it is known what became of it, whether the body comes or not.
        let (status, after) = (response.status(), retry_after(response.headers()));
        let patience = self.timeout.saturating_sub(began.elapsed()).min(MAX_BODY);
        let text = tokio::time::timeout(patience, read(response)).await.unwrap_or_default();
        if status.is_success() {
            return Ok(());
        }
        let message = format!("{url} answered {status}{text}");
        let error = match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                NotifyError::retryable(message)
            }
            status if status.is_server_error() => NotifyError::retryable(message),
            status if status.is_redirection() => {
                NotifyError::permanent(format!("{message}; redirects are not followed"))
            }
            _ => NotifyError::permanent(message),
        };
        Err(after.map_or(error.clone(), |pause| error.after(pause)))
    }
}

#[async_trait]
impl Notifier for WebhookNotifier {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        self.post(notification).await
    }
}

impl fmt::Debug for WebhookNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookNotifier")
            .field("url", &format_args!("{}", Shown(&self.url)))
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A URL without what may be secret in it.
struct Shown<'a>(&'a Uri);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.0.scheme_str().unwrap_or("http"))?;
        f.write_str(self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

#[cfg(feature = "tls")]
fn connector(mut http: HttpConnector) -> Result<Connector, Error> {
    http.enforce_http(false);
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_native_roots().map_err(|e| {
        let message = "the system's certificates cannot be read: install ca-certificates";
        Error::new(ErrorKind::Io, "https", message).with_source(e)
    })?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature `tls` it can fail")]
fn connector(http: HttpConnector) -> Result<Connector, Error> {
    Ok(http)
}

/// The beginning of an answer, for the error. Reading it to its end lets the connection be used again.
async fn read(response: Response<Incoming>) -> String {
    let Ok(body) = Limited::new(response.into_body(), MAX_ANSWER).collect().await else {
        return String::new();
    };
    let bytes = body.to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let text: String = text.trim().chars().take(MAX_QUOTED).collect();
    let line = text.replace(|c: char| c.is_control(), " ");
    if line.is_empty() { line } else { format!(": {line}") }
}

/// `Retry-After` in seconds. Its other form, a date, would need the clocks to agree, and is left to the backoff.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// An error and its causes: hyper's own text alone says little.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
