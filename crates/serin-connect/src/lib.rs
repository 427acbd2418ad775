//! Connections to Postgres by the addresses that libpq knows, with TLS as they ask for it.
//!
//! An [`Address`] is read from `postgres://..` or from `key=value` pairs. `sslmode`, `sslrootcert`,
//! `sslcert` and `sslkey` mean what they mean to libpq, `psql` and every driver built on it.
//!
//! libpq's environment ([`Environment`]) fills in what an address leaves out only where a caller
//! asks for it.
//!
//! # Invariants
//! - No error and no debug output shows a password, nor a whole address.
//! - Whose certificate was refused is never connected to: only `allow` and `prefer`, which ask for
//!   no safety, go on without TLS.

mod address;
mod binding;
mod environment;
mod failure;
mod options;
mod password;
mod pooler;
mod settings;
mod stream;
mod trust;
mod url;

pub use address::Address;
pub use environment::Environment;
pub use failure::{Failure, Flaw};
pub use pooler::{Shared, keeps_session};
