//! Nanoseconds for one call, over enough calls that the clock does not matter.

#![expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one sample takes at least.
const SAMPLE: Duration = Duration::from_millis(100);

/// Mean nanoseconds of one `call`, over at least 100 ms; the first calls are not counted.
pub fn nanoseconds<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut calls = 16_u64;
    loop {
        let begun = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        let took = begun.elapsed();
        if took >= SAMPLE {
            return took.as_secs_f64() * 1e9 / calls as f64;
        }
        calls *= 4;
    }
}

/// Seconds that `work` takes.
pub fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let done = work();
    (begun.elapsed().as_secs_f64(), done)
}
