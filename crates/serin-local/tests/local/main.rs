//! The platform with a real keeper, a real data plane, real processes and sockets.

#![allow(clippy::unwrap_used)]

mod baseline;
mod faults;
mod long;
mod restarts;
mod rig;
mod rollout;
mod start;
mod steering;
mod worker;
