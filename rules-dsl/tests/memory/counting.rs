//! An allocator that counts: the system's, with what each thread asks of it added up.

#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait; see the proof at its `impl`")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

// By thread, so that tests may run at the same time. What is freed by another thread than asked for it
// is counted where it is freed.
thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// How often this thread has asked for memory so far.
pub(crate) fn calls() -> u64 {
    CALLS.get()
}

/// How many bytes this thread holds now, of those that it asked for.
pub(crate) fn live() -> isize {
    LIVE.get()
}

/// The most bytes that this thread held at a time since the last [`begin_peak`].
pub(crate) fn peak() -> isize {
    PEAK.get()
}

/// Forgets the peak there was.
pub(crate) fn begin_peak() {
    PEAK.set(LIVE.get());
}

struct Counting;

/// Memory was asked for, and given unless the pointer is null.
fn given(memory: *mut u8, bytes: usize) {
    CALLS.set(CALLS.get().wrapping_add(1));
    if !memory.is_null() {
        LIVE.set(LIVE.get().wrapping_add_unsigned(bytes));
        PEAK.set(PEAK.get().max(LIVE.get()));
    }
}

/// Memory was given back.
fn taken(bytes: usize) {
    LIVE.set(LIVE.get().wrapping_sub_unsigned(bytes));
}

// SAFETY: every method hands its arguments on to `System`, unchanged, and gives back what `System`
// gives; so each contract that the caller keeps towards `Counting` is kept towards `System`, and
// `System` keeps its own towards the caller. Counting is arithmetic in cells of the thread beside that:
// they are made when the program is compiled and never dropped, so that using them neither allocates
// nor finds them gone, at the beginning and at the end of a thread too; and it cannot unwind, since the
// arithmetic wraps around in silence.
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
        // Old and new are there at the same time, at worst.
        given(moved, size);
        if !moved.is_null() {
            taken(layout.size());
        }
        moved
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller got `memory` from a method above, and so from `System`, with this
        // layout.
        unsafe { System.dealloc(memory, layout) }
        taken(layout.size());
    }
}
