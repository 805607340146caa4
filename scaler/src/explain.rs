//! A decision as one sentence.

use std::fmt;

use crate::behavior::PolicyKind;
use crate::decision::{Action, Decision, Limit, Reason, Trigger};
use crate::guard::{GuardReading, GuardState};
use crate::intent::Change;
use crate::metric::Amount;
use crate::proposal::{Band, Proposal, Reading, Unknown};
use crate::timestamp::Stamp;

/// How long a sentence with a limit or two is.
const SENTENCE: usize = 192;

impl Decision {
    /// One sentence: what, who asked for it and why, and what limited it.
    pub fn explain(&self) -> String {
        // Most sentences fit: to let the text grow costs as much as to write it.
        let mut sentence = String::with_capacity(SENTENCE);
        _ = fmt::write(&mut sentence, format_args!("{self}"));
        sentence
    }

    fn proposal(&self, metric: &str) -> Option<&Proposal> {
        self.proposals.iter().find(|proposal| *proposal.metric == *metric)
    }

    fn cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.reason, &self.trigger) {
            (Reason::Paused, None) => f.write_str(
                "it was set to 0 replicas, which pauses scaling until it is set to 1 or more",
            ),
            (Reason::Idle, _) => f.write_str("there is no metric, and nobody asks for a change"),
            (Reason::DuplicateIntent, _) => {
                f.write_str("what was asked for has been decided already")
            }
            (_, Some(Trigger::Metric { metric, .. })) => match self.proposal(metric) {
                Some(proposal) => write!(f, "{proposal}"),
                None => f.write_str(metric),
            },
            (_, Some(Trigger::Guard { signal, .. })) => {
                match self.guards.iter().find(|reading| reading.signal == *signal) {
                    Some(reading) => write!(f, "{reading}"),
                    None => f.write_str(signal),
                }
            }
            (_, Some(trigger)) => write!(f, "{trigger}"),
            (reason, None) => f.write_str(match reason {
                Reason::UnknownSignal => "no metric has a value",
                _ => reason.as_str(),
            }),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, from, to, .. } = self;
        if self.preview {
            f.write_str("preview: ")?;
        }
        match self.action {
            Action::Hold => write!(f, "hold {target} at {from}: ")?,
            action => write!(f, "{} {target} {from} → {to}: ", action.as_str())?,
        }
        self.cause(f)?;
        if self.action == Action::Hold && self.reason == Reason::Steady {
            self.steady(f)?;
        }
        if self.limits.is_empty() {
            return f.write_str(if from == to { "" } else { "; limits: none" });
        }
        for (at, limit) in self.limits.iter().enumerate() {
            write!(f, "{}{limit}", if at == 0 { "; limits: " } else { ", " })?;
        }
        Ok(())
    }
}

