//! Poolers that share sessions.

use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// Why a connection cannot be used for what needs a session of its own.
#[derive(Debug, thiserror::Error)]
pub enum Shared {
    /// It does not keep its session.
    #[error("{POOLED}")]
    Pooled,
    /// It could not even be asked twice.
    #[error("{POOLED} ({})", crate::failure::said(.0))]
    Silent(Error),
    /// It could not be asked at all.
    #[error("{}", crate::failure::said(.0))]
    Database(Error),
}

const POOLED: &str = "the connection does not keep its session: it goes through a pooler such as \
    PgBouncer in transaction mode, which loses locks and settings; give the address of Postgres \
    itself, or of a pool in session mode";

/// Whether a connection keeps its session; `beside` is another one by the same address. Nothing
/// stays on either but a setting of ours with no meaning.
///
/// A pooler that gives each transaction whatever server process is free loses locks and settings of
/// a session, or hands them on to others. Then this connection meets several processes, or two
/// connections meet one.
///
/// # Errors
/// [`Shared`].
pub async fn keeps_session(client: &Client, beside: &Client) -> Result<(), Shared> {
    let mark = format!("{:016x}", fastrand::u64(..));
    let set = format!("SET serin.session = '{mark}'");
    client.batch_execute(&set).await.map_err(Shared::Database)?;
    let (first, marked) = session(client).await?;
    let mut kept = marked == mark;
    // A pool that gives its processes out in turn could give each of two the same one again and
    // again; not if one of them asks once, then twice, then three times between.
    for turns in 1..=4 {
        for _ in 0..turns {
            kept &= session(beside).await?.0 != first;
        }
        kept &= session(client).await? == (first.clone(), mark.clone());
    }
    if kept { Ok(()) } else { Err(Shared::Pooled) }
}

/// The process that answers, and the mark it carries. Not prepared before: what cleans up after a
/// prepared statement comes at a time of its own, and between.
async fn session(client: &Client) -> Result<(String, String), Shared> {
    let sql = "SELECT pg_backend_pid(), coalesce(current_setting('serin.session', true), '')";
    let said = client.simple_query(sql).await.map_err(Shared::Silent)?;
    let row = said.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0)?.to_owned(), row.get(1)?.to_owned())),
        _ => None,
    });
    row.ok_or(Shared::Pooled)
}
