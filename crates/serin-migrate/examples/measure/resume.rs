//! The connection of a backfill is killed again and again: how many batches are done twice.

use crate::clients::pass;
use crate::{Result, known, lab::Lab};
use serde_json::{Value, json};
use serin_migrate::Say;
use std::time::Duration;

const KILLS: u32 = 10;

/// Between two kills.
const RUN: Duration = Duration::from_millis(300);

pub fn run(rows: u64) -> Result<Value> {
    let lab = Lab::start()?;
    let database = lab.table(rows)?;
    let plan = lab.plan(&database, &json!({"backfill": {"duty": 0.3}}))?;
    let runner = lab.runner(&database)?;
    let killer = lab.client(&database)?;
    let (mut killed, mut started) = (0, false);
    let mut ended = false;
    while !ended {
        let (runner, plan) = (runner.clone(), plan.clone());
        let run = lab.runtime.spawn(async move {
            if started { runner.resume(&Say::default()).await } else { runner.start(&plan).await }
        });
        started = true;
        while !run.is_finished() {
            pass(RUN);
            if killed < KILLS && !run.is_finished() {
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE pid <> pg_backend_pid() AND application_name LIKE 'serin%' \
                    AND datname = current_database()";
                lab.runtime.block_on(killer.batch_execute(sql))?;
                killed += 1;
                known(&format!("killed {killed} times"));
            }
        }
        ended = lab.runtime.block_on(run)?.is_ok();
    }
    let sql = "SELECT sum(rows_done)::bigint, sum(rows_changed)::bigint, sum(batches)::bigint \
         FROM serin.progress";
    let row = lab.runtime.block_on(killer.query_one(sql, &[]))?;
    let (done, changed, batches): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    Ok(json!({"rows": rows, "kills": killed, "rowsGoneThrough": done, "rowsChanged": changed,
        "batches": batches}))
}
