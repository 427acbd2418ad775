//! Real rollouts decided by evidence: what is wrong is found, and what is right gets out.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod clean;
mod regressions;
mod site;
#[path = "../support/mod.rs"]
mod support;
mod unsound;
mod users;
