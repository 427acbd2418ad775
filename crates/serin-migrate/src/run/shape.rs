//! Changes that somebody else makes to the tables of an open migration.

use super::error::{Error, Result};
use super::session::Session;
use super::store::{self, Kept};
use std::collections::BTreeSet;

/// Differences that are told.
const TOLD: usize = 5;

/// Looks whether the tables are as the last step left them.
///
/// # Errors
/// [`Error::Foreign`] with what came and what went.
pub(crate) async fn compare(session: &Session<'_>, kept: &Kept) -> Result<()> {
    let Some(before) = &kept.shape else { return Ok(()) };
    let now = now(session, kept).await?;
    match difference(before, &now) {
        None => Ok(()),
        Some(what) => Err(Error::Foreign(what)),
    }
}

/// Takes them as they are now.
pub(crate) async fn accept(session: &Session<'_>, kept: &mut Kept) -> Result<()> {
    let now = now(session, kept).await?;
    let Some(what) = kept.shape.as_deref().and_then(|before| difference(before, &now)) else {
        return Ok(());
    };
    let sql = "UPDATE serin.migration SET shape = $2 WHERE id = $1";
    let done = session.look.execute(sql, &[&kept.id, &now]).await;
    done.map_err(Error::sql("accepting the tables as they are"))?;
    kept.shape = Some(now);
    session.note(kept.id, "accept", &what).await
}

/// The way back is open whatever somebody did to the tables; what was changed is noted.
pub(crate) async fn forget(session: &Session<'_>, kept: &mut Kept) -> Result<()> {
    accept(session, kept).await
}

/// Reads what the last step noted.
pub(crate) async fn note(session: &Session<'_>, kept: &mut Kept) -> Result<()> {
    let sql = "SELECT shape, state, swapped_at IS NOT NULL FROM serin.migration WHERE id = $1";
    let row = session.look.query_one(sql, &[&kept.id]).await;
    let row = row.map_err(Error::sql("reading what a step noted"))?;
    kept.shape = row.get(0);
    kept.state = store::state(row.get(1))?;
    kept.swapped = row.get(2);
    Ok(())
}

async fn now(session: &Session<'_>, kept: &Kept) -> Result<String> {
    let sql = format!("SELECT {}", store::shape(&kept.plan));
    let row = session.look.query_one(&sql, &[]).await;
    Ok(row.map_err(Error::sql("looking at the tables"))?.get(0))
}

fn difference(before: &str, now: &str) -> Option<String> {
    if before == now {
        return None;
    }
    let (before, now): (BTreeSet<&str>, BTreeSet<&str>) =
        (before.lines().collect(), now.lines().collect());
    let came = now.difference(&before).map(|line| format!("new: {line}"));
    let went = before.difference(&now).map(|line| format!("gone: {line}"));
    let told: Vec<String> = came.chain(went).take(TOLD).collect();
    Some(told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn what_came_and_went_is_told() {
        assert_eq!(difference("a\nb", "a\nb"), None);
        assert_eq!(difference("a\nb", "a\nc").unwrap(), "new: c; gone: b");
        assert_eq!(difference("", "a").unwrap(), "new: a");
    }
}
