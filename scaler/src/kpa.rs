//! Knative's pod autoscaler, as a baseline: two windows over one signal, and panic between them.
//!
//! It wants `ceil(load / target)` by the average of a long window (*stable*, 60 s) and by that of a
//! short one (*panic*, a tenth of it), within a rate up and a rate down. While the short one asks
//! for twice what there is, or more, it panics: it follows the larger of the two and lets nothing go
//! until a whole stable window has passed without such a demand. (Knative serving,
//! `pkg/autoscaler/scaling`; without the burst capacity, which its activator needs and nobody here.)
//!
//! This is no part of a [`Decider`](crate::Decider), which has panic as an option of its own
//! ([`PanicSpec`](crate::PanicSpec)); it is here to be compared with.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::milli::Milli;
use crate::timestamp::elapsed;
use crate::window::{in_window, merges};

/// What a [`Kpa`] decides by; the defaults are Knative's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KpaSpec {
    /// The load that one instance should carry.
    pub target: Milli,
    /// How long the average of the stable window is taken over; 60 s.
    pub stable_window: Duration,
    /// It panics when the panic window asks for this multiple of what is ready; 2.
    pub panic_threshold: Milli,
    /// The most that it grows at once, as a multiple; 1000.
    pub max_scale_up_rate: Milli,
    /// The most that it shrinks at once, as a divisor; 2.
    pub max_scale_down_rate: Milli,
    /// From nothing it goes to so many at least; 1.
    pub activation_scale: u32,
    /// How long a smaller size must be wanted before it is; none.
    pub scale_down_delay: Duration,
    /// Whether anybody can reach the revision. One that nobody can shrinks at any rate.
    pub reachable: bool,
}

/// The averages of both windows: the load of all instances together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KpaLoad {
    /// Over the stable window.
    pub stable: Milli,
    /// Over the panic window.
    pub panic: Milli,
}

/// Knative's decider, with its memory.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use birl_scaler::{Kpa, KpaLoad, KpaSpec, Milli};
///
/// let (start, target) = (UNIX_EPOCH, Milli::from(10));
/// let mut kpa = Kpa::new(KpaSpec::new(target), 1, start);
/// let surge = KpaLoad { stable: Milli::from(20), panic: Milli::from(100) };
/// assert_eq!(kpa.decide(Some(surge), 1, start), Some(10));
/// let calm = KpaLoad { stable: Milli::from(20), panic: Milli::from(20) };
/// assert_eq!(kpa.decide(Some(calm), 10, start + Duration::from_secs(30)), Some(10)); // panic
/// assert_eq!(kpa.decide(Some(calm), 10, start + Duration::from_secs(61)), Some(5)); // half at once
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kpa {
    spec: KpaSpec,
    state: KpaState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KpaState {
    /// When the threshold was last crossed, in a panic.
    panic: Option<SystemTime>,
    /// The most that was wanted in it.
    most: u32,
    /// What was wanted lately; they fall.
    wanted: VecDeque<(SystemTime, u32)>,
}

impl KpaSpec {
    /// Knative's defaults for a target.
    pub fn new(target: Milli) -> Self {
        Self {
            target,
            stable_window: Duration::from_secs(60),
            panic_threshold: Milli(2000),
            max_scale_up_rate: Milli::from(1000),
            max_scale_down_rate: Milli(2000),
            activation_scale: 1,
            scale_down_delay: Duration::ZERO,
            reachable: true,
        }
    }
}

impl Kpa {
    /// One that has seen nothing yet. With more than one instance it begins in panic, so that it
    /// lets nothing go before it knows.
    pub fn new(spec: KpaSpec, ready: u32, now: SystemTime) -> Self {
        let panic = (ready > 1).then_some(now);
        Self { spec, state: KpaState { panic, most: ready, wanted: VecDeque::new() } }
    }

    /// Takes a changed specification; what is remembered stays.
    pub fn replace(&mut self, spec: KpaSpec) {
        self.spec = spec;
    }

    /// Since when the threshold has not been crossed again, while it panics.
    pub fn panicking_since(&self) -> Option<SystemTime> {
        self.state.panic
    }

    /// How many instances there should be at `now`, of which `ready` are; `None` while nothing is
    /// known, which means: as many as there are.
    pub fn decide(&mut self, load: Option<KpaLoad>, ready: u32, now: SystemTime) -> Option<u32> {
        let KpaLoad { stable, panic } = load?;
        let spec = self.spec;
        // From nothing it grows as from one.
        let ready = u128::from(ready.max(1));
        let most = (ready * u128::from(spec.max_scale_up_rate.0)).div_ceil(1000);
        let least = match spec.reachable {
            true => ready * 1000 / u128::from(spec.max_scale_down_rate.0.max(1)),
            false => 0,
        };
        let asked = |load: Milli| u128::from(load.0.div_ceil(spec.target.0.max(1)));
        let within = |asked: u128| {
            let replicas = narrow(asked.max(least).min(most));
            if asked > 0 { replicas.max(spec.activation_scale) } else { replicas }
        };

        self.observe(asked(panic) * 1000 >= u128::from(spec.panic_threshold.0) * ready, now);
        let mut replicas = within(asked(stable));
        if self.state.panic.is_some() {
            self.state.most = self.state.most.max(replicas).max(within(asked(panic)));
            replicas = self.state.most;
        }
        Some(if spec.reachable { self.delay(replicas, now) } else { replicas })
    }

    fn observe(&mut self, over: bool, now: SystemTime) {
        let state = &mut self.state;
        // A clock set back must not keep it without end.
        let since = if over { Some(now) } else { state.panic.map(|since| since.min(now)) };
        state.panic = since.filter(|since| elapsed(*since, now) <= self.spec.stable_window);
        if state.panic.is_none() {
            state.most = 0;
        }
    }

    /// The most that was wanted in the delay.
    fn delay(&mut self, replicas: u32, now: SystemTime) -> u32 {
        let (delay, wanted) = (self.spec.scale_down_delay, &mut self.state.wanted);
        wanted.retain(|(at, earlier)| in_window(*at, delay, now) && *earlier > replicas);
        let count = wanted.len();
        match wanted.back_mut() {
            Some((at, _)) if merges(count, *at, now, delay) => *at = now,
            _ if delay.is_zero() => {}
            _ => wanted.push_back((now, replicas)),
        }
        wanted.front().map_or(replicas, |(_, highest)| *highest)
    }
}

fn narrow(value: u128) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
