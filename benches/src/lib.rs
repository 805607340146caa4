//! What the programs here share: the lines that are read, the hash that every reader makes of them, the
//! bare reader that nobody can beat, one core to do it on, and how a number is told.

pub mod bare;
pub mod corpus;
pub mod figure;
pub mod hash;
pub mod lines;
pub mod one_core;
pub mod stopwatch;
pub mod usage;
