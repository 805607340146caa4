//! The functions of conditions: their names, what they take and give, and what they do.

use std::borrow::Cow;

use crate::ast::CompareOp;
use crate::ops::compare;
use crate::truth::Truth;
use crate::value::{Number, Value};

/// A pure function of values that may be missing. Without an argument that it can use it has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Abs,
    Hour,
    Len,
    Lower,
    Max,
    Min,
    Num,
    Time,
    Trim,
    Upper,
    Weekday,
}

const NANOS: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * NANOS;
const DAY: i64 = 24 * HOUR;

impl Function {
    /// All of them by their names, in the order of the alphabet.
    pub(crate) const ALL: [(&'static str, Self); 11] = [
        ("abs", Self::Abs),
        ("hour", Self::Hour),
        ("len", Self::Len),
        ("lower", Self::Lower),
        ("max", Self::Max),
        ("min", Self::Min),
        ("num", Self::Num),
        ("time", Self::Time),
        ("trim", Self::Trim),
        ("upper", Self::Upper),
        ("weekday", Self::Weekday),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    pub(crate) fn call<'a>(self, arguments: &[Option<Value<'a>>]) -> Option<Value<'a>> {
        let first = arguments.first()?.as_ref()?;
        match (self, first) {
            (Self::Len, Value::Str(text)) => Some(Value::Int(text.chars().count() as i64)),
            (Self::Len, Value::List(items)) => Some(Value::Int(items.len() as i64)),
            (Self::Lower, Value::Str(text)) => Some(Value::Str(Cow::Owned(text.to_lowercase()))),
            (Self::Upper, Value::Str(text)) => Some(Value::Str(Cow::Owned(text.to_uppercase()))),
            (Self::Trim, Value::Str(Cow::Borrowed(text))) => Some(Value::text(text.trim())),
            (Self::Trim, Value::Str(text)) => Some(Value::from(text.trim().to_owned())),
            (Self::Num, Value::Str(text)) => number(text),
            (Self::Num, number) if number.number().is_some() => Some(number.clone()),
            (Self::Abs, value) => match value.number()? {
                Number::Int(value) => Number::Int(value.abs()).into_value(),
                Number::Float(value) => Number::Float(value.abs()).into_value(),
            },
            (Self::Min, a) => pick(CompareOp::Le, a, arguments.get(1)?.as_ref()?),
            (Self::Max, a) => pick(CompareOp::Ge, a, arguments.get(1)?.as_ref()?),
            (Self::Time, Value::Str(text)) => time(text).map(Value::Int),
            (Self::Hour, Value::Int(time)) => Some(Value::Int(time.rem_euclid(DAY) / HOUR)),
            // The epoch was a Thursday.
            (Self::Weekday, Value::Int(time)) => {
                Some(Value::Int((time.div_euclid(DAY) + 3).rem_euclid(7) + 1))
            }
            _ => None,
        }
    }
}

fn number(text: &str) -> Option<Value<'static>> {
    let text = text.trim();
    let int = text.parse::<i64>().map(Value::Int);
    let int = int.or_else(|_| text.parse::<u64>().map(Value::UInt));
    int.ok().or_else(|| Number::Float(text.parse().ok()?).into_value())
}

/// The first of two numbers if it compares so, else the second; none if they do not compare.
fn pick<'a>(op: CompareOp, a: &Value<'a>, b: &Value<'a>) -> Option<Value<'a>> {
    (a.number().is_some() && b.number().is_some()).then_some(())?;
    match compare(op, Some(a), Some(b)) {
        Truth::True => Some(a.clone()),
        Truth::False => Some(b.clone()),
        Truth::Unknown => None,
    }
}

/// Nanoseconds since 1970 of a time as in RFC 3339; from 1678 to 2261.
pub(crate) fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    // What has not the shape of one is told from it at once, and without the parser's error.
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't' | b' ', _, _, b':', ..] = text.as_bytes()
    else {
        return None;
    };
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: Function, argument: Value<'_>) -> Option<Value<'_>> {
        function.call(&[Some(argument)])
    }

    #[test]
    fn times_have_hours_and_weekdays_in_utc() {
        let parts = |text| {
            let time = call(Function::Time, Value::text(text))?;
            let hour = call(Function::Hour, time.clone());
            Some((hour?, call(Function::Weekday, time)?))
        };
        let at = |hour, day| Some((Value::Int(hour), Value::Int(day)));
        assert_eq!(parts("1970-01-01T00:00:00Z"), at(0, 4));
        assert_eq!(parts("2026-11-23T23:59:59.999Z"), at(23, 1));
        assert_eq!(parts("2026-11-23T23:30:00-01:00"), at(0, 2));
        assert_eq!(parts("1969-12-28T01:00:00Z"), at(1, 7));
        assert_eq!(parts("yesterday"), None);
        assert_eq!(parts("9999-01-01T00:00:00Z"), None);
    }

    #[test]
    fn numbers_stay_exact() {
        assert_eq!(call(Function::Abs, Value::Int(i64::MIN)), Some(Value::UInt(1 << 63)));
        let max = |a, b| Function::Max.call(&[Some(a), Some(b)]);
        assert_eq!(max(Value::Int(2), Value::Float(2.5)), Some(Value::Float(2.5)));
        assert_eq!(max(Value::Int(2), Value::Float(f64::NAN)), None);
        assert_eq!(max(Value::Int(2), Value::text("3")), None);
        assert_eq!(Function::Max.call(&[Some(Value::Int(2)), None]), None);
    }
}
