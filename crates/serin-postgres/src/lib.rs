//! A private Postgres for tests and benchmarks: found, started on a port of its own, killed and
//! started again as a test wishes, gone when dropped.
//!
//! # Invariants
//! - Listens on the loopback and on a socket in its own directory, nowhere else.
//! - Ends only processes it started, and leaves no file behind.
//! - Runs as a user that Postgres accepts: never as root.

mod authority;
mod cluster;
mod error;
mod found;
mod pooler;
mod user;

pub use authority::{Authority, Signed, Subject, self_signed};
pub use cluster::{Cluster, Durability, Settings};
pub use error::Error;
pub use found::{Installation, installations, newest};
pub use pooler::Pooler;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the database server to use instead of a private one: a URL without a database.
pub const GIVEN: &str = "SERIN_TEST_PG";

/// The one server that all tests of a process share, each with a database of its own. `None`,
/// said loudly, when there is no Postgres here; with `CI` set that is a failure.
///
/// # Panics
/// Where `CI` is set and no server can be had.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    let start = || match newest().and_then(|found| Cluster::start(&found, &Settings::default())) {
        Ok(cluster) => Some(cluster),
        Err(error) if is_ci() => panic!("tests of migrations need Postgres: {error}"),
        Err(error) => {
            eprintln!("SKIPPED: tests that need Postgres: {error}");
            None
        }
    };
    SHARED.get_or_init(start).as_ref()
}

/// A name for a database that no other test of this process has.
pub fn unique_name(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}_{}_{number}", std::process::id())
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
