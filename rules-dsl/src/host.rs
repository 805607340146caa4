//! Functions that a host adds to the language.

use std::fmt;
use std::sync::Arc;

use crate::check::Type;
use crate::value::Value;

/// The signature of a function that a host adds to conditions, what it costs, and what it does.
///
/// It must be pure: the same arguments, the same answer, and nothing else. Rules are judged in any order,
/// in many threads, and again when they are explained. It is called with as many arguments as were
/// declared, all of them there; where one is missing the answer is unknown, and so it is where the
/// function gives `None`.
///
/// ```
/// use birl_rules_dsl::{Compiler, FunctionSpec, SourceText, Truth, Value, ValueKind};
///
/// let is_even = FunctionSpec::new("is_even", ValueKind::Bool, |arguments| match arguments {
///     [Value::Int(number)] => Some(Value::Bool(number % 2 == 0)),
///     _ => None,
/// });
/// let compiler = Compiler::new().function(is_even.argument(ValueKind::Number).costs(2));
/// let text = "{name: odd, when: '!is_even(shard)', then: notify()}";
/// let rules = compiler.compile(&[SourceText::yaml("rules.yaml", text)])?;
/// let verdict = |record| rules.explain("odd", &record).map(|why| why.verdict);
/// assert_eq!(verdict(serde_json::json!({"shard": 3})), Some(Truth::True));
/// assert_eq!(verdict(serde_json::json!({"shard": "a"})), Some(Truth::Unknown));
/// # Ok::<(), birl_rules_dsl::Diagnostics>(())
/// ```
#[derive(Clone)]
pub struct FunctionSpec {
    name: Arc<str>,
    arguments: Vec<ValueKind>,
    result: ValueKind,
    cost: u64,
    call: Arc<Call>,
}

type Call = dyn Fn(&[Value<'_>]) -> Option<Value<'static>> + Send + Sync;

/// What an argument or a result of a function is; of an argument that is a field, what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueKind {
    /// Anything.
    Any,
    /// `true` or `false`.
    Bool,
    /// A number of any kind.
    Number,
    /// A text.
    Text,
    /// A list.
    List,
}

impl ValueKind {
    pub(crate) fn ty(self) -> Type {
        match self {
            Self::Any => Type::Any,
            Self::Bool => Type::Bool,
            Self::Number => Type::Number,
            Self::Text => Type::Text,
            Self::List => Type::List,
        }
    }
}

impl FunctionSpec {
    /// A function without arguments, which costs 10. A built-in of the same name wins.
    pub fn new(
        name: impl Into<Arc<str>>,
        result: ValueKind,
        call: impl Fn(&[Value<'_>]) -> Option<Value<'static>> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), arguments: Vec::new(), result, cost: 10, call: Arc::new(call) }
    }

    /// Adds a required argument at the end.
    #[must_use]
    pub fn argument(mut self, kind: ValueKind) -> Self {
        self.arguments.push(kind);
        self
    }

    /// What a call costs at worst; one is what it takes to compare a field with a constant, some
    /// nanoseconds. It counts toward [`Compiler::max_rule_cost`](crate::Compiler::max_rule_cost).
    #[must_use]
    pub fn costs(mut self, cost: u64) -> Self {
        self.cost = cost;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn arguments(&self) -> &[ValueKind] {
        &self.arguments
    }

    pub(crate) fn result(&self) -> ValueKind {
        self.result
    }

    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// No answer unless all arguments are there.
    pub(crate) fn call(&self, arguments: &[Option<Value<'_>>]) -> Option<Value<'static>> {
        let arguments: Option<Vec<Value<'_>>> = arguments.iter().cloned().collect();
        (self.call)(&arguments?)
    }
}

impl fmt::Debug for FunctionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionSpec")
            .field("name", &self.name)
            .field("arguments", &self.arguments)
            .field("result", &self.result)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}
