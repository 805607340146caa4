//! An allocator that counts: the system's, with the calls that ask for memory, and the bytes that
//! are held, added up.

#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait; see the proof at its `impl`")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

#[global_allocator]
static COUNTING: Counting = Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// How often any thread has asked for memory so far.
pub(crate) fn calls() -> u64 {
    CALLS.load(Relaxed)
}

/// How many bytes are held now, by whichever thread.
pub(crate) fn live() -> usize {
    LIVE.load(Relaxed)
}

/// The most bytes that were held at a time since the last [`begin_peak`].
pub(crate) fn peak() -> usize {
    PEAK.load(Relaxed)
}

/// Forgets the peak there was.
pub(crate) fn begin_peak() {
    PEAK.store(live(), Relaxed);
}

struct Counting;

/// Memory was asked for, and given unless the pointer is null.
fn given(memory: *mut u8, bytes: usize) {
    CALLS.fetch_add(1, Relaxed);
    if !memory.is_null() {
        PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
    }
}

// SAFETY: every method hands its arguments on to `System`, unchanged, and gives back what `System`
// gives; so each contract that the caller keeps towards `Counting` is kept towards `System`, and
// `System` keeps its own towards the caller. Counting is atomic arithmetic beside that: it neither
// touches the memory nor allocates, and it cannot unwind, since atomics wrap around in silence and
// the one addition that could overflow is of bytes that are held at the same time.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        let memory = unsafe { System.alloc(layout) };
        given(memory, layout.size());
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is that of `System`.
        let memory = unsafe { System.alloc_zeroed(layout) };
        given(memory, layout.size());
        memory
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller got `memory` from a method above, and so from `System`, with this
        // layout; and it keeps the rest of the contract of `realloc`.
        let moved = unsafe { System.realloc(memory, layout, size) };
        given(moved, size);
        if !moved.is_null() {
            LIVE.fetch_sub(layout.size(), Relaxed);
        }
        moved
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller got `memory` from a method above, and so from `System`, with this
        // layout.
        unsafe { System.dealloc(memory, layout) }
        LIVE.fetch_sub(layout.size(), Relaxed);
    }
}
