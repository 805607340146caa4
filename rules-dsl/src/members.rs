//! The right side of `in`: what may be in it, sorted by kind so that a long list costs no more than a
//! short one.

use std::net::IpAddr;

use ipnet::IpNet;
use rustc_hash::FxHashSet;

use crate::fold::{fold_into, folded};
use crate::truth::Truth;
use crate::value::{Number, Value};

/// So few texts are compared one by one.
const FEW: usize = 8;

/// One thing on the right side of `in`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Member {
    Is(Value<'static>),
    /// Both ends are in it.
    Between(Number, Number),
    Net(IpNet),
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    texts: Vec<Box<str>>,
    /// The same, where there are many.
    many: FxHashSet<Box<str>>,
    /// Ascending.
    numbers: Vec<Number>,
    ranges: Vec<(Number, Number)>,
    nets: Vec<IpNet>,
    bools: [bool; 2],
    null: bool,
    folds: bool,
}

impl Members {
    pub(crate) fn new(members: impl IntoIterator<Item = Member>, folds: bool) -> Self {
        let mut all = Self { folds, ..Self::default() };
        for member in members {
            match member {
                Member::Is(Value::Str(text)) if folds => all.texts.push(folded(&text).into()),
                Member::Is(Value::Str(text)) => all.texts.push(text.as_ref().into()),
                Member::Is(Value::Bool(value)) => all.bools[usize::from(value)] = true,
                Member::Is(Value::Null) => all.null = true,
                Member::Is(value) => all.numbers.extend(value.number()),
                Member::Between(low, high) => all.ranges.push((low, high)),
                Member::Net(net) => all.nets.push(net),
            }
        }
        // The checker lets no NaN through.
        all.numbers.sort_unstable_by(|a, b| a.compare(*b).unwrap_or(std::cmp::Ordering::Equal));
        if all.texts.len() > FEW {
            all.many = std::mem::take(&mut all.texts).into_iter().collect();
        }
        all
    }

    /// Whether an item is one of them; `buffer` is for the folding of texts.
    pub(crate) fn hold(&self, item: Option<&Value<'_>>, buffer: &mut String) -> Truth {
        match item {
            None => Truth::Unknown,
            Some(Value::Str(text)) => {
                let is_there = if self.folds {
                    fold_into(text, buffer);
                    self.has_text(buffer)
                } else {
                    self.has_text(text)
                };
                match is_there {
                    true => Truth::True,
                    false if self.nets.is_empty() => Truth::False,
                    false => self.routes(text),
                }
            }
            Some(Value::Bool(value)) => self.bools[usize::from(*value)].into(),
            Some(Value::Null) => self.null.into(),
            Some(value) => match value.number() {
                Some(number) => self.has_number(number),
                None => Truth::False,
            },
        }
    }

    fn has_text(&self, text: &str) -> bool {
        self.many.contains(text) || self.texts.iter().any(|known| **known == *text)
    }

    fn routes(&self, text: &str) -> Truth {
        let Some(address) = address(text) else { return Truth::Unknown };
        self.nets.iter().any(|net| net.contains(&address)).into()
    }

    fn has_number(&self, number: Number) -> Truth {
        if self.numbers.is_empty() && self.ranges.is_empty() {
            return Truth::False;
        }
        if number.compare(number).is_none() {
            return Truth::Unknown;
        }
        let order = |known: &Number| known.compare(number).unwrap_or(std::cmp::Ordering::Less);
        let is_one = self.numbers.binary_search_by(order).is_ok();
        Truth::from(is_one || self.ranges.iter().any(|(a, b)| between(number, *a, *b)))
    }
}

/// Whether a number lies between two others, or is one of them.
pub(crate) fn between(number: Number, low: Number, high: Number) -> bool {
    let above = number.compare(low).is_some_and(std::cmp::Ordering::is_ge);
    above && number.compare(high).is_some_and(std::cmp::Ordering::is_le)
}

/// Whether a text is an address of a network; a text that is no address gives no answer.
pub(crate) fn within(text: &str, net: &IpNet) -> Truth {
    address(text).map_or(Truth::Unknown, |address| net.contains(&address).into())
}

/// An address; one of version 4 in the clothes of version 6 is one of version 4.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A network, or one address.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let net = text.parse::<IpNet>().ok().or_else(|| address(text).map(IpNet::from))?;
    match net {
        // As above: a network of such addresses.
        IpNet::V6(six) if six.prefix_len() >= 96 => match six.addr().to_ipv4_mapped() {
            Some(four) => ipnet::Ipv4Net::new(four, six.prefix_len() - 96).ok().map(IpNet::V4),
            None => Some(net),
        },
        _ => Some(net),
    }
}
