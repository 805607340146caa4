//! `then`: what a rule wants to happen. Data, checked when the rules are loaded; nothing is done here.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::ast::Literal;
use crate::issue::{Issue, nearest};
use crate::literal::{humane, parse_duration};
use crate::parser::{IntentCall, parse_actions};
use crate::template::Template;

/// One thing that a rule asks its host to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "intent")]
#[non_exhaustive]
pub enum Intent {
    /// Tell somebody.
    #[non_exhaustive]
    Notify {
        /// The receiver that the rule names; `None` leaves the choice to the routes. In a
        /// [`RuleInfo`](crate::RuleInfo) it may hold `{{field}}`, which is filled in when it fires, with up
        /// to a kilobyte of whatever the record says: ask whether there is such a receiver.
        receiver: Option<String>,
        /// The service that the rule names, if it names one.
        via: Option<Via>,
    },
    /// Change how much capacity runs.
    #[non_exhaustive]
    Scale {
        /// The name of the scaler's target; `{{field}}` as above.
        target: String,
        /// By how much, or to what.
        change: Change,
    },
    /// Keep the records around this moment out of any sampling.
    #[non_exhaustive]
    KeepLogs {
        /// For how long.
        #[serde(serialize_with = "crate::time::duration")]
        duration: Duration,
    },
    /// An intent that the host declared with [`IntentSpec`].
    #[non_exhaustive]
    Host {
        /// Its name.
        name: String,
        /// Its arguments, of the declared kinds.
        args: Vec<Argument>,
    },
}

/// A named notification service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Via {
    /// `send_pagerduty('KEY')`.
    PagerDuty,
}

/// A change of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// `'+2'` or `'-1'`: relative, never zero.
    By(i32),
    /// `3`: absolute.
    To(u32),
}

/// A constant argument of a host's own intent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Argument {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// A duration.
    Duration(#[serde(serialize_with = "crate::time::duration")] Duration),
}

/// What kind of constant an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArgumentKind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// Any number.
    Number,
    /// A text in quotes.
    Text,
    /// A duration such as `5m`.
    Duration,
}

/// The signature of an intent that a host adds to the language.
///
/// ```
/// use birl_rules_dsl::{ArgumentKind, Compiler, IntentSpec, SourceText};
///
/// let compiler = Compiler::new()
///     .intent(IntentSpec::new("open_ticket").argument(ArgumentKind::Text));
/// let text = "{when: level == 'error', then: open_ticket('OPS')}";
/// let rules = compiler.compile(&[SourceText::yaml("rules.yaml", text)])?;
/// # assert_eq!(rules.rules().len(), 1);
/// # Ok::<(), birl_rules_dsl::Diagnostics>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntentSpec {
    name: String,
    arguments: Vec<ArgumentKind>,
}

impl IntentSpec {
    /// An intent without arguments. A built-in of the same name wins.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), arguments: Vec::new() }
    }

    /// Adds a required argument at the end.
    #[must_use]
    pub fn argument(mut self, kind: ArgumentKind) -> Self {
        self.arguments.push(kind);
        self
    }
}

const BUILT_IN: [&str; 4] = ["notify", "send_pagerduty", "scale", "keep_logs"];

/// An argument with a template in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hole {
    /// Which intent of the rule, and which of its texts.
    pub(crate) intent: usize,
    pub(crate) text: usize,
    pub(crate) template: Template,
}

/// An intent, and where its texts stand.
type Parsed = (Intent, Vec<Range<usize>>);

/// Parses and checks one `then` text.
pub(crate) fn parse(text: &str, host: &[IntentSpec]) -> Result<Vec<Parsed>, Vec<Issue>> {
    let mut intents = Vec::new();
    let mut issues = Vec::new();
    for call in parse_actions(text)? {
        match check(&call, host) {
            Ok(intent) => {
                let texts = call.args.iter().filter(|(arg, _)| matches!(arg, Literal::Str(_)));
                intents.push((intent, texts.map(|(_, span)| span.clone()).collect()));
            }
            Err(issue) => issues.push(issue),
        }
    }
    if issues.is_empty() { Ok(intents) } else { Err(issues) }
}

