//! The tables of the benchmark, one module for each.

pub mod errors;
pub mod latency;
pub mod pass;
pub mod rollout;
