//! The runner: does what a plan says, on a database that others use, and can be killed at any
//! moment.

mod adopt;
mod aside;
mod backfill;
mod brown;
mod connect;
mod ddl;
mod drift;
mod error;
mod gates;
mod grace;
mod halt;
mod index;
mod lease;
mod options;
mod report;
mod runner;
mod salvage;
mod session;
mod shape;
mod state;
mod status;
mod steer;
mod steps;
mod store;
mod throttle;
mod verify;
mod world;

pub use adopt::{ADOPTED, Adopted, adopt_pgroll};
pub use aside::Aside;
pub use connect::Database;
pub use drift::Drift;
pub use error::Error;
pub use grace::Hidden;
pub use options::{Patience, Say};
pub use runner::Runner;
pub use state::{State, Wish};
pub use status::{Deed, Past, Progress, Status, StepStatus};
pub use steer::{current_view, note_open, prepare, unpause};
pub use throttle::{Limits, Signals, Throttle, Verdict};
pub use world::{Alone, Health, Promotion, World};
