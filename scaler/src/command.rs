//! A target that is scaled by a command: whatever has a program for it.

mod run;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout_at};

use crate::decision::Decision;
use crate::error::{Error, ErrorKind};
use crate::signal::Replicas;
use crate::target::ScaleTarget;

/// How soon the size is asked for again while a change is under way; doubled up to the second one.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Scales by running a command, and asks another one how many there are. No shell is involved: each
/// argument is one word, whatever stands in it.
///
/// In the arguments `{replicas}` is the size asked for, `{from}` the one before, `{target}` the
/// target's name and `{decision}` the decision's id; the same stand in the environment as
/// `BIRL_REPLICAS`, `BIRL_FROM`, `BIRL_TARGET` and `BIRL_DECISION`, with the decision's sentence as
/// `BIRL_REASON`. A command that does not end in time is killed, with all that it started.
///
/// The command that counts prints a number, or JSON: a number, `{"desired": 3, "ready": 2}`, or
/// anything else with [`pointers`](CommandTargetBuilder::pointers) to the two. Without one, the
/// last size that was asked for is taken for the present one.
///
/// ```no_run
/// # async fn example() -> Result<(), birl_scaler::Error> {
/// use birl_scaler::{CommandTarget, ScaleTarget};
///
/// let web = CommandTarget::builder("web", ["docker", "service", "scale", "web={replicas}"])
///     .count(["docker", "service", "inspect", "web", "--format", "{{.Spec.Mode.Replicated.Replicas}}"])
///     .build()?;
/// println!("{} are there", web.replicas().await?.ready);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct CommandTarget {
    plan: CommandTargetBuilder,
    /// The size asked for last.
    asked: Mutex<Option<u32>>,
    /// Calls that overlap queue here, in order.
    turn: tokio::sync::Mutex<()>,
}

/// A [`CommandTarget`] that is being described.
#[derive(Debug, Clone)]
pub struct CommandTargetBuilder {
    target: String,
    scale: Vec<String>,
    count: Vec<String>,
    pointers: Option<(String, String)>,
    env: BTreeMap<OsString, OsString>,
    deadline: Duration,
    initial: Option<u32>,
}

impl CommandTarget {
    /// Begins to describe the target `target`, which `command` (a program and its arguments)
    /// scales.
    pub fn builder<W: Into<String>>(
        target: impl Into<String>,
        command: impl IntoIterator<Item = W>,
    ) -> CommandTargetBuilder {
        CommandTargetBuilder {
            target: target.into(),
            scale: command.into_iter().map(Into::into).collect(),
            count: Vec::new(),
            pointers: None,
            env: BTreeMap::new(),
            deadline: Duration::from_secs(60),
            initial: None,
        }
    }

    async fn count(&self, deadline: Instant) -> Result<Replicas, Error> {
        let words = BTreeMap::from([("target", self.plan.target.clone())]);
        let output = self.plan.run(&self.plan.count, &words, deadline).await?;
        self.plan.read_count(&output)
    }

    /// Waits until the target says that all of them are there.
    async fn settled(&self, replicas: u32, deadline: Instant) -> Result<(), Error> {
        let mut pause = POLL.0;
        loop {
            let there = self.count(deadline).await?;
            if there == Replicas::ready(replicas) {
                return Ok(());
            }
            if timeout_at(deadline, sleep(pause)).await.is_err() {
                let Replicas { desired, ready } = there;
                let message = format!(
                    "{}: asked for {replicas}, and after {} there are {ready} ready of {desired}",
                    self.plan.target,
                    crate::duration::format(self.plan.deadline)
                );
                return Err(Error::new(ErrorKind::Timeout, message));
            }
            pause = (pause * 2).min(POLL.1);
        }
    }
}

#[async_trait]
impl ScaleTarget for CommandTarget {
    async fn replicas(&self) -> Result<Replicas, Error> {
        if !self.plan.count.is_empty() {
            return self.count(later(self.plan.deadline)).await;
        }
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.map(Replicas::ready).ok_or_else(|| {
            let message = format!(
                "{}: nobody knows how many there are: give a command that counts them, or say how \
                 many there are at first",
                self.plan.target
            );
            Error::new(ErrorKind::Target, message)
        })
    }

