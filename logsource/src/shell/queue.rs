//! The way from a reading thread to a stream: bounded, in pieces and in bytes.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use futures_core::Stream;

use super::Wake;
use crate::{Batch, Error};

/// A queue that a thread fills and a task empties. What is in it has a weight in bytes.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    max_items: usize,
    max_bytes: usize,
    /// Signaled when there is room again, and when the consumer is gone.
    wake: Wake,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    consumer: Option<Waker>,
    producer_waits: bool,
    finished: bool,
    abandoned: bool,
}

/// What became of a push.
#[derive(Debug)]
pub(crate) enum Pushed<T> {
    Taken,
    /// There is no room, and the wake will be signaled when there is; or nobody is left to take it.
    Full(T),
}

impl<T> Queue<T> {
    pub(crate) fn new(max_items: usize, max_bytes: usize, wake: Wake) -> Arc<Self> {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            consumer: None,
            producer_waits: false,
            finished: false,
            abandoned: false,
        };
        Arc::new(Self { state: Mutex::new(state), max_items, max_bytes, wake })
    }

    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Puts an item at the end if there is room. One item is always taken by an empty queue,
    /// whatever its weight.
    pub(crate) fn try_push(&self, item: T, bytes: usize) -> Pushed<T> {
        let mut state = self.lock();
        if state.abandoned {
            return Pushed::Full(item);
        }
        let full = state.items.len() >= self.max_items || state.bytes + bytes > self.max_bytes;
        if full && !state.items.is_empty() {
            state.producer_waits = true;
            return Pushed::Full(item);
        }
        let consumer = state.put(item, bytes);
        drop(state);
        wake(consumer);
        Pushed::Taken
    }

    /// Puts an item at the end, whether there is room or not.
    pub(crate) fn push(&self, (item, bytes): (T, usize)) {
        let consumer = self.lock().put(item, bytes);
        wake(consumer);
    }

    /// Takes the oldest item out to make room, and gives it back.
    #[cfg(feature = "stdout")]
    pub(crate) fn shed(&self) -> Option<T> {
        self.lock().take()
    }

    /// Whether the consumer is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Says that nothing more will come.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        state.finished = true;
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
    }

    /// Says that nobody will take anything, and wakes the producer.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.wake.signal();
    }

    /// Keeps what found no room before the consumer was gone.
    #[cfg(feature = "stdout")]
    pub(crate) fn push_leftover(&self, item: T) {
        self.lock().items.push_back((item, 0));
    }

    /// What was never taken.
    #[cfg(feature = "stdout")]
    pub(crate) fn leftovers(&self) -> impl Iterator<Item = T> {
        let mut state = self.lock();
        state.bytes = 0;
        std::mem::take(&mut state.items).into_iter().map(|(item, _)| item)
    }

    /// The oldest item, for a consumer that does not wait here.
    #[cfg(feature = "file")]
    pub(crate) fn pop(&self) -> Option<T> {
        self.lock().take()
    }

    #[cfg(feature = "file")]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        let Some(item) = state.take() else {
            if state.finished {
                return Poll::Ready(None);
            }
            match &mut state.consumer {
                Some(waker) => waker.clone_from(cx.waker()),
                None => state.consumer = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        let waits = std::mem::take(&mut state.producer_waits);
        drop(state);
        if waits {
            self.wake.signal();
        }
        Poll::Ready(Some(item))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Gives whom to wake, once the lock is given back: a waker may run anything.
    #[must_use = "the consumer waits"]
    fn put(&mut self, item: T, bytes: usize) -> Option<Waker> {
        if self.abandoned {
            return None;
        }
        self.items.push_back((item, bytes));
        self.bytes += bytes;
        self.consumer.take()
    }

    fn take(&mut self) -> Option<T> {
        let (item, bytes) = self.items.pop_front()?;
        self.bytes -= bytes;
        Some(item)
    }
}

fn wake(consumer: Option<Waker>) {
    if let Some(consumer) = consumer {
        consumer.wake();
    }
}

/// Finishes a queue however its thread ends, so that nobody waits for one that panicked.
pub(crate) struct Finishing<T>(pub(crate) Arc<Queue<T>>);

