//! The old views are closed for a while before anything is dropped: who still uses them is heard,
//! and one statement opens them again.

use super::error::{Error, Result};
use super::gates;
use super::session::Session;
use super::store::{Kept, array};
use crate::{Ident, literal};
use std::time::Duration;

/// Time between two looks at how the service fares.
const LOOK: Duration = Duration::from_millis(200);

/// A share of failures so much above what is usual opens the views again.
const MORE_ERRORS: f64 = 0.01;

/// Closes the old views for as long as the migration says, if it says so.
///
/// # Errors
/// [`Error::Refused`] when somebody was heard; the views are open again then.
pub(crate) async fn soak(session: &Session<'_>, kept: &Kept) -> Result<()> {
    let ms = kept.plan.migration.settings.contract.brown_out_ms;
    let Some(view) = kept.plan.old_view.as_ref().filter(|_| ms > 0 && !kept.swapped) else {
        return Ok(());
    };
    close(session, kept, view).await?;
    loop {
        let reasons = heard(session);
        if !reasons.is_empty() {
            open(session, kept).await?;
            return Err(Error::Refused { what: "the contract", reasons });
        }
        let left = left_ms(session, kept, ms).await?;
        if left <= 0 {
            return session.waits(kept.id, None).await;
        }
        let why =
            format!("the old views are closed for {} s more before they go", left / 1_000 + 1);
        session.waits(kept.id, Some(&why)).await?;
        session.transaction("waiting", 1_000, &[]).await?;
        tokio::time::sleep(LOOK.min(Duration::from_millis(left as u64))).await;
    }
}

fn heard(session: &Session<'_>) -> Vec<String> {
    let mut reasons = session.world.objections();
    let fails = |health: crate::Health| health.error_rate > health.usual_error_rate + MORE_ERRORS;
    if session.world.health().is_some_and(fails) {
        reasons.push("with the old views closed more requests fail; they are open again".into());
    }
    reasons.extend(gates::against_old_instances(session));
    reasons
}

async fn left_ms(session: &Session<'_>, kept: &Kept, ms: u64) -> Result<i64> {
    let sql = "SELECT ($2::bigint - extract(epoch FROM clock_timestamp() - brown_at) * 1000)::bigint \
         FROM serin.migration WHERE id = $1";
    let row = session.look.query_one(sql, &[&kept.id, &(ms as i64)]).await;
    let row = row.map_err(Error::sql("reading when the old views were closed"))?;
    Ok(row.get::<_, Option<i64>>(0).unwrap_or(0))
}

async fn close(session: &Session<'_>, kept: &Kept, view: &Ident) -> Result<()> {
    let sql = "SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' \
         ELSE quote_ident(pg_get_userbyid(a.grantee)) END FROM pg_namespace n, \
         aclexplode(n.nspacl) a JOIN serin.migration m ON m.id = $2 WHERE n.nspname = $1 \
         AND a.privilege_type = 'USAGE' AND a.grantee <> n.nspowner AND m.brown_at IS NULL";
    let rows = session.look.query(sql, &[&view.as_str(), &kept.id]).await;
    let rows = rows.map_err(Error::sql("looking who may use the old views"))?;
    let roles: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut sql = vec![format!(
        "UPDATE serin.migration SET brown_at = clock_timestamp(), brown = {} WHERE id = {} AND \
         brown_at IS NULL",
        array(roles.iter().map(|role| literal(role))),
        kept.id,
    )];
    sql.extend(roles.iter().map(|role| format!("REVOKE USAGE ON SCHEMA {view} FROM {role}")));
    session.transaction("closing the old views", 1_000, &sql).await.map(drop)
}

/// Opens the old views again for whoever could use them.
pub(crate) async fn open(session: &Session<'_>, kept: &Kept) -> Result<()> {
    let Some(view) = &kept.plan.old_view else { return Ok(()) };
    let sql = "SELECT brown FROM serin.migration WHERE id = $1 AND brown_at IS NOT NULL";
    let row = session.look.query_opt(sql, &[&kept.id]).await;
    let Some(row) = row.map_err(Error::sql("reading who could use the old views"))? else {
        return Ok(());
    };
    let roles: Vec<String> = row.get(0);
    let mut sql: Vec<String> =
        roles.iter().map(|role| format!("GRANT USAGE ON SCHEMA {view} TO {role}")).collect();
    sql.push(format!(
        "UPDATE serin.migration SET brown_at = NULL, brown = NULL WHERE id = {}",
        kept.id
    ));
    session.transaction("opening the old views again", 1_000, &sql).await.map(drop)
}
