//! What clients wait for a change of the table: three readers of single rows, 200 requests a
//! second each, while a migration starts and is contracted; once alone, once behind somebody who
//! reads the table in one transaction of six seconds. Beside it, the change with pgroll's time in
//! the queue, and with none.

use crate::clients::pass;
use crate::{Result, known, lab::Lab, lab::quantile, lab::sure};
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const ROWS: u64 = 10_000;

const READERS: usize = 3;

const EVERY: Duration = Duration::from_millis(5);

/// The long reader reads so long.
const LONG: Duration = Duration::from_secs(6);

/// A wait longer than this is a stall.
const STALL_MS: f64 = 20.0;

pub fn run() -> Result<Value> {
    let lab = Lab::start()?;
    let mut figures = json!({});
    for (name, long) in [("alone", false), ("behindReader", true)] {
        figures[name] = serin(&lab, long)?;
        for part in ["start", "contract"] {
            known(&told(&format!("{name}, {part}"), &figures[name][part]));
        }
    }
    for (name, ms) in [("queueOf500ms", 500), ("queueWithoutEnd", 0)] {
        figures[name] = plain(&lab, ms)?;
        known(&told(name, &figures[name]));
    }
    Ok(figures)
}

fn told(name: &str, figure: &Value) -> String {
    let number = |key: &str| figure[key].as_f64().unwrap_or(0.0);
    let (most, stalled) = (number("maxMs"), number("stalledMs"));
    format!("{name}: a client waited at most {most:.1} ms; {stalled:.0} ms in stalls")
}

/// A whole migration, its way there and its contract.
fn serin(lab: &Lab, long: bool) -> Result<Value> {
    let database = lab.table(ROWS)?;
    let plan = lab.plan(&database, &json!({"backfill": {"duty": 1}}))?;
    let runner = lab.runner(&database)?;
    let readers = Readers::start(lab, &database)?;
    let reader = if long { Some(reader(lab, &database)?) } else { None };
    lab.runtime.block_on(runner.start(&plan))?;
    join(lab, reader)?;
    let there = readers.taken();
    let reader = if long { Some(self::reader(lab, &database)?) } else { None };
    lab.runtime.block_on(runner.contract(&sure()))?;
    join(lab, reader)?;
    let contract = readers.taken();
    readers.end();
    Ok(json!({"start": there, "contract": contract}))
}

/// One column added behind the long reader, each try so long in the queue (0: without end), with
/// pgroll's pauses between them.
fn plain(lab: &Lab, ms: u64) -> Result<Value> {
    let database = lab.table(ROWS)?;
    let readers = Readers::start(lab, &database)?;
    let reader = reader(lab, &database)?;
    let client = lab.client(&database)?;
    lab.runtime.block_on(async {
        client.batch_execute(&format!("SET lock_timeout = '{ms}ms'")).await?;
        let mut pause = Duration::from_secs(1);
        while client.batch_execute("ALTER TABLE t ADD COLUMN more integer").await.is_err() {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    join(lab, Some(reader))?;
    let seen = readers.taken();
    readers.end();
    Ok(seen)
}

type Reading = tokio::task::JoinHandle<std::result::Result<(), tokio_postgres::Error>>;

/// Reads the table in one long transaction from now on.
fn reader(lab: &Lab, database: &str) -> Result<Reading> {
    let client = lab.client(database)?;
    lab.runtime.block_on(client.batch_execute("BEGIN; SELECT count(*) FROM t"))?;
    let sleep = format!("SELECT pg_sleep({}); COMMIT", LONG.as_secs());
    Ok(lab.runtime.spawn(async move { client.batch_execute(&sleep).await }))
}

fn join(lab: &Lab, reader: Option<Reading>) -> Result<()> {
    if let Some(reader) = reader {
        lab.runtime.block_on(reader)??;
    }
    // Requests that waited are answered now.
    pass(Duration::from_millis(300));
    Ok(())
}

struct Readers {
    seen: Arc<Mutex<Vec<f64>>>,
    ended: Arc<AtomicBool>,
}

impl Readers {
    fn start(lab: &Lab, database: &str) -> Result<Self> {
        let this = Self { seen: Arc::default(), ended: Arc::default() };
        for _ in 0..READERS {
            let client = lab.client(database)?;
            let (seen, ended) = (Arc::clone(&this.seen), Arc::clone(&this.ended));
            lab.runtime.spawn(async move { read(&client, &seen, &ended).await });
        }
        Ok(this)
    }

    /// Figures since the last time.
    fn taken(&self) -> Value {
        let mut ms = std::mem::take(&mut *held(&self.seen));
        ms.sort_by(f64::total_cmp);
        let stalled: f64 = ms.iter().filter(|ms| **ms > STALL_MS).sum();
        json!({"requests": ms.len(), "p50Ms": quantile(&ms, 0.5), "p99Ms": quantile(&ms, 0.99),
            "maxMs": quantile(&ms, 1.0), "stalledMs": stalled})
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

async fn read(client: &Client, seen: &Mutex<Vec<f64>>, ended: &AtomicBool) {
    let mut due = tokio::time::interval(EVERY);
    let mut id = 0_u64;
    while !ended.load(Ordering::Relaxed) {
        due.tick().await;
        id = (id * 7 + 1) % ROWS;
        let sql = format!("SELECT note FROM t WHERE id = {id}");
        let began = Instant::now();
        if client.batch_execute(&sql).await.is_err() {
            return;
        }
        held(seen).push(began.elapsed().as_secs_f64() * 1_000.0);
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
