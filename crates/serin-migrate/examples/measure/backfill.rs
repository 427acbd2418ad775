//! A million rows filled in while clients write: Serin at full speed, pgroll's statements, and pgroll
//! itself, each on a fresh table, in turn.

use crate::clients::{Clients, now, pass};
use crate::peer::{self, Pgroll};
use crate::{Result, known, lab::Lab};
use serde_json::{Value, json};
use std::time::Duration;

/// Clients alone, before and after.
const ALONE: Duration = Duration::from_secs(15);

/// Clients go on for so long, so that what pgbench had not written down is not of the window.
const AFTER: Duration = Duration::from_secs(2);

/// Each is measured so often, in turn.
const ROUNDS: usize = 2;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Full,
    Statements,
    Pgroll,
}

const WAYS: [(Way, &str); 3] = [
    (Way::Full, "serin, full speed"),
    (Way::Statements, "pgroll's statements"),
    (Way::Pgroll, "pgroll"),
];

/// All ways whose names contain `only`.
pub fn run(rows: u64, only: &str) -> Result<Value> {
    let lab = Lab::start()?;
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        for (way, name) in WAYS.iter().filter(|(_, name)| name.contains(only)) {
            let Some(figure) = measure(&lab, rows, *way, name)? else { continue };
            known(&told(&figure));
            figures.push(figure);
        }
    }
    Ok(json!(figures))
}

fn told(figure: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let (alone, during) = (&figure["alone"], &figure["during"]);
    format!(
        "{}: {:.0} rows/s; clients' p99 {:.1} ms alone, {:.1} ms during it, at most {:.1} ms",
        figure["way"].as_str().unwrap_or_default(),
        number(&figure["rowsPerSecond"]),
        number(&alone["p99Ms"]),
        number(&during["p99Ms"]),
        number(&during["maxMs"]),
    )
}

fn measure(lab: &Lab, rows: u64, way: Way, name: &str) -> Result<Option<Value>> {
    let database = lab.table(rows)?;
    let pgroll = if way == Way::Pgroll { Pgroll::ready(lab, &database)? } else { None };
    if way == Way::Pgroll && pgroll.is_none() {
        return Ok(None);
    }
    let clients = Clients::start(&lab.cluster, &database, rows)?;
    pass(AFTER);
    let before = now();
    pass(ALONE);
    let from = now();
    match &pgroll {
        Some(pgroll) => pgroll.start()?,
        None => fill(lab, &database, way)?,
    }
    let to = now();
    if pgroll.is_some() {
        Pgroll::has_filled(lab, &database)?;
    }
    pass(AFTER);
    let seen = clients.end()?;
    lab.cluster.sql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"))?;
    let (alone, during) = (seen.between(before, from), seen.between(from, to));
    Ok(Some(json!({"way": name, "rows": rows, "seconds": to - from,
        "rowsPerSecond": rows as f64 / (to - from), "alone": alone, "during": during})))
}

fn fill(lab: &Lab, database: &str, way: Way) -> Result<()> {
    match way {
        Way::Statements | Way::Pgroll => {
            let client = lab.client(database)?;
            lab.runtime.block_on(async {
                peer::expand(&client).await?;
                peer::fill(&client).await
            })?;
        }
        Way::Full => {
            let plan = lab.plan(database, &json!({"backfill": {"duty": 1.0}}))?;
            lab.runtime.block_on(lab.runner(database)?.start(&plan))?;
        }
    }
    Ok(())
}
