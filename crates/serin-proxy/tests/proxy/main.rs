//! The data plane as a process, real sockets on both sides.

mod app;
mod faults;
mod http;
mod lifecycle;
mod rig;
mod routing;
mod streams;
mod user;
