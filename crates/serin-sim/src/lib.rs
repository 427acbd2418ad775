//! A deterministic simulator: the shipped engine, executor and store on a made-up machine that
//! loses, repeats, delays and reorders every message, crashes the controller between commit and
//! action, fills its disk, turns its clock, and lets people press every button.
//!
//! # Invariants
//! - A seed and a commit reproduce a run, byte for byte.
//! - Nothing of the product is copied here: what is tested is what is shipped.
//! - The made-up machine knows the truth about each revision; the product only sees what it would
//!   see in life.

pub mod check;
pub mod draw;
pub mod machine;
pub mod network;
pub mod run;
pub mod script;

pub use run::{Report, Violation, run};
