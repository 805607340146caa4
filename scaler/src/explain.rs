//! A decision as one sentence.
//!
//! What most sentences have is written straight into any [`fmt::Write`]: a decision is told on each
//! tick, and through a [`fmt::Formatter`] each of its dozen pieces costs three times as much.

use std::fmt::{self, Write};

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
        _ = self.tell(&mut sentence);
        sentence
    }

    fn proposal(&self, metric: &str) -> Option<&Proposal> {
        self.proposals.iter().find(|proposal| *proposal.metric == *metric)
    }

    fn tell(&self, to: &mut impl Write) -> fmt::Result {
        if self.preview {
            to.write_str("preview: ")?;
        }
        to.write_str(self.action.as_str())?;
        to.write_str(" ")?;
        to.write_str(&self.target)?;
        to.write_str(if self.action == Action::Hold { " at " } else { " " })?;
        number(to, self.from)?;
        if self.action != Action::Hold {
            to.write_str(" → ")?;
            number(to, self.to)?;
        }
        to.write_str(": ")?;
        self.cause(to)?;
        if self.action == Action::Hold && self.reason == Reason::Steady {
            self.steady(to)?;
        }
        if self.limits.is_empty() {
            return to.write_str(if self.from == self.to { "" } else { "; limits: none" });
        }
        for (at, limit) in self.limits.iter().enumerate() {
            write!(to, "{}{limit}", if at == 0 { "; limits: " } else { ", " })?;
        }
        Ok(())
    }

    fn cause(&self, to: &mut impl Write) -> fmt::Result {
        match (self.reason, &self.trigger) {
            (Reason::Paused, None) => to.write_str(
                "it was set to 0 replicas, which pauses scaling until it is set to 1 or more",
            ),
            (Reason::Idle, _) => to.write_str("there is no metric, and nobody asks for a change"),
            (Reason::DuplicateIntent, _) => {
                to.write_str("what was asked for has been decided already")
            }
            (_, Some(Trigger::Metric { metric, .. })) => match self.proposal(metric) {
                Some(proposal) => proposal.tell(to),
                None => to.write_str(metric),
            },
            (_, Some(Trigger::Guard { signal, .. })) => {
                match self.guards.iter().find(|reading| reading.signal == *signal) {
                    Some(reading) => write!(to, "{reading}"),
                    None => to.write_str(signal),
                }
            }
            (_, Some(trigger)) => write!(to, "{trigger}"),
            (reason, None) => to.write_str(match reason {
                Reason::UnknownSignal => "no metric has a value",
                _ => reason.as_str(),
            }),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f)
    }
}

impl Decision {
    /// What a steady hold still has to tell: a formula that gives the present size, metrics without
    /// a value, and guards that are not calm.
    fn steady(&self, to: &mut impl Write) -> fmt::Result {
        if let Some(Trigger::Metric { metric, .. }) = &self.trigger
            && let Some(Proposal { reading: Reading::Known { band, replicas, .. }, .. }) =
                self.proposal(metric)
            && *band != Band::Inside
        {
            write!(to, ", and the formula gives {replicas}")?;
        }
        for proposal in &self.proposals {
            if matches!(proposal.reading, Reading::Unknown { .. }) {
                write!(to, "; {proposal}")?;
            }
        }
        for reading in self.guards.iter().filter(|reading| !reading.is_calm()) {
            write!(to, "; {reading}")?;
        }
        Ok(())
    }
}

impl Proposal {
    fn tell(&self, to: &mut impl Write) -> fmt::Result {
        let Self { metric, unit, .. } = self;
        let show = |to: &mut _, value| Amount(value, *unit).tell(to);
        to.write_str(metric)?;
        match self.reading {
            Reading::Unknown { why } => write!(to, " is Unknown ({why})"),
            Reading::Known { value, weighed, filled, band, .. } => {
                to.write_str(" ")?;
                show(to, value)?;
                if filled > 0 {
                    let weighed = Amount(weighed, *unit);
                    write!(to, " ({weighed} with {filled} missing filled in)")?;
                }
                match band {
                    Band::Below => {
                        to.write_str(" is below ")?;
                        show(to, self.low)?;
                    }
                    Band::Inside => {
                        to.write_str(" is inside ")?;
                        self.low.tell(to)?;
                        to.write_str("–")?;
                        show(to, self.high)?;
                    }
                    Band::Above => {
                        to.write_str(" is at or above ")?;
                        show(to, self.high)?;
                    }
                }
                to.write_str(" (target ")?;
                show(to, self.target)?;
                to.write_str(")")
            }
        }
    }
}

/// A number, without what a formatter would ask of it.
fn number(to: &mut impl Write, number: u32) -> fmt::Result {
    to.write_str(itoa::Buffer::new().format(number))
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f)
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
            GuardState::Doubtful { value, why } => {
                write!(f, "{signal} {value} is not {side} {limit} as far as is known ({why})")
            }
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
