//! Promises about the whole: one binary, a module for each.

mod bad_input; // what a user gets wrong, and what birl says
mod demo; // the closed loop runs and stays short
mod run; // `birl run` on live files
mod support;
mod tail; // `birl tail`
mod tidy; // dependency trees and file lengths