impl Decision {
    /// What a steady hold still has to tell: a formula that gives the present size, metrics without
    /// a value, and guards that are not calm.
    fn steady(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Trigger::Metric { metric, .. }) = &self.trigger
            && let Some(Proposal { reading: Reading::Known { band, replicas, .. }, .. }) =
                self.proposal(metric)
            && *band != Band::Inside
        {
            write!(f, ", and the formula gives {replicas}")?;
        }
        for proposal in &self.proposals {
            if matches!(proposal.reading, Reading::Unknown { .. }) {
                write!(f, "; {proposal}")?;
            }
        }
        for reading in self.guards.iter().filter(|reading| !reading.is_calm()) {
            write!(f, "; {reading}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, unit, .. } = self;
        let show = |value| Amount(value, *unit);
        match self.reading {
            Reading::Unknown { why } => write!(f, "{metric} is Unknown ({why})"),
            Reading::Known { value, weighed, filled, band, .. } => {
                write!(f, "{metric} {}", show(value))?;
                if filled > 0 {
                    write!(f, " ({} with {filled} missing filled in)", show(weighed))?;
                }
                match band {
                    Band::Below => write!(f, " is below {}", show(self.low))?,
                    Band::Inside => write!(f, " is inside {}–{}", self.low, show(self.high))?,
                    Band::Above => write!(f, " is at or above {}", show(self.high))?,
                }
                write!(f, " (target {})", show(self.target))
            }
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric { metric, value, target } => {
                write!(f, "{metric} {value} (target {target})")
            }
            Self::Intent { asked_by, change, reason, .. } => {
                match change {
                    Change::By(_) => write!(f, "{asked_by} asked {change}")?,
                    Change::To(_) => write!(f, "{asked_by} asked for {change}")?,
                }
                match reason.as_str() {
                    "" => Ok(()),
                    reason => write!(f, " ({reason})"),
                }
            }
            Self::Bounds { min, max } => write!(f, "it must have {min} to {max} replicas"),
            Self::Guard { signal, limit } => write!(f, "{signal} (limit {limit})"),
            Self::Fallback { since, replicas } => {
                let since = Stamp(*since);
                write!(f, "every metric has been Unknown since {since}, fallback {replicas}")
            }
            Self::Paused { replicas: Some(replicas) } => write!(f, "it is paused at {replicas}"),
            Self::Paused { replicas: None } => f.write_str("it is paused"),
        }
    }
}

impl fmt::Display for GuardReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal, limit, .. } = self;
        let side = if self.above { "above" } else { "below" };
        match self.state {
            GuardState::Calm { value } => write!(f, "{signal} {value} is not {side} {limit}"),
            GuardState::Breached { value } => write!(f, "{signal} {value} is {side} {limit}"),
            GuardState::Pending { value, until } => {
                write!(f, "{signal} {value} is {side} {limit}, breached at {}", Stamp(until))
            }
            GuardState::Unknown { why } => write!(f, "{signal} is Unknown ({why})"),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "no signal has that name",
            Self::Ambiguous => "several signals have that name",
            Self::Empty => "no ready instance has a usable sample",
            Self::Partial => "one of its parts has no value",
            Self::NoRequest => "not every instance tells what it asked for",
            Self::Failed(fault) => return write!(f, "the last attempt failed: {}", fault.as_str()),
            Self::Stale => "too old",
            Self::FromTheFuture => "its time stamp lies ahead",
            Self::NoneReady => "no instance is ready",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |global: bool| if global { "global " } else { "" };
        match self {
            Self::Min { wanted, min } => write!(f, "min {min} (wanted {wanted})"),
            Self::Max { wanted, max } => write!(f, "max {max} (wanted {wanted})"),
            Self::Step { wanted, step } => write!(f, "step {step} (wanted {wanted})"),
            Self::ConditionWindow { action, since, until } => {
                let (since, until) = (Stamp(*since), Stamp(*until));
                write!(f, "{} window, holds since {since}, acts at {until}", action.as_str())
            }
            Self::LockOut { until } => write!(f, "lock-out until {}", Stamp(*until)),
            Self::Brake { max_actions_per_hour, until, global } => write!(
                f,
                "{}brake, {max_actions_per_hour} changes an hour, free at {}",
                whose(*global),
                Stamp(*until)
            ),
            Self::KillSwitch { global } => write!(f, "{}kill switch", whose(*global)),
            Self::Stabilization { action, wanted, held, until } => {
                let (word, until) = (extreme(*action), Stamp(*until));
                write!(
                    f,
                    "stabilization, {held} is the {word} of its window until {until} (wanted {wanted})"
                )
            }
            Self::Rate { action, wanted, policy: None, .. } => {
                write!(f, "{} is disabled (wanted {wanted})", action.as_str())
            }
            Self::Rate { wanted, allowed, policy: Some(policy), .. } => {
                let (value, seconds) = (policy.value, policy.period.as_secs());
                let unit = match policy.kind {
                    PolicyKind::Pods => "",
                    PolicyKind::Percent => " %",
                };
                write!(f, "rate {value}{unit} in {seconds} s, {allowed} now (wanted {wanted})")
            }
            Self::Guard { reading } => write!(f, "no scale-down while {reading}"),
            Self::Panic { until } => write!(f, "no scale-down in a panic, until {}", Stamp(*until)),
            Self::Schedule { name, min, max } => write!(f, "schedule {name}, {min} to {max}"),
            Self::Paused { action } => write!(f, "{} is paused", action.as_str()),
            Self::UnknownSignal { metric, why } => {
                write!(f, "no scale-down while {metric} is Unknown ({why})")
            }
            Self::Contradiction { metric } => write!(f, "{metric} asks for more"),
            Self::DuplicateIntent { count: 1, id } => write!(f, "`{id}` was decided on before"),
            Self::DuplicateIntent { count, id } => {
                write!(f, "{count} intents were decided on before, `{id}` among them")
            }
        }
    }
}

fn extreme(action: Action) -> &'static str {
    if action == Action::ScaleUp { "lowest" } else { "highest" }
}
