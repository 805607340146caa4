//! A number of a window as a signal.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::intake::Watch;
use super::receiver::Shared;
use super::stats::Measure;
use crate::signal::{Sample, Signal};
use crate::source::{Fault, FaultKind, SignalSource};

/// One number of a window that a [`Receiver`](super::Receiver) fills, such as the retry ratio of the
/// calls to a service. The signal has one sample, which is nobody's in particular, and is as old as
/// the last call that it counts.
#[derive(Debug, Clone)]
pub struct SpanSource {
    pub(super) name: Arc<str>,
    pub(super) watch: Watch,
    pub(super) measure: Measure,
    pub(super) max_age: Option<Duration>,
    pub(super) shared: Arc<Shared>,
}

impl SpanSource {
    /// Sets how long the signal is believed after the last call; a minute by default.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }
}

#[async_trait]
impl SignalSource for SpanSource {
    fn name(&self) -> &str {
        &self.name
    }

    /// What the window counted. It waits for nothing.
    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        if self.shared.is_stopped() {
            return Err(Fault::new(FaultKind::Unreachable, "the receiver of spans was stopped"));
        }
        let (value, at) = self.shared.intake().read(self.watch, self.measure, now)?;
        let signal = Signal::new(&self.name, vec![Sample::new("", value)], at);
        Ok(match self.max_age {
            Some(max_age) => signal.max_age(max_age),
            None => signal,
        })
    }
}
