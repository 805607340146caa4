//! Which files there are to follow, and being told when that changes or one of them is written.

mod glob;
mod inotify;
mod listing;
mod pace;
mod patterns;
mod seen;
mod trie;
mod walk;
mod watcher;

pub(super) use self::listing::or_current;
pub(super) use self::pace::{Idle, Nap, Pace};
pub(super) use self::patterns::Patterns;
pub(super) use self::seen::Seen;
pub(super) use self::walk::Walk;
pub(super) use self::watcher::Watcher;
