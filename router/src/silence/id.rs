//! The ids of silences: unique, and the same in every run over the same input.

use crate::Silence;
use crate::labels::Fnv;

/// A text shaped like a UUID (version 8, RFC 9562: made by the maker's own rule).
///
/// One half is a permutation of `count` under `seed`, so that no two of one store are the same; the other half mixes the
/// author and the comment in, so that stores whose seeds are the same by mistake still differ.
pub(super) fn make(seed: u64, count: u64, silence: &Silence) -> String {
    let high = mix(seed ^ mix(count));
    let mut content = Fnv::default();
    content.field(&silence.created_by).field(&silence.comment);
    for matcher in silence.matchers.iter().flat_map(|set| set.iter()) {
        content.field(matcher.name()).field(matcher.op().as_str()).field(matcher.value());
    }
    let low = mix(content.0 ^ high.rotate_left(32));
    let version = (high & !0xf000) | 0x8000;
    let variant = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        version >> 32,
        version >> 16 & 0xffff,
        version & 0xffff,
        variant >> 48,
        variant & 0xffff_ffff_ffff
    )
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): each bit of the input moves half of the output's.
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
