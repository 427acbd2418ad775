//! The contract of a large table: its slow proofs, and the one transaction that ends the old shape.

use crate::{Result, known, lab::Lab, lab::sure};
use serde_json::{Value, json};
use serin_migrate::Stage;

pub fn run(rows: u64) -> Result<Value> {
    let lab = Lab::start()?;
    let database = lab.table(rows)?;
    let plan = lab.plan(&database, &json!({"backfill": {"duty": 1}}))?;
    let runner = lab.runner(&database)?;
    lab.runtime.block_on(runner.start(&plan))?;
    known("both shapes are in use; now the contract");
    lab.runtime.block_on(runner.contract(&sure()))?;
    let client = lab.client(&database)?;
    let sql = "SELECT seq, extract(epoch FROM finished_at - started_at)::float8 * 1000, lock_waits \
         FROM serin.step WHERE part = 'contract' ORDER BY seq";
    let rows_of = lab.runtime.block_on(client.query(sql, &[]))?;
    let step = |row: &tokio_postgres::Row| {
        let (seq, ms, waits): (i32, Option<f64>, i32) = (row.get(0), row.get(1), row.get(2));
        let step = plan.contract.get(seq as usize);
        let is_swap = step.is_some_and(|step| step.stage == Stage::Swap);
        json!({"step": step.map(|step| step.title.clone()), "swap": is_swap, "ms": ms,
            "lockWaits": waits})
    };
    Ok(json!({"rows": rows, "steps": rows_of.iter().map(step).collect::<Vec<_>>()}))
}
