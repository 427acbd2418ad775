//! Every strategy ships versions in a row to real users, one of them bad; and everything is killed
//! again and again meanwhile.
//!
//! `SERIN_VERSIONS` (3) says how many versions each strategy ships, `SERIN_KILLS` (12) how often
//! something is killed: long runs set them higher.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

#[path = "../support/mod.rs"]
mod support;

mod kills;
mod sessions;
mod ship;

/// A number from the environment.
fn number(name: &str, usual: u32) -> u32 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}