fn check(call: &IntentCall, host: &[IntentSpec]) -> Result<Intent, Issue> {
    match call.name.as_str() {
        "notify" => match call.args.as_slice() {
            [] => Ok(Intent::Notify { receiver: None, via: None }),
            [one] => Ok(Intent::Notify { receiver: Some(name(one, "a receiver")?), via: None }),
            _ => Err(count(call, "at most one argument: notify() or notify('team')")),
        },
        "send_pagerduty" => match call.args.as_slice() {
            [key] => {
                let receiver = Some(name(key, "a receiver")?);
                Ok(Intent::Notify { receiver, via: Some(Via::PagerDuty) })
            }
            _ => Err(count(call, "one argument: send_pagerduty('HIGH_CPU')")),
        },
        "scale" => match call.args.as_slice() {
            [target, by] => {
                Ok(Intent::Scale { target: name(target, "a target")?, change: change(by)? })
            }
            _ => Err(count(call, "two arguments: scale('api', '+2') or scale('api', 3)")),
        },
        "keep_logs" => match call.args.as_slice() {
            [(Literal::Duration(duration), _)] => Ok(Intent::KeepLogs { duration: *duration }),
            [(Literal::Str(text), span)] => match parse_duration(text) {
                Some(duration) => Ok(Intent::KeepLogs { duration }),
                None => Err(kind(span, "a duration", "keep_logs(10m)")),
            },
            [(_, span)] => Err(kind(span, "a duration", "keep_logs(10m)")),
            _ => Err(count(call, "one argument: keep_logs(10m)")),
        },
        other => match host.iter().find(|spec| spec.name == other) {
            Some(spec) => host_intent(call, spec),
            None => Err(unknown(call, host)),
        },
    }
}

fn unknown(call: &IntentCall, host: &[IntentSpec]) -> Issue {
    let names = || BUILT_IN.into_iter().chain(host.iter().map(|spec| spec.name.as_str()));
    let message = format!("no intent is called `{}`", call.name);
    let known = names().map(|name| format!("{name}()")).collect::<Vec<_>>().join(", ");
    Issue::new("E0501", call.name_span.clone(), message, "unknown intent")
        .help(format!("there are {known}"))
        .suggest_if(nearest(&call.name, names()))
}

fn count(call: &IntentCall, expected: &str) -> Issue {
    let message = format!("`{}()` takes {expected}", call.name);
    let label = match call.args.len() {
        0 => "no argument here".to_owned(),
        1 => "one argument here".to_owned(),
        many => format!("{many} arguments here"),
    };
    Issue::new("E0502", call.span.clone(), message, label)
}

fn kind(span: &Range<usize>, expected: &str, example: &str) -> Issue {
    Issue::new(
        "E0502",
        span.clone(),
        format!("this must be {expected}"),
        format!("expected {expected}"),
    )
    .help(format!("for example: {example}"))
}

/// A text that names something: not empty, and short enough to be a name.
fn name((literal, span): &(Literal, Range<usize>), what: &str) -> Result<String, Issue> {
    match literal {
        Literal::Str(text) if !text.trim().is_empty() && text.len() <= 200 => Ok(text.clone()),
        Literal::Str(_) => Err(Issue::new(
            "E0502",
            span.clone(),
            format!("{what} needs a name"),
            "expected a name of at most 200 bytes",
        )),
        _ => Err(Issue::new(
            "E0502",
            span.clone(),
            format!("{what} is named by a text"),
            "expected a text in quotes",
        )),
    }
}

