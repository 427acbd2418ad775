//! `cargo xtask bench`: measures what `docs/benchmarks.md` reports.

use crate::failure::{Failure, Result};

/// Runs one benchmark.
pub fn run(_words: &[&str]) -> Result<()> {
    Err(Failure::new("bench is not written yet"))
}
