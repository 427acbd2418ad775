//! The platform "one machine": makes a [`Plan`](serin_core::Plan) true here, through the keeper
//! (processes) and the data plane (traffic), and says what it sees.
//!
//! All decisions are pure: [`facts`] absorb what happened into a [`Fleet`], [`reconcile()`] says
//! what to do next, [`Local`] does it.
//!
//! # Invariants
//! - A request is led to an instance only after its readiness probe said yes.
//! - An instance is stopped only after the data plane acknowledged a table without it and has
//!   counted nothing on it since, or the drain deadline has passed.
//! - Nothing is started, routed or stopped before the keeper has said what runs and the data plane
//!   what it serves: a restart of this process restarts nothing and takes nothing out of service.
//! - A port is not handed out again while its old owner may be reached through it.
//! - Values from the environment and from secret files go to the process alone.
//! - A plan's table is on its way to the data plane before anything else is done for that plan.

mod actor;
pub mod artefact;
mod checkup;
mod clock;
mod counts;
pub mod crew;
mod database;
mod error;
mod error_lines;
pub mod facts;
mod keeper;
mod kept;
mod label;
mod launch;
mod local;
mod log;
mod measure;
mod observe;
mod plane;
mod ports;
mod probe;
pub mod published;
pub mod reconcile;
mod route;
mod session;
mod usage;
mod vars;
pub mod world;

pub use artefact::{Artefact, ArtefactFile, digest};
pub use checkup::CheckedInstance;
pub use counts::{counts_of, counts_where};
pub use crew::{Crew, Wanted};
pub use error::Error;
pub use kept::{keep, sweep};
pub use label::{Label, instance_name};
pub use local::{FlagAddress, InstanceUsage, Local, Report, Settings, start};
pub use observe::{InstanceView, observation, views};
pub use reconcile::{Action, reconcile, wake_at};
pub use serin_proxy::{client, wire};
pub use usage::Usage;
pub use vars::{Vars, fill};
pub use world::{Fleet, Instance, InstanceId, Phase, PhaseName};
