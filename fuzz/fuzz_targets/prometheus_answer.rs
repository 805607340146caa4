//! What a Prometheus server answers to a query: a fault that says where and why, or a signal with a number in it, no two
//! samples of which are of one instance.
#![no_main]

use std::collections::BTreeSet;

use birl_scaler::{PrometheusQuery, PrometheusServer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let server = PrometheusServer::new("http://127.0.0.1:9090").unwrap();
    match PrometheusQuery::new(&server, "load", "load").signal_of(body) {
        Ok(signal) => {
            assert!(signal.samples.iter().any(|sample| sample.value.is_some()));
            let instances: BTreeSet<_> = signal.samples.iter().map(|s| &s.instance).collect();
            assert_eq!(instances.len(), signal.samples.len());
        }
        Err(fault) => {
            assert!(fault.detail().starts_with("http://127.0.0.1:9090: "));
            assert!(fault.detail().len() < 4000 && !fault.detail().contains(char::is_control));
        }
    }
});
