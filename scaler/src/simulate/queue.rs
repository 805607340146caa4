//! The requests that wait: a fluid queue in front of all pods.

use super::bounds::seconds;
use super::service::Service;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) backlog: f64,
}

/// What happened in one second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Second {
    pub(super) arrived: f64,
    pub(super) served: f64,
    pub(super) gave_up: f64,
    /// Those of the arrived that are answered late or never.
    pub(super) late: f64,
    /// The part of the capacity that was used, 0 to 1.
    pub(super) used: f64,
    /// Requests inside each pod.
    pub(super) in_flight: f64,
    /// The response time that 99 % stay below, in seconds.
    pub(super) p99: f64,
}

impl Queue {
    /// Goes on by one second, in which `arrived` come and `pods` are ready.
    pub(super) fn step(&mut self, service: &Service, arrived: f64, pods: u32) -> Second {
        let before = self.backlog;
        let room = f64::from(pods) * service.capacity();
        let served = (before + arrived).min(room);
        let waiting = before + arrived - served;
        self.backlog = waiting.min(room * seconds(service.patience));
        let gave_up = waiting - self.backlog;
        if pods == 0 {
            let p99 = seconds(service.patience);
            return Second { arrived, gave_up, late: arrived, p99, ..Second::default() };
        }
        let load = service.load(arrived / f64::from(pods));
        let behind = (before + self.backlog) / 2.0 / room;
        let (used, queued) = (served / room, self.backlog / f64::from(pods));
        Second {
            arrived,
            served,
            gave_up,
            late: arrived * load.late_share(behind),
            used,
            in_flight: used * f64::from(service.workers) + queued + load.waiting(),
            p99: load.p99(behind),
        }
    }
}
