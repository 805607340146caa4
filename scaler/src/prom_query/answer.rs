//! What a server answers, as samples.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::signal::Sample;
use crate::source::FaultKind;

/// So much of a server's sentence is worth an operator's while.
const MAX_QUOTED: usize = 200;

/// How many warnings are kept.
const MAX_WARNINGS: usize = 8;

/// The values of a moment.
#[derive(Debug)]
pub(super) struct Vector {
    pub(super) samples: Vec<Sample>,
    /// The oldest time stamp.
    pub(super) at: SystemTime,
    pub(super) warnings: Vec<String>,
}

/// What went wrong, without the place.
type Wrong = (FaultKind, String);

impl Vector {
    /// Reads an answer; `label` says whose sample each is.
    pub(super) fn read(body: &[u8], label: Option<&str>) -> Result<Self, Wrong> {
        let head: Head = json(body)?;
        if head.status != "success" {
            return Err((FaultKind::Refused, format!("{}{}", quoted(&head.status), head.told())));
        }
        let warnings = head.warnings.iter().flatten().take(MAX_WARNINGS);
        let mut warnings: Vec<String> = warnings.map(|text| quoted(text)).collect();
        if head.is_partial == Some(true) {
            warnings.insert(0, "the server says that its answer is partial".into());
            warnings.truncate(MAX_WARNINGS);
        }
        let kind = head.data.map(|data| data.kind).unwrap_or_default();
        let points = match kind.as_str() {
            "vector" => vector(body, label)?,
            "scalar" => {
                let Whole { data: Data { result: Point(at, value) } } = json(body)?;
                vec![(Arc::from(""), at, value)]
            }
            "matrix" => {
                let why = "the expression gives a range vector: take away its [range], or use a \
                           function over it, such as avg_over_time";
                return Err((FaultKind::Malformed, why.into()));
            }
            "string" => {
                return Err((
                    FaultKind::Malformed,
                    "the expression is a text: ask for a number".into(),
                ));
            }
            other => {
                let why = format!("`{}` is no result of an instant query", quoted(other));
                return Err((FaultKind::Malformed, why));
            }
        };
        let at = points.iter().map(|(_, at, _)| *at).min_by(f64::total_cmp);
        let at = at.ok_or_else(|| {
            let why = "no series: is the metric's name right, and is it scraped?";
            (FaultKind::Empty, why.to_owned())
        })?;
        let at = Duration::try_from_secs_f64(at).ok().and_then(|at| UNIX_EPOCH.checked_add(at));
        let at = at.ok_or_else(|| {
            (FaultKind::Malformed, "a time stamp that is no time since 1970".to_owned())
        })?;
        let first = points.first().map(|(.., value)| *value).unwrap_or(f64::NAN);
        let samples: Vec<Sample> =
            points.into_iter().map(|(instance, _, value)| Sample::new(instance, value)).collect();
        if samples.iter().all(|sample| sample.value.is_none()) {
            let why = format!("{first} is nothing that a signal can mean: was there any traffic?");
            return Err((FaultKind::NotANumber, why));
        }
        Ok(Self { samples, at, warnings })
    }
}

/// `: bad_data: what the server said`, or the beginning of whatever it sent.
pub(super) fn error(body: &[u8]) -> String {
    match serde_json::from_slice::<Head>(body) {
        Ok(head) => head.told(),
        Err(_) => {
            let beginning = body.get(..MAX_QUOTED).unwrap_or(body);
            let text = quoted(&String::from_utf8_lossy(beginning));
            if text.is_empty() { text } else { format!(": {text}") }
        }
    }
}

/// Instance, time stamp and value of each series.
fn vector(body: &[u8], label: Option<&str>) -> Result<Vec<(Arc<str>, f64, f64)>, Wrong> {
    let text = std::str::from_utf8(body).map_err(|e| not_json(&e))?;
    let Whole { data: Data { result } }: Whole<Vec<Series<'_>>> =
        serde_json::from_str(text).map_err(|e| not_json(&e))?;
    let mut seen = BTreeSet::new();
    let mut points = Vec::with_capacity(result.len());
    for series in &result {
        let Some(Point(at, value)) = series.value else {
            let why = "a native histogram: take its histogram_quantile or histogram_avg";
            return Err((FaultKind::Malformed, why.into()));
        };
        let instance = series.metric.instance(label);
        if !seen.insert(instance) {
            let by = label.unwrap_or("pod");
            let why = match instance {
                "" => format!(
                    "of {} series several have no label `{by}` that tells them apart: aggregate \
                     to one, or name the label with `instance_label`",
                    result.len()
                ),
                _ => format!(
                    "several series are of `{}`: aggregate them, as in sum by ({by}) (…)",
                    quoted(instance)
                ),
            };
            return Err((FaultKind::Malformed, why));
        }
        points.push((Arc::from(instance), at, value));
    }
    Ok(points)
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body).map_err(|e| not_json(&e))
}

fn not_json(why: &dyn fmt::Display) -> Wrong {
    (
        FaultKind::Malformed,
        format!("not an answer of Prometheus' API: {}", quoted(&why.to_string())),
    )
}

/// One line, and not too long.
fn quoted(text: &str) -> String {
    let text: String = text.trim().chars().take(MAX_QUOTED).collect();
    text.replace(|c: char| c.is_control(), " ")
}

/// All but the values.
#[derive(Deserialize)]
struct Head {
    status: String,
    #[serde(default)]
    data: Option<Shape>,
    #[serde(default, rename = "errorType")]
    error_type: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    /// VictoriaMetrics' way of warning.
    #[serde(default, rename = "isPartial")]
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(default, rename = "resultType")]
    kind: String,
}

impl Head {
    fn told(&self) -> String {
        let words = [&self.error_type, &self.error].into_iter().flatten();
        let words = words.filter(|text| !text.is_empty());
        words.map(|text| format!(": {}", quoted(text))).collect()
    }
}

#[derive(Deserialize)]
struct Whole<T> {
    data: Data<T>,
}

#[derive(Deserialize)]
struct Data<T> {
    result: T,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow, default)]
    metric: Labels<'a>,
    #[serde(default)]
    value: Option<Point>,
    #[serde(default, rename = "histogram")]
    _histogram: Option<IgnoredAny>,
}

/// A time stamp and a value; values are texts, since JSON has no NaN.
#[derive(Clone, Copy)]
struct Point(f64, f64);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (at, value) = <(f64, Cow<'de, str>)>::deserialize(from)?;
        let number = value.parse().map_err(|_| {
            serde::de::Error::custom(format!("`{}` is not a number", quoted(&value)))
        })?;
        Ok(Self(at, number))
    }
}

/// The labels of a series. Of these there are few, and one is wanted.
#[derive(Default)]
struct Labels<'a>(Vec<(Text<'a>, Text<'a>)>);

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Labels<'_> {
    fn instance(&self, label: Option<&str>) -> &str {
        let get = |name: &str| {
            self.0.iter().find(|(Text(key), _)| key == name).map(|(_, Text(value))| &**value)
        };
        let found = match label {
            Some(label) => get(label),
            None => get("pod").or_else(|| get("instance")),
        };
        found.unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the labels of a series")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut labels = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    labels.push(pair);
                }
                Ok(Labels(labels))
            }
        }
        from.deserialize_map(Pairs)
    }
}
