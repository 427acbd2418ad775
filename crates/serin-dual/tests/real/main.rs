//! Two databases of one real server.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod comparing;
#[path = "../../examples/two_stores.rs"]
#[allow(dead_code)]
mod example;
mod guide;
mod handover;
mod kills;
mod ledger;
mod outbox;

use serin_dual::outbox::Urls;
use serin_postgres::{Cluster, shared};

/// Two new databases; `None` where there is no Postgres.
fn two() -> Option<(&'static Cluster, String, String)> {
    let cluster = shared()?;
    Some((cluster, cluster.database().unwrap(), cluster.database().unwrap()))
}

fn urls(cluster: &Cluster, old: &str, new: &str) -> Urls {
    Urls { old: cluster.url(old), new: cluster.url(new) }
}
