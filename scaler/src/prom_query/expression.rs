//! Expressions that one would otherwise look up each time.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

pub(super) fn latency_quantile(
    quantile: f64,
    histogram: &str,
    selector: &str,
    window: Duration,
) -> Result<String, Error> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
    if !(0.0..=1.0).contains(&quantile) {
        return invalid(format!("quantile {quantile}: write a share from 0 to 1, such as 0.99"));
    }
    let name = histogram.strip_suffix("_bucket").unwrap_or(histogram);
    if !is_metric(name) {
        return invalid(format!(
            "`{histogram}` is not the name of a histogram: write it without braces, such as \
             `http_request_duration_seconds`"
        ));
    }
    if window < Duration::from_secs(1) {
        return invalid(format!(
            "a window of {window:?}: use four scrape intervals or more, such as 5m"
        ));
    }
    let selector = selector.trim();
    let selector = selector.strip_prefix('{').and_then(|s| s.strip_suffix('}')).unwrap_or(selector);
    let selector = match selector.trim() {
        "" => String::new(),
        selector => format!("{{{selector}}}"),
    };
    let window = crate::duration::format(window);
    Ok(format!(
        "histogram_quantile({quantile}, sum by (le) (rate({name}_bucket{selector}[{window}])))"
    ))
}

/// As in the exposition format: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
fn is_metric(name: &str) -> bool {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(of_a_name)
}
