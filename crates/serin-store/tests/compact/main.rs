//! The file is made smaller and nothing that matters is lost.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod cut;
mod migrate;
mod tail;
mod ticks;
mod world;
