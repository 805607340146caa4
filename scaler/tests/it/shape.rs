//! What others build on: traits that can be chosen at run time, types that cross threads.

use std::sync::Arc;

use birl_scaler::{
    Decider, Decision, Error, GlobalBrake, MemoryTarget, Metrics, Observation, Replicas,
    ScaleTarget, Verifier,
};

use crate::support::{at, decision};

fn crosses_threads<T: Send + Sync + 'static>() {}

#[tokio::test]
async fn targets_are_chosen_at_run_time() {
    crosses_threads::<Decider>();
    crosses_threads::<Decision>();
    crosses_threads::<Error>();
    crosses_threads::<GlobalBrake>();
    crosses_threads::<Metrics>();
    crosses_threads::<Observation>();
    crosses_threads::<Verifier>();
    let memory = MemoryTarget::new(1);
    let targets: Vec<Arc<dyn ScaleTarget>> = vec![Arc::new(memory.clone())];
    let three = decision("workers", 1, 3, at(0));
    for target in &targets {
        target.scale_to(3, &three).await.unwrap();
        assert_eq!(target.replicas().await.unwrap(), Replicas::ready(3));
    }
    memory.fail_next("no room");
    let error = Box::new(memory.clone()).scale_to(4, &three).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.is_retryable()), ("no room", true));
    assert_eq!(memory.history(), [3]);
}
