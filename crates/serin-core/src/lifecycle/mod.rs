//! What a service remembers beside its rollout, and rules that need no turn of the engine to be
//! asked: each is a function of the service.

mod back;
mod class;
mod formats;
mod held;
mod kept;
mod leftover;
mod replan;
mod schema;
mod target;
mod train;

pub use back::{Recovery, WayBack};
pub use class::{rollback_class, way_back_before};
pub use held::{Hold, Queued};
pub use kept::{Kept, KeptFor};
pub use leftover::{Leftover, LeftoverKind, leftovers};
pub use train::{Boarded, Departure, Timetable, Train};

pub(crate) use back::{before, usual};
pub(crate) use class::{class_between, is_config};
pub(crate) use formats::clash;
pub(crate) use replan::first_step_after;
pub(crate) use schema::{blocked_by, standing, view_of};
