//! Which of many networks an address is in.

use std::net::IpAddr;

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::found::Found;
use crate::members::address;

/// Networks by how many bits of an address they look at, so that there is one look-up for each length.
#[derive(Debug, Default)]
pub(super) struct Nets {
    four: Lengths,
    six: Lengths,
}

/// By length, ascending: the leading bits of a network, moved to the right end.
type Lengths = Vec<(u8, FxHashMap<u128, Vec<u32>>)>;

impl Nets {
    pub(super) fn add(&mut self, net: &IpNet, rule: u32) {
        let (lengths, width) = match net {
            IpNet::V4(_) => (&mut self.four, 32),
            IpNet::V6(_) => (&mut self.six, 128),
        };
        let length = net.prefix_len();
        let at = lengths.binary_search_by_key(&length, |(length, _)| *length);
        let at = at.unwrap_or_else(|at| {
            lengths.insert(at, (length, FxHashMap::default()));
            at
        });
        let head = head(bits(net.network()), width, length);
        lengths[at].1.entry(head).or_default().push(rule);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.four.is_empty() && self.six.is_empty()
    }

    pub(super) fn find(&self, text: &str, out: &mut Found) {
        if self.is_empty() {
            return;
        }
        let Some(address) = address(text) else { return };
        let (lengths, width) = match address {
            IpAddr::V4(_) => (&self.four, 32),
            IpAddr::V6(_) => (&self.six, 128),
        };
        for (length, heads) in lengths {
            if let Some(rules) = heads.get(&head(bits(address), width, *length)) {
                out.add(rules);
            }
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(four.to_bits()),
        IpAddr::V6(six) => six.to_bits(),
    }
}

/// The first `length` of `width` bits.
fn head(bits: u128, width: u8, length: u8) -> u128 {
    bits.checked_shr(u32::from(width - length)).unwrap_or(0)
}
