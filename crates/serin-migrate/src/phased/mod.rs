//! Phased SQL: migrations written by hand as SQL, each of one phase, with checks before and after
//! and SQL that takes it back.
//!
//! There are no views here: the app must work with both shapes. What belongs to one change is one
//! set; its expand and migrate parts run before the first new instance, its contract parts when
//! the old ones are gone.

mod annotated;
mod made;
mod model;
mod read;
mod statements;

pub use annotated::{Annotated, annotated};
pub use made::{check_in_transaction, is_check, phased_plan};
pub use model::{Batch, Phase, PhasedMigration, PhasedSet};
pub use read::phased;
pub use statements::{split, words};
