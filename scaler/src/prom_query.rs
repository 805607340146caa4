//! A signal from a Prometheus server: an expression, asked for its value of this moment.

mod answer;
mod auth;
mod expression;
mod gate;
mod server;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

pub use self::server::PrometheusServer;

use self::answer::Vector;
use crate::error::Error;
use crate::signal::{DEFAULT_MAX_AGE, Signal};
use crate::source::{Fault, FaultKind, SignalSource};

/// How long an answer is waited for. Less than the three seconds that a `Sampler` waits, so that
/// it is the query that tells what it was waiting for.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(2500);

/// How many bytes of an answer are read.
const DEFAULT_MAX_BODY: usize = 1 << 20;

/// A [`SignalSource`] that asks a [`PrometheusServer`] for the value of an expression.
///
/// The answer is a vector, one sample a series, or a scalar. Whose sample it is says the label
/// `pod`, where there is none `instance`, or another that [`instance_label`](Self::instance_label)
/// names; a single series needs neither.
///
/// | what comes back | what it is |
/// | --- | --- |
/// | numbers from 0 upward | samples |
/// | NaN, ±Inf, negative | an unknown sample; [`FaultKind::NotANumber`] if there is no other |
/// | no series at all | [`FaultKind::Empty`] |
/// | HTTP 4xx, 5xx, a redirect, `status` other than `success` | [`FaultKind::Refused`], with the server's words |
/// | nothing in time | [`FaultKind::Timeout`] |
/// | no connection, or one that ends before the answer does | [`FaultKind::Unreachable`] |
/// | no JSON, a range vector, a string, a native histogram, two series of one instance | [`FaultKind::Malformed`], with the remedy |
/// | more than 1 MiB, or [`max_body`](Self::max_body) | [`FaultKind::TooLarge`] |
///
/// The signal is as old as its oldest time stamp. Prometheus stamps the answer with the time at
/// which it evaluated, so that a server whose clock is off is found out; what is behind the number
/// may be older, by the range of a `rate` and by the look-back of 5 minutes in which a series that
/// was not marked as gone still counts. Ask for what must be fresh by its own stamp, as in
/// `queue_depth and timestamp(queue_depth) > time() - 60`: a stale series is then an empty vector.
///
/// ```
/// # use std::time::Duration;
/// # use birl_scaler::{Error, PrometheusQuery, PrometheusServer};
/// # fn main() -> Result<(), Error> {
/// let server = PrometheusServer::new("http://127.0.0.1:9090")?;
/// let p99 = PrometheusQuery::latency_quantile(
///     0.99,
///     "http_request_duration_seconds",
///     r#"job="api""#,
///     Duration::from_secs(300),
/// )?;
/// let latency = PrometheusQuery::new(&server, "latency_p99", p99);
/// let in_flight = PrometheusQuery::new(&server, "in_flight", "sum by (pod) (in_flight)");
/// # Ok(()) }
/// ```
pub struct PrometheusQuery {
    server: PrometheusServer,
    name: Arc<str>,
    expression: String,
    label: Option<String>,
    timeout: Duration,
    max_age: Duration,
    max_body: usize,
    refuse_warnings: bool,
    warnings: Mutex<Vec<String>>,
}

impl PrometheusQuery {
    /// The signal `name`, which is the value of `expression`.
    pub fn new(
        server: &PrometheusServer,
        name: impl AsRef<str>,
        expression: impl Into<String>,
    ) -> Self {
        Self {
            server: server.clone(),
            name: name.as_ref().into(),
            expression: expression.into(),
            label: None,
            timeout: DEFAULT_TIMEOUT,
            max_age: DEFAULT_MAX_AGE,
            max_body: DEFAULT_MAX_BODY,
            refuse_warnings: false,
            warnings: Mutex::default(),
        }
    }

    /// The expression for a latency that the share `quantile` of all requests stays below, in the
    /// histogram's unit: the rate of each bucket over `window`, added up, and interpolated as
    /// `histogram_quantile` does. `selector` is what would stand in braces; it may be empty.
    ///
    /// While there are no requests the answer is NaN, and the signal Unknown. A latency is not
    /// linear in the replicas: it is for a guard that steps up and vetoes down, not for the ratio.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the quantile is not between 0
    /// and 1, the name is none that a histogram can have, or the window is shorter than a second.
    pub fn latency_quantile(
        quantile: f64,
        histogram: &str,
        selector: &str,
        window: Duration,
    ) -> Result<String, Error> {
        expression::latency_quantile(quantile, histogram, selector, window)
    }

    /// Sets the label that says whose sample it is.
    #[must_use]
    pub fn instance_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets how long the answer is waited for, here and on the server, which stops evaluating then;
    /// 2.5 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets how old the signal may be before it is Unknown; 60 s by default.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets how many bytes of an answer are read; 1 MiB by default, about 8,000 series. What an
    /// answer takes in memory while it is read is bounded by some ten times as much.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Refuses an answer that comes with warnings, or that says it is partial. For Thanos, Cortex,
    /// VictoriaMetrics and remote reads, which give a part of the series and a warning where a store
    /// is away: a part of a sum looks like less load.
    #[must_use]
    pub fn refuse_warnings(mut self) -> Self {
        self.refuse_warnings = true;
        self
    }

    /// What the last answer warned of; at most eight sentences.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the query makes of an answer, as the body of an HTTP 200. For tests and recordings;
    /// [`read`](SignalSource::read) asks the server and does the same.
    ///
    /// # Errors
    ///
    /// As in the table above.
    pub fn signal_of(&self, body: &[u8]) -> Result<Signal, Fault> {
        let place = self.server.shown();
        let vector = Vector::read(body, self.label.as_deref())
            .map_err(|(kind, why)| Fault::new(kind, format!("{place}: {why}")))?;
        let warned = vector.warnings.first().cloned();
        *self.warnings.lock().unwrap_or_else(PoisonError::into_inner) = vector.warnings;
        if let Some(warning) = warned.filter(|_| self.refuse_warnings) {
            let why = format!("{place}: the answer may be a part of the whole: {warning}");
            return Err(Fault::new(FaultKind::Refused, why));
        }
        Ok(Signal::new(&self.name, vector.samples, vector.at).max_age(self.max_age))
    }
}

#[async_trait]
impl SignalSource for PrometheusQuery {
    fn name(&self) -> &str {
        &self.name
    }

    async fn read(&self, _now: SystemTime) -> Result<Signal, Fault> {
        let body = self.server.ask(&self.expression, self.timeout, self.max_body).await?;
        self.signal_of(&body)
    }
}

impl fmt::Debug for PrometheusQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusQuery")
            .field("server", &self.server)
            .field("name", &self.name)
            .field("expression", &self.expression)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
