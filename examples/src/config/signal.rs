//! What feeds a scaler's metrics and guards: fields of the log, or something outside of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use birl_scaler::statsd::Statistic;
use serde::Deserialize;

use super::duration;

/// What feeds one metric or guard.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawSignal")]
pub(crate) enum SignalConfig {
    /// A field of the log.
    Log(LogSignal),
    /// Something that is asked on every tick.
    Outside(OutsideSignal),
}

/// A field of the log that is a reading of a metric.
#[derive(Debug, Clone)]
pub(crate) struct LogSignal {
    /// The metric's name in the spec.
    pub(crate) metric: String,
    /// The field that holds the reading.
    pub(crate) field: String,
    /// The field that names the instance it was read from.
    pub(crate) instance: String,
    /// The source to read it from, by id; any when absent.
    pub(crate) source: Option<String>,
    /// A reading older than this is no reading.
    pub(crate) max_age: Duration,
}

/// Something that is asked on every tick.
#[derive(Debug, Clone)]
pub(crate) struct OutsideSignal {
    /// The metric's or guard's name in the spec.
    pub(crate) metric: String,
    /// A reading older than this is no reading; a minute when absent.
    pub(crate) max_age: Option<Duration>,
    pub(crate) of: Outside,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Outside {
    Prometheus(PrometheusConfig),
    Memory(MemoryConfig),
    Disk(DiskConfig),
    Statsd(StatsdConfig),
    Spans(
        #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "it is refused"))] SpansConfig,
    ),
}

/// An expression that a Prometheus server is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrometheusConfig {
    pub(crate) url: String,
    pub(crate) query: String,
    /// The label that names the instance; `pod`, else `instance`, when absent.
    pub(crate) instance: Option<String>,
    pub(crate) bearer_token_file: Option<PathBuf>,
}

/// How short memory is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryConfig {
    pub(crate) measure: Measure,
    /// The cgroup's folder; birl's own when absent, or the machine where there is none.
    pub(crate) cgroup: Option<PathBuf>,
}

/// What is measured of memory, in the words of `birl_scaler::MemoryMeasure`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    SomeStalled,
    FullStalled,
    Refaults,
    MajorFaults,
    Faults,
    OomKills,
}

/// How long the queues of disks are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DiskConfig {
    /// All disks when there is none.
    pub(crate) devices: Vec<String>,
    /// What is on its way at this moment, instead of the mean since the last tick.
    pub(crate) in_flight: bool,
}

/// What services report over StatsD.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatsdConfig {
    /// The name that lines carry.
    pub(crate) name: String,
    pub(crate) statistic: Statistic,
    #[serde(default)]
    pub(crate) tags: std::collections::BTreeMap<String, String>,
    /// The tag that names the instance; all lines are one sample when absent.
    pub(crate) instance: Option<String>,
    #[serde(default, with = "duration::optional")]
    pub(crate) window: Option<Duration>,
}

/// What the spans of calls tell.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "they are refused"))]
pub(crate) struct SpansConfig {
    pub(crate) measure: SpanMeasure,
    /// Whose calls; anybody's when absent.
    pub(crate) service: Option<String>,
    /// Calls to whom; to anybody when absent.
    pub(crate) peer: Option<String>,
    pub(crate) route: Option<String>,
    #[serde(default, with = "duration::optional")]
    pub(crate) window: Option<Duration>,
    /// Fewer calls than this tell nothing; 20 when absent.
    pub(crate) min_calls: Option<u64>,
}

/// Which number of the calls, in the words of `birl_scaler::otlp::Measure`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SpanMeasure {
    RetryRatio,
    ErrorRatio,
    CallsPerSecond,
    P99,
}

/// Where services report over StatsD.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatsdListen {
    /// UDP addresses.
    #[serde(default)]
    pub(crate) listen: Vec<String>,
    /// Unix datagram sockets.
    #[serde(default)]
    pub(crate) unix: Vec<PathBuf>,
}

/// Where OpenTelemetry spans are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "it is refused"))]
pub(crate) struct OtlpListen {
    pub(crate) listen: SocketAddr,
}

impl SignalConfig {
    pub(crate) fn metric(&self) -> &str {
        match self {
            Self::Log(signal) => &signal.metric,
            Self::Outside(signal) => &signal.metric,
        }
    }

    /// The source of the log that it reads, if it names one.
    pub(crate) fn source(&self) -> Option<&String> {
        match self {
            Self::Log(signal) => signal.source.as_ref(),
            Self::Outside(_) => None,
        }
    }
}

/// As it is written: one of several keys says what it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignal {
    metric: String,
    field: Option<String>,
    instance: Option<String>,
    source: Option<String>,
    prometheus: Option<PrometheusConfig>,
    memory: Option<MemoryConfig>,
    disk: Option<DiskConfig>,
    statsd: Option<StatsdConfig>,
    spans: Option<SpansConfig>,
    #[serde(default, with = "duration::optional")]
    max_age: Option<Duration>,
}

impl TryFrom<RawSignal> for SignalConfig {
    type Error = String;

    fn try_from(raw: RawSignal) -> Result<Self, String> {
        let RawSignal { metric, field, instance, source, max_age, .. } = raw;
        let outside = [
            raw.prometheus.map(Outside::Prometheus),
            raw.memory.map(Outside::Memory),
            raw.disk.map(Outside::Disk),
            raw.statsd.map(Outside::Statsd),
            raw.spans.map(Outside::Spans),
        ];
        let mut outside = outside.into_iter().flatten();
        match (field, outside.next(), outside.next()) {
            (Some(field), None, None) => Ok(Self::Log(LogSignal {
                metric,
                field,
                instance: instance.unwrap_or_else(super::instance),
                source,
                max_age: max_age.unwrap_or_else(super::fifteen_seconds),
            })),
            (None, Some(_), None) if instance.is_some() || source.is_some() => Err(format!(
                "the signal of `{metric}` has `instance` or `source` beside what is asked; those are for a `field` of the log"
            )),
            (None, Some(of), None) => Ok(Self::Outside(OutsideSignal { metric, max_age, of })),
            (None, None, _) => Err(format!(
                "the signal of `{metric}` names nothing to read; add one of `field`, `prometheus`, `memory`, `disk`, `statsd`, `spans`"
            )),
            _ => Err(format!(
                "the signal of `{metric}` names several things to read; keep one of `field`, `prometheus`, `memory`, `disk`, `statsd`, `spans`"
            )),
        }
    }
}
