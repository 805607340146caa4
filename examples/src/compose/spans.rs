//! OpenTelemetry spans: the windows that signals ask for, and the receiver that fills them.

use std::time::Duration;

use birl_scaler::otlp::{self, Limits, Receiver, RetryWindow, SpanFilter, SpanIntake};
use birl_scaler::{Error, Sampler};
use prometheus::Registry;
use tracing::info;

use super::signals::register;
use crate::config::{OtlpListen, SpanMeasure, SpansConfig};
use crate::failure::Failure;

/// Windows are known before the receiver is, and sources after it.
#[derive(Debug)]
pub(super) struct Spans {
    intake: Option<SpanIntake>,
    watches: std::collections::VecDeque<otlp::Watch>,
    /// Held for as long as signals are read from it.
    receiver: Option<Receiver>,
}

impl Spans {
    pub(super) fn new() -> Self {
        let intake = Some(SpanIntake::new(Limits::default()));
        Self { intake, watches: std::collections::VecDeque::new(), receiver: None }
    }

    /// A signal will ask for this; [`Self::add`] is to be called in the same order.
    pub(super) fn expect(&mut self, config: &SpansConfig) {
        let watch = self.intake.as_mut().map(|intake| intake.watch(window(config)));
        self.watches.extend(watch);
    }

    /// # Errors
    /// If the address cannot be had.
    pub(super) async fn listen(
        &mut self,
        otlp: &OtlpListen,
        registry: &Registry,
    ) -> Result<(), Failure> {
        let Some(intake) = self.intake.take() else { return Ok(()) };
        let receiver = Receiver::bind(otlp.listen, intake).await.map_err(Failure::input)?;
        info!(address = %receiver.local_addr(), "listening for spans");
        register(registry, receiver.metrics())?;
        self.receiver = Some(receiver);
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        sampler: &mut Sampler,
        metric: &str,
        config: &SpansConfig,
        max_age: Option<Duration>,
    ) -> Result<(), Error> {
        // The configuration was checked: there is a receiver.
        let Some((receiver, watch)) = self.receiver.as_ref().zip(self.watches.pop_front()) else {
            return Ok(());
        };
        let source = receiver.source(metric, watch, measure(config.measure));
        let source = match max_age {
            Some(max_age) => source.max_age(max_age),
            None => source,
        };
        sampler.add(source, Sampler::DEADLINE)
    }
}

fn window(config: &SpansConfig) -> RetryWindow {
    let mut filter = SpanFilter::any();
    if let Some(service) = &config.service {
        filter = filter.service(service);
    }
    if let Some(peer) = &config.peer {
        filter = filter.peer(peer);
    }
    if let Some(route) = &config.route {
        filter = filter.route(route);
    }
    let mut window = RetryWindow::new(filter);
    if let Some(length) = config.window {
        window = window.length(length);
    }
    if let Some(least) = config.min_calls {
        window = window.min_calls(least);
    }
    window
}

fn measure(measure: SpanMeasure) -> otlp::Measure {
    match measure {
        SpanMeasure::RetryRatio => otlp::Measure::RetryRatio,
        SpanMeasure::ErrorRatio => otlp::Measure::ErrorRatio,
        SpanMeasure::CallsPerSecond => otlp::Measure::CallsPerSecond,
        SpanMeasure::P99 => otlp::Measure::P99,
    }
}
