//! What each operator does to values that may be missing. Both evaluators call these, so that the
//! explanation of a verdict cannot disagree with the verdict about an operator.

use regex::Regex;

use crate::ast::{ArithOp, CompareOp, TextOp};
use crate::fold::fold_into;
use crate::truth::Truth;
use crate::value::{Number, Value};

/// Up to here every integer is a float as well.
const EXACT: u64 = 1 << 53;

#[inline]
pub(crate) fn compare(op: CompareOp, a: Option<&Value<'_>>, b: Option<&Value<'_>>) -> Truth {
    match (a, b) {
        (Some(Value::Int(a)), Some(Value::Int(b))) => Truth::from(holds(op, a, b)),
        // As floats, where every integer is one.
        (Some(Value::Float(a)), Some(Value::Int(b))) if b.unsigned_abs() <= EXACT => {
            floats(op, *a, *b as f64)
        }
        (Some(Value::Float(a)), Some(Value::Float(b))) => floats(op, *a, *b),
        (Some(Value::Str(a)), Some(Value::Str(b))) if op == CompareOp::Eq => Truth::from(a == b),
        (Some(Value::Str(a)), Some(Value::Str(b))) if op == CompareOp::Ne => Truth::from(a != b),
        (Some(a), Some(b)) => compare_any(op, a, b),
        _ => Truth::Unknown,
    }
}

fn floats(op: CompareOp, a: f64, b: f64) -> Truth {
    if a.is_nan() || b.is_nan() {
        return Truth::Unknown;
    }
    Truth::from(holds(op, &a, &b))
}

/// Of two numbers that have an order.
#[inline]
fn holds<T: PartialOrd>(op: CompareOp, a: &T, b: &T) -> bool {
    match op {
        CompareOp::Eq => a == b,
        CompareOp::Ne => a != b,
        CompareOp::Lt => a < b,
        CompareOp::Le => a <= b,
        CompareOp::Gt => a > b,
        CompareOp::Ge => a >= b,
    }
}

fn compare_any(op: CompareOp, a: &Value<'_>, b: &Value<'_>) -> Truth {
    match op {
        CompareOp::Eq => a.equals(b),
        CompareOp::Ne => a.equals(b).negate(),
        CompareOp::Lt => order(a, b, std::cmp::Ordering::is_lt),
        CompareOp::Le => order(a, b, std::cmp::Ordering::is_le),
        CompareOp::Gt => order(a, b, std::cmp::Ordering::is_gt),
        CompareOp::Ge => order(a, b, std::cmp::Ordering::is_ge),
    }
}

fn order(a: &Value<'_>, b: &Value<'_>, holds: fn(std::cmp::Ordering) -> bool) -> Truth {
    a.order(b).map_or(Truth::Unknown, |ordering| Truth::from(holds(ordering)))
}

pub(crate) fn text(op: TextOp, a: Option<&Value<'_>>, b: Option<&Value<'_>>) -> Truth {
    match (a, b) {
        (Some(Value::Str(a)), Some(Value::Str(b))) => Truth::from(match op {
            TextOp::Contains => a.contains(b.as_ref()),
            TextOp::StartsWith => a.starts_with(b.as_ref()),
            TextOp::EndsWith => a.ends_with(b.as_ref()),
            _ => return Truth::Unknown,
        }),
        (Some(Value::List(items)), Some(b)) if op == TextOp::Contains => b.among(items),
        _ => Truth::Unknown,
    }
}

/// The same whatever the case of letters: `word` is folded already, `buffer` is for folding.
pub(crate) fn folded(
    op: TextOp,
    value: Option<&Value<'_>>,
    word: &str,
    buffer: &mut String,
) -> Truth {
    match (value, op) {
        (Some(Value::Str(text)), _) => {
            fold_into(text, buffer);
            Truth::from(match op {
                TextOp::IContains => {
                    memchr::memmem::find(buffer.as_bytes(), word.as_bytes()).is_some()
                }
                TextOp::IStartsWith => buffer.starts_with(word),
                TextOp::IEndsWith => buffer.ends_with(word),
                _ => buffer == word,
            })
        }
        (Some(Value::List(items)), TextOp::IContains) => {
            let equal = |item| folded(TextOp::IEquals, Some(item), word, buffer);
            Truth::any(items.iter().map(equal))
        }
        // As with `==`: what is no text is another thing.
        (Some(_), TextOp::IEquals) => Truth::False,
        _ => Truth::Unknown,
    }
}

pub(crate) fn matches(text: Option<&Value<'_>>, regex: &Regex) -> Truth {
    match text {
        Some(Value::Str(text)) => Truth::from(regex.is_match(text)),
        _ => Truth::Unknown,
    }
}

/// `item in list`, where the list is a field; a field that is no list gives no answer.
pub(crate) fn within(item: Option<&Value<'_>>, list: Option<&Value<'_>>) -> Truth {
    match (item, list) {
        (Some(item), Some(Value::List(items))) => item.among(items),
        _ => Truth::Unknown,
    }
}

/// Integers stay integers, except that `/` always divides exactly. Overflow, division by zero and
/// anything that is not a number give no answer.
pub(crate) fn arith(
    op: ArithOp,
    a: Option<&Value<'_>>,
    b: Option<&Value<'_>>,
) -> Option<Value<'static>> {
    let (a, b) = (a?.number()?, b?.number()?);
    if let (Number::Int(a), Number::Int(b)) = (a, b) {
        // 65-bit operands: a product may pass 128 bits, a sum cannot.
        let whole = match op {
            ArithOp::Add => Some(a + b),
            ArithOp::Sub => Some(a - b),
            ArithOp::Mul => Some(a.checked_mul(b)?),
            ArithOp::Rem => Some(a.checked_rem(b)?),
            ArithOp::Div => None,
        };
        if let Some(whole) = whole {
            return Number::Int(whole).into_value();
        }
    }
    let (a, b) = (a.as_f64(), b.as_f64());
    let result = match op {
        ArithOp::Add => a + b,
        ArithOp::Sub => a - b,
        ArithOp::Mul => a * b,
        ArithOp::Div => a / b,
        ArithOp::Rem => a % b,
    };
    Number::Float(result).into_value()
}

pub(crate) fn negate(value: Option<&Value<'_>>) -> Option<Value<'static>> {
    match value?.number()? {
        Number::Int(value) => Number::Int(-value).into_value(),
        Number::Float(value) => Number::Float(-value).into_value(),
    }
}

/// A value in the place of a condition: only a bool says anything.
pub(crate) fn truth(value: Option<&Value<'_>>) -> Truth {
    match value {
        Some(Value::Bool(value)) => Truth::from(*value),
        _ => Truth::Unknown,
    }
}

/// A condition in the place of a value.
pub(crate) fn value(truth: Truth) -> Option<Value<'static>> {
    match truth {
        Truth::True => Some(Value::Bool(true)),
        Truth::False => Some(Value::Bool(false)),
        Truth::Unknown => None,
    }
}
