//! The imperative shell: takes facts from the platform and wishes from people, gives each to the
//! engine, makes the outcome durable, and has it carried out.
//!
//! # Invariants
//! - One task owns all state ([`control`]); everyone else asks it.
//! - Nothing is acted on before it is stored, but the way back to stable.
//! - This crate alone decides *when*: clock, retries and wake-ups live here.
//! - The control socket is for its owner only; TCP needs a token and is off unless asked for.

pub mod api;
mod apply;
mod automatic;
mod call;
mod checkup;
mod control;
mod drill;
pub mod executor;
pub mod export;
mod flags;
mod foresee;
mod hooks;
mod machine;
mod notify;
mod people;
pub mod rehearsal;
mod release;
mod run;
mod schema;
mod token;
mod train;
mod views;

pub use automatic::contracts_that_wait;
pub use flags::FlagsListen;
pub use machine::has;
pub use release::wanted as flag_wanted;
pub use run::{Options, run};
pub use schema::read_migrations;
