//! Promises about the whole: one binary, a module for each.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why by panicking, and waits on the real clock"
)]

mod bad_input; // what a user gets wrong, and what birl says
mod decide; // `birl decide`
mod demo; // the closed loop runs and stays short
#[cfg(all(feature = "etcd", feature = "real-parts"))]
mod etcd; // the log of decisions in a real etcd
#[cfg(feature = "kube")]
mod kubernetes; // a Deployment as a target
mod route; // `birl route`
mod rules; // `birl rules`
mod run; // `birl run` on live files
mod signals; // signals from outside the log
mod support;
mod tail; // `birl tail`
mod targets; // what lives without birl
mod tidy; // dependency trees and file lengths
