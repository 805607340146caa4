//! Whatever has replicas: the port that a decision is carried out through.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::decision::Decision;
use crate::error::{Error, ErrorKind};
use crate::signal::Replicas;

/// Something that can be made larger and smaller.
#[async_trait]
pub trait ScaleTarget: fmt::Debug + Send + Sync {
    /// How many replicas there are now.
    ///
    /// # Errors
    ///
    /// When the platform cannot tell.
    async fn replicas(&self) -> Result<Replicas, Error>;

    /// Asks for `replicas`, on behalf of `decision`, and returns when they are there.
    ///
    /// Asking for the present size again is not an error and changes nothing. Calls that overlap
    /// are carried out one after the other.
    ///
    /// # Errors
    ///
    /// When the platform refuses, or does not get there in time
    /// ([`ErrorKind::Timeout`](crate::ErrorKind::Timeout)). What has been asked for may still come
    /// true later, and after a time-out it mostly does: [`replicas`](Self::replicas) tells. Where its
    /// `desired` is the size that was asked for, the change was applied, however few are ready; so
    /// the brake counts it, nobody asks again, and it is for the
    /// [`Verifier`](crate::Verifier) to say that it did not come about.
    async fn scale_to(&self, replicas: u32, decision: &Decision) -> Result<(), Error>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        #[async_trait]
        impl<T: ScaleTarget + ?Sized> ScaleTarget for $pointer {
            async fn replicas(&self) -> Result<Replicas, Error> {
                (**self).replicas().await
            }
            async fn scale_to(&self, replicas: u32, decision: &Decision) -> Result<(), Error> {
                (**self).scale_to(replicas, decision).await
            }
        }
    )*};
}

forward!(&T, Box<T>, Arc<T>);

/// A target that only remembers: for tests, dry runs and benches.
///
/// Clones are handles to the same target. What is asked for is ready at once.
#[derive(Debug, Clone)]
pub struct MemoryTarget(Arc<Mutex<Memory>>);

#[derive(Debug)]
struct Memory {
    replicas: Replicas,
    history: VecDeque<u32>,
    failure: Option<String>,
}

/// How many sizes a [`MemoryTarget`] remembers.
const HISTORY: usize = 1024;

impl MemoryTarget {
    /// A target with `replicas` ready.
    pub fn new(replicas: u32) -> Self {
        Self(Arc::new(Mutex::new(Memory {
            replicas: Replicas::ready(replicas),
            history: VecDeque::new(),
            failure: None,
        })))
    }

    /// The sizes that were asked for, oldest first; the last 1024.
    pub fn history(&self) -> Vec<u32> {
        self.lock().history.iter().copied().collect()
    }

    /// Makes the next change fail with this message.
    pub fn fail_next(&self, message: impl Into<String>) {
        self.lock().failure = Some(message.into());
    }

    /// Sets what there is, as if somebody else had changed it.
    pub fn set(&self, replicas: Replicas) {
        self.lock().replicas = replicas;
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ScaleTarget for MemoryTarget {
    async fn replicas(&self) -> Result<Replicas, Error> {
        Ok(self.lock().replicas)
    }

    async fn scale_to(&self, replicas: u32, _decision: &Decision) -> Result<(), Error> {
        let mut memory = self.lock();
        if let Some(message) = memory.failure.take() {
            return Err(Error::new(ErrorKind::Target, message));
        }
        if memory.history.len() == HISTORY {
            memory.history.pop_front();
        }
        memory.history.push_back(replicas);
        memory.replicas = Replicas::ready(replicas);
        Ok(())
    }
}
