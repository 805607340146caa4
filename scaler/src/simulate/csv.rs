//! A trace from a CSV file.

use std::time::UNIX_EPOCH;

use super::curve::Curve;
use crate::error::{Error, ErrorKind};
use crate::timestamp;

/// Reads `time,rate` lines; columns between and after them are ignored, and so is a heading.
pub(super) fn read(text: &str) -> Result<Curve, Error> {
    let mut points = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let point = line.split_once(',').map(|(at, rest)| {
            let rate = rest.split(',').next().unwrap_or(rest);
            (seconds(at.trim()), rate.trim().parse::<f64>().ok())
        });
        match point {
            Some((Some(at), Some(rate))) => points.push((at, rate)),
            Some((_, None)) if points.is_empty() && place == 0 => {} // a heading
            _ => {
                let line = place + 1;
                let what = format!(
                    "line {line} is not a time and a rate, such as `2014-04-10 00:04:00,94.0`"
                );
                return Err(Error::new(ErrorKind::InvalidInput, what));
            }
        }
    }
    Curve::from_points(points)
}

/// Seconds since 1970.
fn seconds(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let at = timestamp::parse(text).or_else(|| timestamp::parse(&format!("{text}Z")))?;
    Some(match at.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    })
}