    async fn scale_to(&self, replicas: u32, decision: &Decision) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let deadline = later(self.plan.deadline);
        let words = BTreeMap::from([
            ("decision", decision.id.to_string()),
            ("from", decision.from.to_string()),
            ("reason", decision.explain()),
            ("replicas", replicas.to_string()),
            ("target", self.plan.target.clone()),
        ]);
        self.plan.run(&self.plan.scale, &words, deadline).await?;
        if !self.plan.count.is_empty() {
            self.settled(replicas, deadline).await?;
        }
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(replicas);
        Ok(())
    }
}

impl CommandTargetBuilder {
    /// The command that prints how many there are. A change then ends when it says so.
    #[must_use]
    pub fn count<W: Into<String>>(mut self, command: impl IntoIterator<Item = W>) -> Self {
        self.count = command.into_iter().map(Into::into).collect();
        self
    }

    /// Where, in the JSON that it prints, the numbers are: JSON pointers such as `/spec/replicas`
    /// and `/status/readyReplicas`. A number that is not there, or null, is zero, as Kubernetes
    /// writes it.
    #[must_use]
    pub fn pointers(mut self, desired: impl Into<String>, ready: impl Into<String>) -> Self {
        self.pointers = Some((desired.into(), ready.into()));
        self
    }

    /// How many there are at first, for a target without a command that counts.
    #[must_use]
    pub fn initial(mut self, replicas: u32) -> Self {
        self.initial = Some(replicas);
        self
    }

    /// Sets a variable of the commands' environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// How long a change may take in all, and a count; 60 s by default.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Checks the description. Nothing is run yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`], naming the setting.
    pub fn build(self) -> Result<CommandTarget, Error> {
        let fault = |what: &str| {
            let message = format!("command target `{}`: {what}", self.target);
            Err(Error::new(ErrorKind::InvalidInput, message))
        };
        if self.scale.first().is_none_or(|program| program.trim().is_empty()) {
            return fault("the command is empty: name a program");
        }
        if self.count.first().is_some_and(|program| program.trim().is_empty()) {
            return fault("the command that counts has an empty name");
        }
        if self.pointers.is_some() && self.count.is_empty() {
            return fault("pointers are set, but no command that counts: set both or neither");
        }
        // Those that look into the whole document are empty.
        let off = |pointer: &&String| !pointer.is_empty() && !pointer.starts_with('/');
        let pointers = self.pointers.iter().flat_map(|(desired, ready)| [desired, ready]);
        if let Some(pointer) = pointers.into_iter().find(off) {
            return fault(&format!(
                "the pointer `{pointer}` does not begin with `/`: write it as in `/spec/replicas`"
            ));
        }
        if !self.scale.iter().any(|word| word.contains("{replicas}")) && self.count.is_empty() {
            return fault(
                "no argument has `{replicas}` in it, and nothing counts: if the command reads \
                 BIRL_REPLICAS, give one that counts as well",
            );
        }
        if self.deadline.is_zero() {
            return fault("the deadline is 0: give it at least a second");
        }
        let asked = Mutex::new(self.initial);
        Ok(CommandTarget { plan: self, asked, turn: tokio::sync::Mutex::default() })
    }

    /// What the counting command printed.
    fn read_count(&self, output: &[u8]) -> Result<Replicas, Error> {
        let text = String::from_utf8_lossy(output);
        let text = text.trim();
        let cannot = || {
            let start: String = text.chars().take(80).collect();
            let message = format!(
                "{}: `{}` printed `{start}`, which is no count: a number, or \
                 {{\"desired\": 3, \"ready\": 2}}",
                self.target,
                self.count.join(" ")
            );
            Error::new(ErrorKind::Target, message)
        };
        let number = |value: Option<&serde_json::Value>| match value {
            None | Some(serde_json::Value::Null) => Some(0),
            Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        let value: serde_json::Value = serde_json::from_str(text).map_err(|_| cannot())?;
        if let Some((desired, ready)) = &self.pointers {
            if !value.is_object() && !value.is_array() {
                return Err(cannot());
            }
            let counts = number(value.pointer(desired)).zip(number(value.pointer(ready)));
            return counts.map(|(desired, ready)| Replicas { desired, ready }).ok_or_else(cannot);
        }
        if value.is_u64() {
            return number(Some(&value)).map(Replicas::ready).ok_or_else(cannot);
        }
        serde_json::from_value(value).map_err(|_| cannot())
    }
}

/// `timeout` from now; where the clock's range ends, a year.
fn later(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 86_400))
}
