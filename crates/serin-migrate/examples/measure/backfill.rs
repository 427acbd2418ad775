//! A million rows filled in while clients write: Serin at full speed, Serin with its throttle on,
//! pgroll's statements, and pgroll itself, each on a fresh table, in turn.

use crate::clients::{Clients, now, pass};
use crate::peer::{self, Pgroll};
use crate::service::Service;
use crate::{Result, known, lab::Lab};
use serde_json::{Value, json};
use serin_migrate::{Database, Runner, World};
use std::sync::Arc;
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
    Throttled,
    Statements,
    Pgroll,
}

const WAYS: [(Way, &str); 4] = [
    (Way::Full, "serin, full speed"),
    (Way::Statements, "pgroll's statements"),
    (Way::Throttled, "serin, throttled"),
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
    let service = Service::start(lab, &database, rows)?;
    pass(AFTER);
    let before = now();
    pass(ALONE);
    service.remember();
    let from = now();
    match &pgroll {
        Some(pgroll) => pgroll.start()?,
        None => fill(lab, &database, way, &service)?,
    }
    let to = now();
    if pgroll.is_some() {
        Pgroll::has_filled(lab, &database)?;
    }
    pass(AFTER);
    let seen = clients.end()?;
    service.end();
    lab.cluster.sql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"))?;
    let (alone, during) = (seen.between(before, from), seen.between(from, to));
    Ok(Some(json!({"way": name, "rows": rows, "seconds": to - from,
        "rowsPerSecond": rows as f64 / (to - from), "alone": alone, "during": during})))
}

fn fill(lab: &Lab, database: &str, way: Way, service: &Arc<Service>) -> Result<()> {
    match way {
        Way::Statements | Way::Pgroll => {
            let client = lab.client(database)?;
            lab.runtime.block_on(async {
                peer::expand(&client).await?;
                peer::fill(&client).await
            })?;
        }
        Way::Full | Way::Throttled => {
            let duty = if way == Way::Full { 1.0 } else { 0.5 };
            let plan = lab.plan(database, &json!({"backfill": {"duty": duty}}))?;
            let world: Arc<dyn World> = match way {
                Way::Full => Arc::new(serin_migrate::Alone),
                _ => Arc::clone(service) as Arc<dyn World>,
            };
            let target = Database::new(&lab.cluster.url(database), crate::lab::public()?)?;
            lab.runtime.block_on(Runner::new(target, world, "measure").start(&plan))?;
        }
    }
    Ok(())
}
