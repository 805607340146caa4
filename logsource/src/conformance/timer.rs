//! A bound on waiting, without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// The output of a future, or none if it takes longer than a time.
pub(super) async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let over = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let thread = {
        let (over, waker) = (Arc::clone(&over), Arc::clone(&waker));
        std::thread::spawn(move || {
            // Unparked early when the future is through: then nobody asks.
            std::thread::park_timeout(time);
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
    thread.thread().unpark();
    output
}

/// Waits.
pub(super) async fn pause(time: Duration) {
    within(time, std::future::pending::<()>()).await;
}
