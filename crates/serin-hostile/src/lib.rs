//! Measures what the judge promises when clients and versions misbehave, through the real data
//! plane: many services side by side, real sockets, real clients, counts read over the control
//! protocol and turned into ticks by the engine itself. Made for `cargo xtask bench hostile`;
//! never published.
//!
//! # Invariants
//!
//! - **The data plane is the real one**, a process of its own, and can be killed.
//! - **The engine is the real one.** It makes the plans, turns counts into ticks and judges them;
//!   only its platform is played here. Verdicts are told and set nothing back
//!   (`report_only`), so that a run is seen to its end.
//! - **Both arms meet the same clients.** What a run says about the arms comes from the instances
//!   alone.

pub mod app;
pub mod bench;
pub mod client;
pub mod condition;
pub mod limits;
pub mod plane;
pub mod run;
pub mod site;
pub mod spec;
pub mod table;
pub mod watch;
