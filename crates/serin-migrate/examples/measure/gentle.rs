//! What clients notice of a backfill that gives way to them: windows in which it works and windows
//! in which it is held, in turn, so that a machine that is slow for a while is slow in both.

use crate::clients::{Clients, Seen, now, pass};
use crate::service::Service;
use crate::{Result, known, lab::Lab};
use serde_json::{Value, json};
use serin_migrate::{Database, Runner, World};
use std::sync::Arc;
use std::time::Duration;

/// Clients before the migration.
const BEFORE: Duration = Duration::from_secs(20);

/// Until it works as much as the service lets it.
const SETTLING: Duration = Duration::from_secs(40);

/// One window, and what passes before it counts.
const WINDOW: Duration = Duration::from_secs(10);
const BETWEEN: Duration = Duration::from_millis(500);

/// Whether it works, window after window; neither kind is always first.
const ORDER: [bool; 4] = [true, false, false, true];

/// So often.
const ROUNDS: usize = 6;

/// A stretch of time, s since 1970.
type Window = (f64, f64);

pub fn run(rows: u64) -> Result<Value> {
    let lab = Lab::start()?;
    let database = lab.table(rows)?;
    let clients = Clients::start(&lab.cluster, &database, rows)?;
    let service = Service::start(&lab, &database, rows)?;
    pass(BETWEEN);
    let before = window(BEFORE);
    service.remember();
    let target = Database::new(&lab.cluster.url(&database), crate::lab::public()?)?;
    let runner = Runner::new(target, Arc::clone(&service) as Arc<dyn World>, "measure");
    let plan = lab.plan(&database, &json!({}))?;
    let work = lab.runtime.spawn(async move { runner.start(&plan).await.map(drop) });
    pass(SETTLING);
    let (working, held, filled) = in_turn(&lab, &database)?;
    let is_over = work.is_finished();
    work.abort();
    let seen = clients.end()?;
    service.end();
    if is_over {
        return Err("it was done before its clients had been watched: take more rows".into());
    }
    Ok(figures(&seen, before, &working, &held, filled))
}

/// Windows in which it works, windows in which it is held, and rows filled in a second of the first.
fn in_turn(lab: &Lab, database: &str) -> Result<(Vec<Window>, Vec<Window>, f64)> {
    let (mut working, mut held) = (Vec::new(), Vec::new());
    let (mut rows, mut seconds) = (0, 0.0);
    for works in ORDER.repeat(ROUNDS) {
        let sql = format!("UPDATE serin.migration SET paused = {}", !works);
        lab.cluster.sql(database, &sql)?;
        pass(BETWEEN);
        let from = filled(lab, database)?;
        let at = window(WINDOW);
        if works {
            rows += filled(lab, database)? - from;
            seconds += at.1 - at.0;
            working.push(at);
        } else {
            held.push(at);
        }
    }
    Ok((working, held, rows as f64 / seconds))
}

fn filled(lab: &Lab, database: &str) -> Result<i64> {
    let rows = lab.cluster.sql(database, "SELECT sum(rows_done) FROM serin.progress")?;
    Ok(rows.trim().parse()?)
}

fn window(length: Duration) -> Window {
    let from = now();
    pass(length);
    (from, now())
}

fn figures(seen: &Seen, before: Window, working: &[Window], held: &[Window], rate: f64) -> Value {
    let before = seen.within(&[before]);
    let (during, beside) = (seen.within(working), seen.within(held));
    let each = |windows: &[Window]| {
        windows.iter().map(|at| seen.within(&[*at])["p99Ms"].clone()).collect::<Vec<_>>()
    };
    let p99 = |figure: &Value| figure["p99Ms"].as_f64().unwrap_or(0.0);
    let times = p99(&during) / p99(&beside);
    known(&format!(
        "clients' p99 {:.2} ms before it, {:.2} ms while it is held, {:.2} ms while it works: \
         {times:.2} times; {rate:.0} rows/s",
        p99(&before),
        p99(&beside),
        p99(&during),
    ));
    json!({"before": before, "held": beside, "working": during, "times": times,
        "rowsPerSecond": rate, "p99MsOfWindows": {"held": each(held), "working": each(working)}})
}
