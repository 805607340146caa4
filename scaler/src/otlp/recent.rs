//! Which spans were seen lately.

/// However much is asked for, no more than 128 MiB.
const MOST: usize = 1 << 24;

/// Remembers some of the last spans by a hash, each in the one place where it can stand, so that
/// its size is fixed and a stranger costs another its place at worst.
#[derive(Debug, Clone)]
pub(super) struct Recent(Box<[u64]>);

impl Recent {
    pub(super) fn new(places: usize) -> Self {
        Self(vec![0; places.min(MOST)].into_boxed_slice())
    }

    /// Whether it is new; then it is remembered. What cannot be told from others always is.
    pub(super) fn insert(&mut self, id: u64) -> bool {
        // Identifiers are random, but need not be: spread them by Fibonacci hashing.
        let spread = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let place = spread % self.0.len().max(1) as u64;
        match self.0.get_mut(place as usize) {
            Some(held) if id != 0 && *held == id => false,
            Some(held) => {
                *held = id;
                true
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_and_the_size_stays() {
        let mut recent = Recent::new(1024);
        assert!((1..=100).all(|id| recent.insert(id)));
        let known = (1..=100).filter(|&id| !recent.insert(id)).count();
        assert!(known > 85, "{known} of 100");
        assert!((0..10).all(|_| recent.insert(0)), "no identifier is no identity");
        assert!((0..10).all(|_| Recent::new(0).insert(7)));
        assert_eq!(recent.0.len(), 1024);
    }
}
