//! Plans: a migration against a database as it is.

mod backup;
mod make;
mod routines;
mod step;
mod sync;

pub use make::{PlanError, make};
pub use step::{Action, Fill, Plan, Stage, Step};
pub(crate) use step::{OWN_DOWN, OWN_UP};
pub(crate) use sync::MOVED;
pub use sync::{Derive, Input, Key, TableSync};