fn change((literal, span): &(Literal, Range<usize>)) -> Result<Change, Issue> {
    let change = match literal {
        Literal::Int(by @ ..0) => i32::try_from(*by).ok().map(Change::By),
        Literal::Int(to) => u32::try_from(*to).ok().map(Change::To),
        Literal::Str(text) if text.starts_with(['+', '-']) => {
            text.parse::<i32>().ok().filter(|by| *by != 0).map(Change::By)
        }
        Literal::Str(text) => text.parse::<u32>().ok().map(Change::To),
        _ => None,
    };
    change.ok_or_else(|| {
        let message = "this is no change of replicas";
        Issue::new("E0502", span.clone(), message, "expected '+2', '-1' or 3")
            .help("with a sign it is relative and never zero, without one absolute")
    })
}

fn host_intent(call: &IntentCall, spec: &IntentSpec) -> Result<Intent, Issue> {
    if call.args.len() != spec.arguments.len() {
        return Err(count(call, &format!("{} argument(s)", spec.arguments.len())));
    }
    let args = call.args.iter().zip(&spec.arguments).map(|((literal, span), expected)| {
        match (literal, expected) {
            (Literal::Bool(value), ArgumentKind::Bool) => Ok(Argument::Bool(*value)),
            (Literal::Int(value), ArgumentKind::Int | ArgumentKind::Number) => {
                Ok(Argument::Int(*value))
            }
            (Literal::Float(value), ArgumentKind::Number) => Ok(Argument::Float(*value)),
            (Literal::Str(text), ArgumentKind::Text) => Ok(Argument::Text(text.clone())),
            (Literal::Duration(value), ArgumentKind::Duration) => Ok(Argument::Duration(*value)),
            (_, expected) => {
                let (expected, example) = match expected {
                    ArgumentKind::Bool => ("a bool", "true"),
                    ArgumentKind::Int => ("a whole number", "3"),
                    ArgumentKind::Number => ("a number", "0.5"),
                    ArgumentKind::Text => ("a text", "'name'"),
                    ArgumentKind::Duration => ("a duration", "5m"),
                };
                Err(kind(span, expected, example))
            }
        }
    });
    Ok(Intent::Host { name: spec.name.clone(), args: args.collect::<Result<_, _>>()? })
}

impl Intent {
    /// The texts that may hold templates, in the order in which they are written.
    pub(crate) fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Notify { receiver, .. } => receiver.iter_mut().collect(),
            Self::Scale { target, .. } => vec![target],
            Self::KeepLogs { .. } => Vec::new(),
            Self::Host { args, .. } => {
                fn text(argument: &mut Argument) -> Option<&mut String> {
                    if let Argument::Text(text) = argument { Some(text) } else { None }
                }
                args.iter_mut().filter_map(text).collect()
            }
        }
    }
}

/// As it would be written in a rule.
impl std::fmt::Display for Intent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Notify { receiver: None, .. } => f.write_str("notify()"),
            Self::Notify { receiver: Some(name), via: None } => write!(f, "notify('{name}')"),
            Self::Notify { receiver: Some(name), .. } => write!(f, "send_pagerduty('{name}')"),
            Self::Scale { target, change: Change::By(by) } => {
                write!(f, "scale('{target}', '{by:+}')")
            }
            Self::Scale { target, change: Change::To(to) } => write!(f, "scale('{target}', {to})"),
            Self::KeepLogs { duration } => write!(f, "keep_logs({})", humane(*duration)),
            Self::Host { name, args } => {
                write!(f, "{name}(")?;
                for (index, arg) in args.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    match arg {
                        Argument::Bool(value) => write!(f, "{comma}{value}")?,
                        Argument::Int(value) => write!(f, "{comma}{value}")?,
                        Argument::Float(value) => write!(f, "{comma}{value}")?,
                        Argument::Text(text) => write!(f, "{comma}'{text}'")?,
                        Argument::Duration(value) => write!(f, "{comma}{}", humane(*value))?,
                    }
                }
                f.write_str(")")
            }
        }
    }
}
