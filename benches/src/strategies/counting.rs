//! An allocator that counts: the system's, and one more number for each call that gives memory.

#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait; see the proof at its `impl`")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

#[global_allocator]
static COUNTING: Counting = Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

/// How often any thread has asked for memory so far.
pub(crate) fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

struct Counting;

// SAFETY: every method hands its arguments on to `System`, unchanged, and gives back what `System`
// gives; so each contract that the caller keeps towards `Counting` is kept towards `System`, and
// `System` keeps its own towards the caller. Counting itself allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}
