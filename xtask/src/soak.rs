//! `cargo xtask soak`: long runs, for a night rather than for each change.

use crate::failure::{Failure, Result};

/// Runs the long runs one after the other.
pub fn run(_words: &[&str]) -> Result<()> {
    Err(Failure::new("soak is not written yet"))
}
