//! `serin flag` on the real binary.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod offline;
mod people;
mod served;
#[path = "../support/mod.rs"]
mod support;
