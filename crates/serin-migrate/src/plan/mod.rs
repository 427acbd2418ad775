//! Plans: a migration against a database as it is.

mod step;
mod sync;

pub use step::{Action, Plan, Stage, Step};
pub use sync::{Derive, Input, Key, TableSync};
