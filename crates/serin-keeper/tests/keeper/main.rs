//! The keeper with real processes, sockets, signals and files.

#![allow(clippy::unwrap_used)]

mod adoption;
mod apps;
mod listeners;
mod logs;
mod planes;
mod rig;
mod wire;
