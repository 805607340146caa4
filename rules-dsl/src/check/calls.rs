//! Calls: which functions there are, and what they take.

use std::collections::HashSet;
use std::time::Duration;

use crate::ast::{Ast, ExprId, Kind, Literal};
use crate::check::{Checker, Type};
use crate::function;
use crate::host::{FunctionSpec, ValueKind};
use crate::issue::nearest;
use crate::members::network;

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameter {
    Field,
    Text,
    TextOrList,
    TextOrNumber,
    Number,
    Duration,
    Time,
    Host(ValueKind),
}

impl Parameter {
    fn expected(self) -> &'static str {
        match self {
            Self::Field => "a field",
            Self::Text => "a text",
            Self::TextOrList => "a text or a list",
            Self::TextOrNumber => "a text or a number",
            Self::Number => "a number",
            Self::Duration => "a duration such as 5m",
            Self::Time => "a time such as time(field)",
            Self::Host(kind) => match kind {
                ValueKind::Any => "a value",
                ValueKind::Bool => "a bool",
                ValueKind::Number => "a number",
                ValueKind::Text => "a text",
                ValueKind::List => "a list",
            },
        }
    }

    fn takes(self, kind: &Kind, found: Type) -> bool {
        match self {
            Self::Field => matches!(kind, Kind::Field(_) | Kind::Item(_)),
            Self::Text => matches!(found, Type::Any | Type::Text),
            Self::TextOrList => matches!(found, Type::Any | Type::Text | Type::List),
            Self::TextOrNumber => matches!(found, Type::Any | Type::Text | Type::Number),
            Self::Number => matches!(found, Type::Any | Type::Number),
            Self::Duration => found == Type::Duration,
            Self::Time => found == Type::Time,
            Self::Host(ValueKind::Any) => !matches!(found, Type::Set | Type::Duration),
            Self::Host(kind) => found == Type::Any || found == kind.ty(),
        }
    }
}

/// What a function takes and gives.
fn signature(name: &str) -> Option<(&'static [Parameter], Type)> {
    use Parameter::{Field, Number, Text, TextOrList, TextOrNumber, Time};
    Some(match name {
        "exists" => (&[Field], Type::Bool),
        "len" => (&[TextOrList], Type::Number),
        "lower" | "upper" | "trim" => (&[Text], Type::Text),
        "num" => (&[TextOrNumber], Type::Number),
        "abs" => (&[Number], Type::Number),
        "min" | "max" => (&[Number, Number], Type::Number),
        "millis" | "seconds" => (&[Parameter::Duration], Type::Number),
        "count" => (&[Parameter::Duration], Type::Any),
        "time" => (&[Text], Type::Time),
        "hour" | "weekday" => (&[Time], Type::Number),
        _ => return None,
    })
}

const FUNCTIONS: [&str; 18] = [
    "abs", "all", "any", "cidr", "count", "exists", "hour", "len", "lower", "max", "millis", "min",
    "num", "seconds", "time", "trim", "upper", "weekday",
];

