//! Questions that must be answered with yes before the next shape is shown or the last one goes.

use super::error::{Error, Result};
use super::session::Session;
use tokio_postgres::SimpleQueryMessage;

/// Rows that are told.
const TOLD: usize = 10;

/// No row breaks the rule.
///
/// # Errors
/// [`Error::Rows`] with the first that do.
pub(crate) async fn violations(session: &Session<'_>, rule: &str, query: &str) -> Result<()> {
    let sql = format!("{query} LIMIT {TOLD}");
    let what = format!("looking for rows that break {rule}");
    let rows = session.client.query(&sql, &[]).await.map_err(Error::sql(&what))?;
    if rows.is_empty() {
        return Ok(());
    }
    let told = rows.iter().map(|row| row.try_get(0).unwrap_or_default()).collect();
    Err(Error::Rows { what: rule.to_owned(), said: "some rows break it".into(), rows: told })
}

/// The question of the migration's own is answered with one row that begins with true. It is run
/// in a transaction that cannot write.
///
/// # Errors
/// [`Error::Check`].
pub(crate) async fn check(session: &Session<'_>, sql: &str) -> Result<()> {
    let asked = format!("SET TRANSACTION READ ONLY;\n{sql}");
    let done = session.client.simple_query(&asked).await;
    let done = done.map_err(Error::sql(format!("the check `{}`", short(sql))))?;
    let rows: Vec<Option<&str>> = done
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.try_get(0).ok().flatten()),
            _ => None,
        })
        .collect();
    match rows.as_slice() {
        [Some("t")] => Ok(()),
        other => Err(Error::Check { sql: short(sql), answer: answer(other) }),
    }
}

fn answer(rows: &[Option<&str>]) -> String {
    match rows {
        [] => "with no row".into(),
        [None] => "NULL".into(),
        [Some(value)] => format!("`{}`", short(value)),
        more => format!("with {} rows", more.len()),
    }
}

fn short(text: &str) -> String {
    text.trim().chars().take(200).collect()
}
