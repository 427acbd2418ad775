//! Whether the percentage that is told is right: beside it, the rows that are filled in, counted
//! by the server.

use crate::clients::pass;
use crate::{Result, known, lab::Lab};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

pub fn run(rows: u64) -> Result<Value> {
    let lab = Lab::start()?;
    let database = lab.table(rows)?;
    let plan = lab.plan(&database, &json!({"backfill": {"duty": 1}}))?;
    let runner = lab.runner(&database)?;
    let (working, began) = (runner.clone(), Instant::now());
    let run = lab.runtime.spawn(async move { working.start(&plan).await });
    let client = lab.client(&database)?;
    let mut looks = Vec::new();
    while !run.is_finished() {
        pass(LOOK);
        // Two looks around the count: rows go on being filled in while it counts.
        let before = lab.runtime.block_on(runner.status())?;
        let sql = "SELECT count(*) FILTER (WHERE _serin_done) FROM t";
        let Ok(row) = lab.runtime.block_on(client.query_one(sql, &[])) else { continue };
        let percent = |status: Option<serin_migrate::Status>| {
            status.and_then(|status| status.progress).map(|progress| progress.percent)
        };
        let true_percent = row.get::<_, i64>(0) as f64 * 100.0 / rows as f64;
        if let Some(told) = percent(before) {
            known(&format!("told {told:.2} %, counted {true_percent:.2} %"));
            looks.push(json!({"told": told, "counted": true_percent,
                "seconds": began.elapsed().as_secs_f64()}));
        }
    }
    let status = lab.runtime.block_on(run)??;
    let seconds = began.elapsed().as_secs_f64();
    let off = |look: &Value| Some((look["told"].as_f64()? - look["counted"].as_f64()?).abs());
    let worst = looks.iter().filter_map(off).fold(0.0, f64::max);
    Ok(json!({"rows": rows, "seconds": seconds, "state": status.state, "looks": looks,
        "mostPercentOff": worst}))
}
