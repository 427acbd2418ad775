//! What speaks against dropping the old shape, or the new one.

use super::drift;
use super::error::{Error, Result};
use super::options::Say;
use super::session::Session;
use super::state::State;
use super::store::{Kept, array};
use super::world::Promotion;
use crate::literal;

/// The share of the rows there were that must still be there.
const ROWS_LEFT: f64 = 0.9;

/// Clients and rows that are told.
const TOLD: usize = 5;

/// Rows of each table, about, in which the shapes are compared.
const LOOKED_AT: u32 = 10_000;

/// What speaks against dropping the old shape. A reason to go on sets it aside, but for the
/// backup: that is asked for by itself.
pub(crate) async fn against_contract(
    session: &Session<'_>,
    kept: &Kept,
    say: &Say,
) -> Result<Vec<String>> {
    let world = session.world;
    let mut reasons = world.objections();
    reasons.extend(of_a_rollout(session, kept, "serin migrate contract"));
    reasons.extend(against_old_instances(session));
    reasons.extend(connected(session, "old", &world.old_applications()).await?);
    reasons.extend(window(world.promotion(), kept));
    reasons.extend(written(session, kept).await?);
    reasons.extend(rows_gone(session, kept).await?);
    reasons.extend(apart(session, kept).await?);
    if say.override_reason.is_some() {
        reasons.clear();
    }
    if kept.plan.drops_data() && say.backup.is_none() {
        reasons.push(
            "it drops data for good: name the backup there is, or say why none is needed".into(),
        );
    }
    Ok(reasons)
}

/// What speaks against dropping the new shape, unless a reason to go on was given.
pub(crate) async fn against_revert(
    session: &Session<'_>,
    kept: &Kept,
    say: &Say,
) -> Result<Vec<String>> {
    if say.override_reason.is_some() {
        return Ok(Vec::new());
    }
    let world = session.world;
    let mut reasons: Vec<String> = alive("new", &world.new_instances()).into_iter().collect();
    // Before and after that nothing runs on the new shape: what is stuck there is for people.
    if kept.state == State::Dual {
        reasons.extend(of_a_rollout(session, kept, "serin rollback"));
    }
    reasons.extend(connected(session, "new", &world.new_applications()).await?);
    Ok(reasons)
}

/// A migration of a rollout, asked of without its server: that one knows which versions run.
fn of_a_rollout(session: &Session<'_>, kept: &Kept, instead: &str) -> Option<String> {
    let alone = session.world.promotion() == Promotion::Unmanaged;
    let service = kept.who.strip_prefix("rollout ")?.split_once(" of ")?.1;
    alone.then(|| format!("it belongs to {}: ask its server with `{instead} {service}`", kept.who))
}

/// Instances of the old version that live.
pub(crate) fn against_old_instances(session: &Session<'_>) -> Option<String> {
    alive("old", &session.world.old_instances())
}

/// Refuses while something speaks against it.
pub(crate) fn decide(what: &'static str, reasons: Vec<String>) -> Result<()> {
    if reasons.is_empty() { Ok(()) } else { Err(Error::Refused { what, reasons }) }
}

fn alive(which: &str, instances: &[String]) -> Option<String> {
    let told = instances.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
    (!instances.is_empty()).then(|| {
        format!(
            "{} instances of the {which} version live ({told}): end them first",
            instances.len()
        )
    })
}

async fn connected(session: &Session<'_>, which: &str, names: &[String]) -> Result<Option<String>> {
    if names.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT DISTINCT application_name FROM pg_stat_activity \
         WHERE datname = current_database() AND backend_type = 'client backend' ORDER BY 1";
    let rows = session.look.query(sql, &[]).await;
    let rows = rows.map_err(Error::sql("looking who is connected"))?;
    let all = rows.iter().map(|row| row.get::<_, String>(0));
    let found: Vec<String> =
        all.filter(|name| names.iter().any(|start| name.starts_with(start))).take(TOLD).collect();
    Ok((!found.is_empty()).then(|| {
        format!(
            "clients of the {which} version are connected ({}): end them first",
            found.join(", ")
        )
    }))
}

fn window(promotion: Promotion, kept: &Kept) -> Option<String> {
    let after = kept.plan.migration.settings.contract.after_ms;
    match promotion {
        Promotion::Unmanaged => None,
        Promotion::Pending => Some("the new version does not have all traffic yet".into()),
        Promotion::Since(ms) if ms >= after => None,
        Promotion::Since(ms) => Some(format!(
            "the way back stays open for {} s more, as `contract.after` says",
            (after - ms).div_ceil(1_000)
        )),
    }
}

/// Whether old clients wrote lately: the trigger counts them.
async fn written(session: &Session<'_>, kept: &Kept) -> Result<Option<String>> {
    let names = kept.plan.syncs.iter().map(|sync| literal(&format!("serin.{}", sync.trigger)));
    let sql = format!(
        "WITH seen AS (SELECT coalesce(sum(pg_sequence_last_value(to_regclass(name))), 0)::bigint AS \
         writes FROM pg_catalog.unnest({}) AS name) UPDATE serin.migration SET old_writes = seen.writes, \
         old_written_at = CASE WHEN seen.writes > old_writes THEN clock_timestamp() \
         ELSE old_written_at END FROM seen WHERE id = $1 RETURNING \
         (extract(epoch FROM clock_timestamp() - old_written_at) * 1000)::bigint",
        array(names),
    );
    let row = session.look.query_one(&sql, &[&kept.id]).await;
    let row = row.map_err(Error::sql("looking whether old clients write"))?;
    let quiet = session.patience.quiet_ms as i64;
    Ok(row.get::<_, Option<i64>>(0).filter(|ago| *ago < quiet).map(|ago| {
        format!(
            "that old clients write was noticed {} s ago: it must have been quiet for {} s",
            ago / 1_000,
            quiet / 1_000
        )
    }))
}

/// Tables that have lost many of the rows they had when both shapes came into use.
async fn rows_gone(session: &Session<'_>, kept: &Kept) -> Result<Vec<String>> {
    let mut reasons = Vec::new();
    for sync in &kept.plan.syncs {
        let sql = format!(
            "SELECT coalesce((counts ->> $2)::bigint, 0), (SELECT count(*) FROM {}.{}) \
             FROM serin.migration WHERE id = $1",
            kept.plan.schema, sync.table,
        );
        let row = session.look.query_one(&sql, &[&kept.id, &sync.table.as_str()]).await;
        let row = row.map_err(Error::sql("counting rows"))?;
        let (then, now): (i64, i64) = (row.get(0), row.get(1));
        if (now as f64) < then as f64 * ROWS_LEFT {
            reasons.push(format!(
                "table {} had {then} rows and has {now}: see that nothing was lost",
                sync.table
            ));
        }
    }
    Ok(reasons)
}

/// Rows of a sample whose shapes do not say the same, but for those that cannot be compared.
async fn apart(session: &Session<'_>, kept: &Kept) -> Result<Option<String>> {
    if kept.state != State::Dual {
        return Ok(None);
    }
    let drift = match drift::sample(&session.look, &kept.plan, LOOKED_AT).await {
        Err(Error::Sql { .. }) => return Ok(None),
        drift => drift?,
    };
    let what = if drift.loose.is_empty() {
        "write them once more, or see who writes past the views"
    } else {
        "switch it on again (`ALTER TABLE .. ENABLE TRIGGER`), or go back"
    };
    Ok((!drift.is_none()).then(|| format!("{drift}: {what}")))
}
