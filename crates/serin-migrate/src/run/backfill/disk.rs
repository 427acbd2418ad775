//! Room on the disks of the database, where it runs on this machine.

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::store::Kept;
use super::super::throttle::Disk;
use crate::Ident;
use std::path::{Path, PathBuf};

/// Where the server is this machine, and it may be known: the data, and where the tables are.
const PLACES: &str = "\
    SELECT CASE WHEN inet_server_addr() IS NOT DISTINCT FROM inet_client_addr() THEN array(
      SELECT setting FROM pg_settings WHERE name = 'data_directory'
      UNION SELECT nullif(pg_tablespace_location(c.reltablespace), '') FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind = 'r') END";

/// The fullest of the disks that the tables and the log are on; `None` where nobody knows.
pub(crate) async fn fullest(session: &Session<'_>, kept: &Kept) -> Result<Option<Disk>> {
    let places = session.places.get_or_try_init(|| places(session, kept)).await?;
    Ok(places.iter().filter_map(|place| disk(place)).min_by_key(|disk| disk.free))
}

async fn places(session: &Session<'_>, kept: &Kept) -> Result<Vec<PathBuf>> {
    let (schema, names) = (session.database.schema().as_str(), &kept.plan.tables);
    let names: Vec<&str> = names.iter().map(Ident::as_str).collect();
    let row = session.look.query_one(PLACES, &[&schema, &names]).await;
    let row = row.map_err(Error::sql("asking where the tables are"))?;
    let found: Option<Vec<Option<String>>> = row.get(0);
    Ok(found.into_iter().flatten().flatten().map(PathBuf::from).collect())
}

/// Nothing where this process may not look.
fn disk(place: &Path) -> Option<Disk> {
    let seen = rustix::fs::statvfs(place).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(seen.f_frsize);
    Some(Disk { free: bytes(seen.f_bavail), size: bytes(seen.f_blocks) })
}
