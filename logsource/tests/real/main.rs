//! The suite against genuine parts.
