//! The tables of the benchmark, one module for each.

pub mod cost;
pub mod drawn;
pub mod errors;
pub mod latency;
pub mod many;
pub mod pass;
pub mod paths;
pub mod rollout;
pub mod steered;
