//! One composition for every command: a synchronous [`Core`] that is given entries and `now`, and
//! [`Live`], the shell that lets it touch the world.

mod acks;
mod alarm;
mod build;
mod core;
mod decisions;
mod fleet;
mod live;
mod names;
mod serve;
mod signals;
mod sizes;
#[cfg(feature = "otlp")]
mod spans;
mod story;
mod targets;
mod told;

pub(crate) use build::{Built, build};
pub(crate) use core::Core;
pub(crate) use live::Live;
pub(crate) use serve::{Served, serve};
