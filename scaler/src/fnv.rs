//! A number for a text, the same on every machine and in every version.

/// FNV-1a, 64 bits. Whoever chooses the texts can make two of them meet; use it where that gains
/// them nothing.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
