//! The L7 data plane of Serin: splits, retries, counts and drains HTTP/1.1 traffic on hyper, in a
//! process of its own that serves the last table it was given with nobody's help.
//!
//! # Invariants
//! - A table swap holds for the very next request, on old connections too.
//! - A retry may change the instance, never the arm.
//! - Each request is counted once, in the second it arrived and the arm it was assigned to.
//! - An order older than the one held for its service changes nothing.

pub mod wire;