impl<T> Drop for Finishing<T> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The stream of a `tail`: what a thread reads. Dropping it stops the thread.
pub(crate) struct Tail {
    queue: Arc<Queue<Result<Batch, Error>>>,
    /// None if nothing can wake the thread: it ends by itself, some time.
    thread: Option<JoinHandle<()>>,
    /// What becomes of what was never taken.
    #[cfg(feature = "stdout")]
    leave: Option<Leave>,
    ended: bool,
}

#[cfg(feature = "stdout")]
type Leave = Box<dyn FnOnce(&Queue<Result<Batch, Error>>) + Send>;

impl Tail {
    /// Starts `run` on a thread. It must end soon after its queue [is
    /// abandoned](Queue::is_abandoned).
    pub(crate) fn start(
        name: &str,
        queue: Arc<Queue<Result<Batch, Error>>>,
        run: impl FnOnce(&Queue<Result<Batch, Error>>) + Send + 'static,
    ) -> Self {
        let filled = Finishing(Arc::clone(&queue));
        let thread = super::spawn(name, move || run(&filled.0));
        match thread {
            Ok(thread) => Self::of(queue, Some(thread)),
            Err(error) => Self::failed(queue, error),
        }
    }

    fn of(queue: Arc<Queue<Result<Batch, Error>>>, thread: Option<JoinHandle<()>>) -> Self {
        Self {
            queue,
            thread,
            #[cfg(feature = "stdout")]
            leave: None,
            ended: false,
        }
    }

    /// Has something done with what was not taken when the stream is dropped, whatever ended its
    /// thread.
    #[cfg(feature = "stdout")]
    pub(crate) fn leaving(
        mut self,
        leave: impl FnOnce(&Queue<Result<Batch, Error>>) + Send + 'static,
    ) -> Self {
        self.leave = Some(Box::new(leave));
        self
    }

    /// The same, for a thread that waits where it cannot be woken: it is not waited for.
    #[cfg(feature = "stdout")]
    pub(crate) fn detached(mut self) -> Self {
        self.thread = None;
        self
    }

    /// A stream of one error.
    pub(crate) fn failed(queue: Arc<Queue<Result<Batch, Error>>>, error: Error) -> Self {
        queue.push((Err(error), 0));
        queue.finish();
        Self::of(queue, None)
    }
}

impl Stream for Tail {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.queue.poll_pop(cx);
        self.ended = match &polled {
            Poll::Ready(Some(Err(error))) => !error.is_retryable(),
            Poll::Ready(None) => true,
            _ => false,
        };
        polled
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.queue.abandon();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to say here.
            thread.join().ok();
        }
        #[cfg(feature = "stdout")]
        if let Some(leave) = self.leave.take() {
            leave(&self.queue);
        }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_consumer_is_gone_is_given_back() {
        let queue = Queue::new(2, usize::MAX, Wake::none());
        assert!(matches!(queue.try_push(1, 0), Pushed::Taken));
        queue.abandon();
        assert!(matches!(queue.try_push(2, 0), Pushed::Full(2)));
    }

    /// A waker that looks at the queue, as one does that polls at once.
    struct Looks(Arc<Queue<u8>>, std::sync::atomic::AtomicBool);

    impl std::task::Wake for Looks {
        fn wake(self: Arc<Self>) {
            let is_free = self.0.state.try_lock().is_ok();
            self.1.store(is_free, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn the_consumer_is_woken_outside_of_the_lock() {
        let acts: [fn(&Queue<u8>); 3] =
            [|queue| queue.push((1, 0)), |queue| _ = queue.try_push(1, 0), Queue::finish];
        for act in acts {
            let queue = Queue::new(1, usize::MAX, Wake::none());
            let looks = Arc::new(Looks(Arc::clone(&queue), false.into()));
            let waker = Waker::from(Arc::clone(&looks));
            assert!(queue.poll_pop(&mut Context::from_waker(&waker)).is_pending());
            act(&queue);
            assert!(looks.1.load(std::sync::atomic::Ordering::Relaxed));
        }
    }

    #[tokio::test]
    async fn a_thread_that_panics_ends_its_stream() {
        use futures_util::StreamExt;

        let queue = Queue::new(1, usize::MAX, Wake::none());
        let mut stream = Tail::start("panics", queue, |_| panic!("as this test wants"));
        let end = tokio::time::timeout(std::time::Duration::from_secs(20), stream.next()).await;
        assert!(end.unwrap().is_none());
    }
}
