//! What can be said and asked beside a runner, without its lease.

use super::error::{Error, Result};
use super::runner::Runner;
use super::session;
use crate::Ident;
use tokio_postgres::Client;

/// Makes the tables that the state is kept in, where they are not there.
///
/// # Errors
/// When the server refuses.
pub async fn prepare(client: &Client) -> Result<()> {
    session::ensure(client).await
}

/// Lets the open migration go on after a pause; a runner at work hears of it at once.
///
/// # Errors
/// [`Error::None`] when no migration is open.
pub async fn unpause(runner: &Runner, who: &str) -> Result<()> {
    let client = runner.connect().await?;
    session::known(&client).await?;
    let sql = "WITH done AS (UPDATE serin.migration SET paused = false WHERE schema = $1 \
         AND ended_at IS NULL RETURNING id) INSERT INTO serin.deed (migration, who, what, detail) \
         SELECT id, $2, 'set', 'paused = false' FROM done";
    let schema = runner.database().schema().as_str();
    let done = client.execute(sql, &[&schema, &who]).await.map_err(Error::sql("going on"))?;
    if done == 0 { Err(Error::None("open")) } else { Ok(()) }
}

/// Notes what somebody decided about the last migration of the schema with this name; nothing when
/// there is none.
///
/// # Errors
/// When the server refuses.
pub async fn note_open(
    runner: &Runner,
    who: &str,
    name: &str,
    (what, detail): (&str, &str),
) -> Result<()> {
    let client = runner.connect().await?;
    if session::version(&client).await?.is_none() {
        return Ok(());
    }
    let sql = "INSERT INTO serin.deed (migration, who, what, detail) \
         SELECT id, $3, $4, $5 FROM serin.migration WHERE schema = $1 AND name = $2 \
         ORDER BY id DESC LIMIT 1";
    let schema = runner.database().schema().as_str();
    let done = client.execute(sql, &[&schema, &name, &who, &what, &detail]).await;
    done.map(drop).map_err(Error::sql("noting what was decided"))
}

/// The schema of views that clients use now: that of the last migration that is done and has
/// views; `None` when they use the tables.
///
/// # Errors
/// When the server refuses.
pub async fn current_view(runner: &Runner) -> Result<Option<Ident>> {
    let client = runner.connect().await?;
    if session::version(&client).await?.is_none() {
        return Ok(None);
    }
    let sql = "SELECT new_view FROM serin.migration WHERE schema = $1 AND state = 'done' \
         AND new_view <> schema AND EXISTS (SELECT FROM pg_namespace WHERE nspname = new_view) \
         ORDER BY id DESC LIMIT 1";
    let schema = runner.database().schema().as_str();
    let row = client.query_opt(sql, &[&schema]).await;
    let row = row.map_err(Error::sql("reading which views are in use"))?;
    let name = row.map(|row| row.get::<_, String>(0));
    name.map(|name| Ident::new(name).map_err(|why| Error::Kept(why.to_string()))).transpose()
}
