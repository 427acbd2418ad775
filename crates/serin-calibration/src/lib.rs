//! Measures what the judge promises: false alarms, time to detect, wrong passes and cost, beside
//! the methods other tools use, on simulated traffic. Made for `cargo xtask bench stats`; never
//! published.
//!
//! # Invariants
//!
//! - **Same seed, same bytes.** Each run has a generator of its own, made from the scenario's
//!   number and the run's; which thread does it does not matter. Only the cost table holds times.
//! - **The judge is the real one.** It is driven through `serin_stats`' public interface, with the
//!   ticks a data plane would send.
//! - **Everyone sees the same traffic.** In one run all methods watch the same requests.

pub mod latency;
pub mod methods;
pub mod ours;
pub mod parallel;
pub mod plot;
pub mod report;
pub mod rng;
pub mod tables;
pub mod traffic;
pub mod watch;
