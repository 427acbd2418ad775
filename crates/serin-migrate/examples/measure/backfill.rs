//! A million rows filled in while clients write: Serin at full speed, Serin with its throttle on,
//! pgroll's statements, and pgroll itself, each on a fresh table, in turn.

use crate::clients::{Clients, now, pass};
use crate::peer::{self, Pgroll};
use crate::{Result, known, lab::Lab};
use serde_json::{Value, json};
use serin_migrate::{Database, Health, Runner, World};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;

/// Clients alone, before and after.
const ALONE: Duration = Duration::from_secs(15);

/// Clients go on for so long, so that what pgbench had not written down is not of the window.
const AFTER: Duration = Duration::from_secs(2);

/// Each is measured so often, in turn.
const ROUNDS: usize = 2;

/// Requests of the service that are looked at for its 99th percentile.
const LATELY: usize = 1_000;

/// Time between two of them.
const EVERY: Duration = Duration::from_millis(5);

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
    let service = Service::start(lab, &database)?;
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

/// Requests of a service that uses the table: what Serin's data plane would know of it.
struct Service {
    lately: Mutex<VecDeque<f64>>,
    usual_ms: Mutex<f64>,
    ended: Mutex<bool>,
}

impl Service {
    fn start(lab: &Lab, database: &str) -> Result<Arc<Self>> {
        let this = Arc::new(Self {
            lately: Mutex::default(),
            usual_ms: Mutex::default(),
            ended: Mutex::default(),
        });
        let url = lab.cluster.url(database);
        let (client, connection) = lab.runtime.block_on(tokio_postgres::connect(&url, NoTls))?;
        lab.runtime.spawn(connection);
        let service = Arc::clone(&this);
        lab.runtime.spawn(async move {
            let mut chance = fastrand::Rng::with_seed(1);
            let mut due = tokio::time::interval(EVERY);
            while !*held(&service.ended) {
                due.tick().await;
                let id = chance.u32(1..100_000);
                let sql = format!("UPDATE t SET amount = amount + 1 WHERE id = {id}");
                let began = Instant::now();
                if client.batch_execute(&sql).await.is_err() {
                    return;
                }
                let mut lately = held(&service.lately);
                lately.push_back(began.elapsed().as_secs_f64() * 1_000.0);
                let over = lately.len().saturating_sub(LATELY);
                lately.drain(..over);
            }
        });
        Ok(this)
    }

    fn p99(&self) -> f64 {
        let mut sorted: Vec<f64> = held(&self.lately).iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        crate::lab::quantile(&sorted, 0.99)
    }

    fn remember(&self) {
        *held(&self.usual_ms) = self.p99();
    }

    fn end(&self) {
        *held(&self.ended) = true;
    }
}

impl World for Service {
    fn health(&self) -> Option<Health> {
        let usual_p99_ms = *held(&self.usual_ms);
        Some(Health { p99_ms: self.p99(), usual_p99_ms, error_rate: 0.0, usual_error_rate: 0.0 })
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
