//! What a written row costs: 100,000 rows updated at once, without anything, beside pgroll's
//! triggers, and beside Serin's; the best of some tries, since others use the machine too.

use crate::{Result, known, lab::Lab, peer};
use serde_json::{Value, json};
use std::time::Instant;
use tokio_postgres::Client;

const TRIES: usize = 5;

/// What old clients write: the column that changes, and one that does not.
const WRITES: [(&str, &str); 2] = [
    ("column", "UPDATE t SET amount = amount + 1"),
    ("unrelated", "UPDATE t SET note = 'y' || substr(note, 2)"),
];

pub fn run(rows: u64) -> Result<Value> {
    let lab = Lab::start()?;
    let (bare, serin, pgroll) = (lab.table(rows)?, lab.table(rows)?, lab.table(rows)?);
    let plan = lab.plan(&serin, &json!({"backfill": {"duty": 1}}))?;
    lab.runtime.block_on(lab.runner(&serin)?.start(&plan))?;
    let client = lab.client(&pgroll)?;
    lab.runtime.block_on(async {
        peer::expand(&client).await?;
        peer::fill(&client).await
    })?;
    let mut figures = json!({"rows": rows});
    for (what, sql) in WRITES {
        let mut best = [f64::INFINITY; 3];
        for _ in 0..TRIES {
            for (at, database) in [&bare, &serin, &pgroll].into_iter().enumerate() {
                let client = lab.client(database)?;
                best[at] = best[at].min(lab.runtime.block_on(cost(&client, sql, rows))?);
            }
        }
        let [bare, serin, pgroll] = best;
        known(&format!(
            "{what}: {bare:.2} µs a row without a trigger, {serin:.2} with serin's, {pgroll:.2} with pgroll's"
        ));
        figures[what] = json!({"bareUs": bare, "serinUs": serin, "pgrollUs": pgroll,
            "serinMoreUs": serin - bare, "pgrollMoreUs": pgroll - bare});
    }
    Ok(figures)
}

/// Microseconds a row; the write is rolled back, so that each begins alike.
async fn cost(client: &Client, sql: &str, rows: u64) -> Result<f64> {
    client.batch_execute("VACUUM t").await?;
    client.batch_execute("BEGIN").await?;
    let began = Instant::now();
    client.batch_execute(sql).await?;
    let took = began.elapsed();
    client.batch_execute("ROLLBACK").await?;
    Ok(took.as_secs_f64() * 1e6 / rows as f64)
}
