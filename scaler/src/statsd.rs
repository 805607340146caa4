//! What services report about themselves over StatsD, as signals.
//!
//! A queue's length, orders a second, the P99 of a checkout: what a service knows best about its own
//! load it reports in lines such as `shop.orders:1|c|#pod:a`. A [`Listener`] receives them over UDP
//! and Unix datagram sockets, an [`Aggregator`] keeps what a [`Watch`] asks for, and a
//! [`StatsdSignal`] is the [`SignalSource`](crate::SignalSource) that the scaler reads. A host with
//! sockets of its own hands its packets to a [`Statsd`], or to an [`Aggregator`].
//!
//! StatsD is sent and forgotten: packets get lost, anybody can send them, and a service that crashed
//! sends none. So these hold:
//!
//! * Silence is Unknown, never zero. An instance that has not been heard of for its watch's
//!   `max_age`, or in the whole of its window, has no value; a service that may have nothing to count
//!   for long should report a gauge, or add zero.
//! * A gauge that is changed (`+3`, `-1`) before anybody has sent its value is Unknown, not zero. And
//!   a change that was lost is lost: a service should send the value itself, and often.
//! * A rate that begins is taken over the time since its instance was first heard of, and not told
//!   before a quarter of the window. A client that keeps lines back makes it come out too high at
//!   first, never too low.
//! * Packets that the kernel dropped (a flood, a thread that got no time) are counted, and reckoned into
//!   rates and counts as a sample rate is: load that was not seen must not look like load that went
//!   away. Where more were dropped than came, those are Unknown.
//! * Only what is watched is kept, so that names nobody asked for take no room. Series, the bytes of
//!   sketches and sets, packets and names are bounded ([`Limits`]); a window that found no room is
//!   Unknown as a whole. Whatever is not taken in is counted, with the reason ([`Counts`]).
//!
//! A window is kept in six parts: what is told of it covers the window and up to a sixth more.

mod aggregator;
#[cfg(target_os = "linux")]
mod batch;
mod budget;
#[cfg(feature = "prometheus")]
mod collector;
mod counts;
mod distinct;
mod lack;
mod line;
#[cfg(target_os = "linux")]
mod listener;
mod loss;
mod refused;
mod ring;
mod series;
mod sketch;
mod source;
mod watch;

pub use aggregator::{Aggregator, Limits, WatchId};
#[cfg(feature = "prometheus")]
pub use collector::StatsdMetrics;
pub use counts::Counts;
pub use line::{Kind, Line, Parsed, Value, lines, parse};
#[cfg(target_os = "linux")]
pub use listener::{Listener, ListenerBuilder};
pub use refused::Refused;
pub use source::{Statsd, StatsdSignal};
pub use watch::{Statistic, Watch};
