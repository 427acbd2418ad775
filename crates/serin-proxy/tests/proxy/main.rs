//! The data plane as a process, real sockets on both sides.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail")]

mod app;
mod carried;
mod conserve;
mod copies;
mod crowd;
mod faults;
mod flags;
mod http;
mod leading;
mod lifecycle;
mod rig;
mod routing;
mod sticky;
mod streams;
mod turns;
mod user;
