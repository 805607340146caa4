//! Packets of StatsD over time: lines taken apart, counted and told as by a twin that splits strings and keeps everything.
//!
//! Packets are separated by zeros; a packet's first byte is how long nothing came before it.
#![no_main]

#[path = "../../scaler/tests/it/statsd_twin.rs"]
mod statsd_twin;

use libfuzzer_sys::fuzz_target;
use statsd_twin::Pair;

const WAITS: [u64; 10] = [0, 100, 1_000, 5_000, 10_000, 30_000, 61_000, 90_000, 121_000, 700_000];

fuzz_target!(|input: &[u8]| {
    let mut pair = Pair::new();
    for packet in input.split(|byte| *byte == 0) {
        let Some((wait, packet)) = packet.split_first() else { continue };
        pair.wait(WAITS[usize::from(wait % 10)]);
        pair.packet(packet);
        pair.compare();
    }
});