impl Checker<'_> {
    pub(super) fn call(&mut self, id: ExprId, name: &str, args: &[ExprId]) -> Type {
        if name == "cidr" {
            return self.networks(id, args);
        }
        if matches!(name, "any" | "all") {
            self.count_of(id, name, args, 1, "a condition about `list[*]`");
            return Type::Bool;
        }
        let Some((parameters, result)) = signature(name) else {
            let functions = self.known.functions;
            if let Some(function) = functions.iter().find(|known| known.name() == name) {
                return self.host_call(id, function, args);
            }
            self.unknown_function(id, name);
            return Type::Any;
        };
        if args.len() != parameters.len() {
            let expected = parameters.first().map_or("", |first| first.expected());
            self.count_of(id, name, args, parameters.len(), expected);
            return result;
        }
        for (argument, parameter) in args.iter().zip(parameters) {
            self.argument(name, *argument, *parameter);
        }
        match args.first().map(|first| self.ast.kind(*first)) {
            Some(Kind::Literal(Literal::Duration(duration))) if name != "count" => {
                let scale = if name == "millis" { 1_000_000 } else { 1_000_000_000 };
                self.out.constants.insert(Ast::index(id), in_units(*duration, scale));
            }
            Some(Kind::Literal(Literal::Str(text))) if name == "time" => {
                self.constant_time(id, args[0], text);
            }
            _ => {}
        }
        result
    }

    fn count_of(&mut self, id: ExprId, name: &str, args: &[ExprId], takes: usize, expected: &str) {
        let many = match takes {
            0 => "no argument".to_owned(),
            1 => "one argument".to_owned(),
            2 => "two arguments".to_owned(),
            more => format!("{more} arguments"),
        };
        let message = format!("`{name}()` takes {many}, not {}", args.len());
        self.issue("E0307", id, message, &format!("expected {expected}"));
    }

    fn host_call(&mut self, id: ExprId, function: &FunctionSpec, args: &[ExprId]) -> Type {
        let (name, kinds) = (function.name(), function.arguments());
        if args.len() == kinds.len() {
            for (argument, kind) in args.iter().zip(kinds) {
                self.argument(name, *argument, Parameter::Host(*kind));
            }
            self.out.functions.insert(Ast::index(id), function.clone());
        } else {
            let expected =
                kinds.first().map_or("nothing", |kind| Parameter::Host(*kind).expected());
            self.count_of(id, name, args, kinds.len(), expected);
        }
        function.result().ty()
    }

    fn argument(&mut self, name: &str, id: ExprId, parameter: Parameter) {
        let (found, kind) = (self.ty(id), self.ast.kind(id));
        if parameter.takes(kind, found) {
            return;
        }
        let expected = parameter.expected();
        let message = format!("`{name}()` takes {expected}, not {}", describe(kind, found));
        let written = self.written(id).to_owned();
        let issue = self.issue("E0307", id, message, &format!("expected {expected}"));
        issue.suggestion = match (parameter, kind) {
            (Parameter::Field, Kind::Literal(Literal::Str(text))) => Some(text.as_str().into()),
            (Parameter::Duration, Kind::Literal(Literal::Int(_))) => {
                let unit = if name == "millis" { "ms" } else { "s" };
                Some(format!("{written}{unit}").into())
            }
            (Parameter::Time, Kind::Field(_) | Kind::Literal(Literal::Str(_))) => {
                Some(format!("time({written})").into())
            }
            _ => None,
        };
    }

    fn constant_time(&mut self, id: ExprId, argument: ExprId, text: &str) {
        if let Some(time) = function::time(text) {
            self.out.constants.insert(Ast::index(id), Literal::Int(time));
            return;
        }
        let day = format!("{}T00:00:00Z", text.trim());
        let message = format!("`{text}` is not a time");
        let issue = self.issue("E0307", argument, message, "expected a time as in RFC 3339");
        issue.help = Some("from 1678 to 2261, with a zone: '2026-11-23T08:00:00Z'".into());
        issue.suggestion = function::time(&day).map(|_| format!("'{day}'").into());
    }

    /// `cidr('10.0.0.0/8', 'fd00::/8')`.
    fn networks(&mut self, id: ExprId, args: &[ExprId]) -> Type {
        if args.is_empty() {
            let message = "`cidr()` takes one network or more".into();
            self.issue("E0307", id, message, "expected a text such as '10.0.0.0/8'");
        }
        let known = self.issues.len();
        let mut nets = Vec::new();
        let lists = args.iter().flat_map(|argument| match self.ast.kind(*argument) {
            Kind::List(items) => items.clone(),
            _ => vec![*argument],
        });
        for argument in &lists.collect::<Vec<_>>() {
            let Kind::Literal(Literal::Str(text)) = self.ast.kind(*argument) else {
                let found = describe(self.ast.kind(*argument), self.ty(*argument));
                let message = format!("`cidr()` takes networks in quotes, not {found}");
                let label = "expected a text such as '10.0.0.0/8'";
                self.issue("E0307", *argument, message, label);
                continue;
            };
            match network(text) {
                Some(net) if net == net.trunc() => nets.push(net),
                Some(net) => {
                    let message = format!("`{text}` is an address in a network");
                    let label = "its last bits are not zero";
                    let suggestion = format!("'{}'", net.trunc());
                    self.issue("E0307", *argument, message, label).suggestion =
                        Some(suggestion.into());
                }
                None => {
                    let message = format!("`{text}` is no network");
                    let issue = self.issue("E0307", *argument, message, "cannot be read");
                    issue.help = Some(
                        "write an address and how many of its bits count: '10.0.0.0/8', \
                         'fd00::/8'; or one address"
                            .into(),
                    );
                }
            }
        }
        if nets.is_empty() && !args.is_empty() && self.issues.len() == known {
            self.issue(
                "E0310",
                id,
                "nothing is in an empty list".into(),
                "the answer never changes",
            );
        }
        self.out.nets.insert(Ast::index(id), nets);
        Type::Set
    }

    /// Each `any()` and `all()` is about the items of one list, and items are nowhere else.
    pub(super) fn items(&mut self) {
        let ast = self.ast;
        let mut covered = HashSet::new();
        for (id, node) in ast.iter() {
            let Kind::Each { all, over } = &node.kind else { continue };
            let name = if *all { "all()" } else { "any()" };
            let below = ast.below(*over);
            let mut paths: Vec<&str> = Vec::new();
            for inner in &below {
                match ast.kind(*inner) {
                    Kind::Item(path) if !paths.contains(&path.as_str()) => paths.push(path),
                    Kind::Each { .. } => {
                        let message = format!("`{name}` of another such");
                        self.issue("E0312", *inner, message, "one list at a time");
                    }
                    _ => {}
                }
            }
            match paths.as_slice() {
                [_] => {}
                [] => {
                    let message = format!("`{name}` is about the items of a list");
                    self.issue("E0312", id, message, "no item in it").help =
                        Some("`tags[*]` is an item of the list `tags`: any(tags[*] == 'x')".into());
                }
                [..] => {
                    let message = format!("`{name}` goes over one list");
                    let label = format!("here are {}", paths.len());
                    self.issue("E0312", id, message, &label);
                }
            }
            covered.extend(below.into_iter().map(Ast::index));
        }
        for (id, node) in ast.iter() {
            let Kind::Item(path) = &node.kind else { continue };
            if !covered.contains(&Ast::index(id)) {
                let message = format!("`{path}[*]` stands outside of `any()` and `all()`");
                self.issue("E0312", id, message, "an item of which list?").help =
                    Some("say of how many items it must hold: any(tags[*] == 'x')".into());
            }
        }
    }

    fn unknown_function(&mut self, id: ExprId, name: &str) {
        const INTENTS: [&str; 4] = ["notify", "send_pagerduty", "scale", "keep_logs"];
        let hosts = self.known.functions;
        let names = || FUNCTIONS.into_iter().chain(hosts.iter().map(FunctionSpec::name));
        let near = nearest(name, names());
        let message = match INTENTS.contains(&name) {
            true => format!("`{name}` is an intent, and no function"),
            false => format!("no function is called `{name}`"),
        };
        let issue = self.issue("E0306", id, message, "unknown function");
        issue.help = Some(if INTENTS.contains(&name) {
            "an intent belongs into `then`".into()
        } else {
            let names: Vec<String> = names().map(|name| format!("{name}()")).collect();
            format!("there are {}", names.join(", ")).into()
        });
        issue.suggestion = near.map(Into::into);
        let start = self.ast.span(id).start;
        if let Some(issue) = self.issues.last_mut() {
            issue.span = start..start + name.len();
        }
    }
}

fn describe(kind: &Kind, found: Type) -> &'static str {
    match kind {
        Kind::Field(_) if found == Type::Any => "a field",
        _ if found == Type::Any => "an expression",
        _ => found.name(),
    }
}

/// A whole number of units where it is one.
fn in_units(duration: Duration, scale: u128) -> Literal {
    let nanos = duration.as_nanos();
    match i64::try_from(nanos / scale) {
        Ok(whole) if nanos.is_multiple_of(scale) => Literal::Int(whole),
        _ => Literal::Float(nanos as f64 / scale as f64),
    }
}
