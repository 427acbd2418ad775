//! Feature flags over the wire: OFREP, flagd's gRPC services and Unleash's APIs, all on one port,
//! HTTP/1.1 and HTTP/2 without TLS alike, so that clients of each work unchanged.
//!
//! A host makes an [`Edge`], gives it tables ([`Edge::replace`], [`Edge::upsert`]), and has each
//! of its threads serve connections with a [`Worker`] of its own ([`serve`]).
//!
//! # Invariants
//! - Nothing here waits for anybody who hands out flags: the last table goes on for ever.
//! - A set is taken whole or refused whole; a refused one goes on as it was, but for its kills.
//! - Before the first table there is no answer, which is not the answer that there is no flag.
//! - An older table never replaces a newer one.
//! - Every stream hears of a change as soon as it holds, before the call that made it returns to
//!   its caller's disk.
//! - Everything a client can make grow has a limit: bodies, contexts, streams, names that are
//!   counted.
//! - Tokens are kept as hashes only. What a web page holds can never see a rule.

mod access;
mod body;
mod clock;
mod cors;
mod edge;
mod etag;
mod follow;
mod grpc;
mod host;
mod io;
mod merged;
mod met;
mod metrics;
mod ofrep;
mod otlp;
mod outcome;
mod revision;
mod routes;
mod serve;
mod set;
mod signature;
mod table;
mod tally;
mod unleash;
mod world;

pub use access::{Token, TokenKind};
pub use edge::{Edge, Settings};
pub use follow::{CHANGES as FOLLOW_CHANGES, KEEP_ALIVE as FOLLOW_KEEP_ALIVE, PATH as FOLLOW_PATH};
pub use host::Host;
pub use met::{Met, Watcher};
pub use metrics::exposition;
pub use outcome::{Ended, Outcome, PATH as OUTCOMES, Taken};
pub use revision::Revision;
pub use serve::{Worker, serve};
pub use set::Source;
pub use table::{FALLBACK, Table, Upsert};
pub use tally::{Answer, Counts, Evaluations, Outcomes, Protocol, Unknown};
pub use world::{Refused, RefusedSet};
