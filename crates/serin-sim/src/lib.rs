//! A deterministic simulator: the shipped engine and executor on a made-up machine that loses,
//! repeats, delays and reorders every message, crashes the controller between commit and action,
//! fills its disk, turns its clock, and lets people press every button.
//!
//! Everything it can do is said in a small language (`docs/simulator.md`). A scenario is a script
//! with a golden transcript; a seed is a script that chance wrote; a seed that fails is made
//! shorter until nothing more can be left out, and is then a scenario.
//!
//! # Invariants
//! - A script and a commit reproduce a run, byte for byte.
//! - Nothing of the product is copied here: what is tested is what is shipped. Of many seeds a
//!   few run on the shipped store, the others on a log in memory with the same promises.
//! - The made-up machine knows the truth about each revision; the product only sees what it would
//!   see in life.

pub mod campaign;
pub mod dice;
pub mod draw;
pub mod log;
pub mod machine;
pub mod script;
pub mod seed;
pub mod shrink;
pub mod tally;
mod watch;
pub mod world;
