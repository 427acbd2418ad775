//! Two stores side by side: dual write, compared reads, comparing Postgres with Postgres, calculations in the shadow.
//!
//! A move goes through the five phases of [`Phase`]. What each step needs is decided by [`gate`],
//! from facts alone. [`outbox`] brings what is written in one store to the other, [`reads`]
//! compares what both answer, [`compare`] finds the rows in which two tables differ, [`shadow`]
//! runs a new calculation beside the old one.
//!
//! # Invariants
//! - One store holds the writes at any moment; the databases say which one, not a flag.
//! - What the library was told to write, and committed, reaches the other store once, in the
//!   order of its key, or waits in sight with the reason why it does not.
//! - Nothing of the new store, and nothing that is compared, makes a request on the old one fail
//!   or wait.
//! - Two stores are never atomic: the other one is behind by what waits in the outbox.
//! - Differences are kept with keys, and with values only where the caller asks for them.

pub mod compare;
pub mod gate;
pub mod outbox;
mod phase;
pub mod reads;
pub mod shadow;
mod timing;

pub use phase::{Phase, Reading, Side, UnknownPhase};
pub use timing::{Timing, Timings};
