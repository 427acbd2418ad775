//! The protocols as clients speak them: real sockets, bytes as they are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail")]

mod access;
mod changed;
mod counted;
mod flagd;
mod grpc;
mod limits;
mod ofrep;
mod outcomes;
mod pushed;
mod rig;
mod sync;
mod unleash;
