//! A bound on waiting, without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::clock::ticks;

/// The output of a future, or none if it takes longer than a time.
pub(super) async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let (over, through) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let thread = {
        let (over, through) = (Arc::clone(&over), Arc::clone(&through));
        let (waker, begun) = (Arc::clone(&waker), ticks());
        std::thread::spawn(move || {
            // A thread may be unparked by anybody, or for no reason.
            while !through.load(Ordering::Acquire) {
                let left = time.saturating_sub(ticks().saturating_duration_since(begun));
                if left.is_zero() {
                    break;
                }
                std::thread::park_timeout(left);
            }
            over.store(true, Ordering::Release);
            if let Some(waker) = waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
                waker.wake();
            }
        })
    };
    let mut future = pin!(future);
    let output = std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        *waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if over.load(Ordering::Acquire) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    through.store(true, Ordering::Release);
    thread.thread().unpark();
    output
}

/// Waits.
pub(super) async fn pause(time: Duration) {
    within(time, std::future::pending::<()>()).await;
}
