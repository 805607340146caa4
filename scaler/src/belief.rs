//! Which signal of an observation is believed, and why one is not.

use std::time::SystemTime;

use crate::proposal::Unknown;
use crate::signal::Signal;
use crate::timestamp::{elapsed, later};

/// The one signal of that name, if it is of our time.
pub(crate) fn believed<'a>(
    name: &str,
    signals: &'a [Signal],
    now: SystemTime,
) -> Result<&'a Signal, Unknown> {
    let signal = named(name, signals)?;
    believe(signal, now)?;
    Ok(signal)
}

/// The one signal of that name.
pub(crate) fn named<'a>(name: &str, signals: &'a [Signal]) -> Result<&'a Signal, Unknown> {
    let mut named = signals.iter().filter(|signal| *signal.name == *name);
    let signal = named.next().ok_or(Unknown::Absent)?;
    if named.next().is_some() { Err(Unknown::Ambiguous) } else { Ok(signal) }
}

/// Whether `signal` was measured, and is of our time.
pub(crate) fn believe(signal: &Signal, now: SystemTime) -> Result<(), Unknown> {
    if let (Some(fault), true) = (signal.fault, signal.samples.is_empty()) {
        return Err(Unknown::Failed(fault));
    }
    if elapsed(signal.at, now) > signal.max_age {
        return Err(signal.fault.map_or(Unknown::Stale, Unknown::Failed));
    }
    if signal.at > now && signal.at > later(now, signal.max_age) {
        return Err(Unknown::FromTheFuture);
    }
    Ok(())
}
