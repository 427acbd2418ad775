//! A long history on a real file, and what it takes.

use crate::process::{quantile, written};
use crate::world::{Chance, Traffic, deploy, done, spec};
use serde_json::{Value, json};
use serin_core::{Event, Service, ServiceName, ServiceSpec, Timestamp};
use serin_server::executor::Executor;
use serin_store::Store;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Services that roll at the same time; the rest waits for its turn.
const AT_ONCE: usize = 250;

struct History {
    executor: Executor,
    specs: Vec<ServiceSpec>,
    traffic: BTreeMap<ServiceName, Traffic>,
    chance: Chance,
    now: Timestamp,
    seq: u64,
    ticks: u64,
    /// Milliseconds of each step of compaction.
    steps: Vec<f64>,
}

/// Rolls `rollouts` versions out, the same number on each service; says what is on disk then.
pub fn run(services: usize, rollouts: usize, folder: &Path) -> Result<Value> {
    let path = folder.join("history.db");
    let (executor, _) = Executor::open(Store::open(&path)?, None, Timestamp(0)).map_err(|e| e.1)?;
    let specs = (0..services).map(spec).collect::<Result<_>>()?;
    let (traffic, chance, now) = (BTreeMap::new(), Chance(7), Timestamp(1_700_000_000_000));
    let mut history =
        History { executor, specs, traffic, chance, now, seq: 0, ticks: 0, steps: vec![] };
    let began = Instant::now();
    for version in 1..=rollouts / services {
        for first in (0..services).step_by(AT_ONCE) {
            history.roll(first..services.min(first + AT_ONCE), version)?;
        }
    }
    let mut said = history.end(&path)?;
    said["services"] = json!(services);
    said["rollouts"] = json!(rollouts / services * services);
    said["seconds"] = json!(began.elapsed().as_secs_f64());
    Ok(said)
}

impl History {
    /// One rollout of each of these services.
    fn roll(&mut self, which: std::ops::Range<usize>, version: usize) -> Result<()> {
        let specs: Vec<_> = self.specs[which].to_vec();
        for spec in &specs {
            self.executor.submit(&spec.name, &deploy(spec, version)?, self.now)?;
        }
        for _ in 0..3600 {
            for _ in 0..4 {
                self.settle(&specs);
            }
            if specs.iter().all(|spec| self.service(spec).is_some_and(|s| s.rollout.is_none())) {
                return Ok(());
            }
            self.second(&specs);
        }
        Err(format!("version {version} did not end").into())
    }

    fn service(&self, spec: &ServiceSpec) -> Option<&Service> {
        self.executor.service(&spec.name)
    }

    fn settle(&mut self, specs: &[ServiceSpec]) {
        self.seq += 1;
        let unsettled = specs.iter().filter_map(|spec| {
            let service = self.service(spec).filter(|s| s.rollout.is_some() || !s.is_applied())?;
            let seen = done(service.plan.as_deref()?, self.seq);
            Some((spec.name.clone(), Event::Observed(seen)))
        });
        let facts: Vec<_> = unsettled.collect();
        self.executor.submit_all(&facts, self.now);
    }

    /// A second of traffic, and some making smaller as the control loop does it.
    fn second(&mut self, specs: &[ServiceSpec]) {
        self.now = Timestamp(self.now.0 + 1000);
        let mut facts = vec![];
        for spec in specs {
            let Some(service) = self.executor.service(&spec.name) else { continue };
            let (Some(rollout), Some(plan)) = (&service.rollout, &service.plan) else { continue };
            let traffic = self.traffic.entry(spec.name.clone());
            let traffic = traffic.or_insert_with(|| Traffic::new(plan));
            if traffic.counts.generation != plan.generation {
                *traffic = Traffic::new(plan);
            }
            traffic.second(&mut self.chance);
            let counts = &mut traffic.counts;
            counts.key.epoch = 1;
            counts.key.seq = self.now.0 as u64 / 1000;
            counts.closed_through = self.now.0 / 1000;
            let news = rollout.news(vec![counts.clone()]);
            if service.wants_counts() && !news.is_empty() {
                self.ticks += 1;
                facts.push((spec.name.clone(), Event::Counted(news)));
            }
        }
        self.executor.submit_all(&facts, self.now);
        self.compact(Some(facts.len() + 1));
    }

    /// So many steps, or all there are.
    fn compact(&mut self, most: Option<usize>) {
        let (now, mut left, mut began) = (self.now, most.unwrap_or(usize::MAX), None::<Instant>);
        let steps = &mut self.steps;
        self.executor.compact(now, || {
            let last = began.replace(Instant::now());
            steps.extend(last.map(|last| last.elapsed().as_secs_f64() * 1000.0));
            left -= 1;
            left > 0
        });
    }

    /// The last of the work, and the figures.
    fn end(mut self, path: &Path) -> Result<Value> {
        let during = written();
        self.compact(None);
        drop(self.executor);
        let raw = rusqlite::Connection::open(path)?;
        let tables = tables(&raw)?;
        drop(raw);
        let began = Instant::now();
        Executor::open(Store::open(path)?, None, self.now).map_err(|e| e.1)?;
        let start = began.elapsed().as_secs_f64() * 1000.0;
        self.steps.sort_by(f64::total_cmp);
        Ok(json!({
            "bytes": fs::metadata(path)?.len(), "tables": tables, "ticks": self.ticks,
            "written": during, "startMs": start, "steps": self.steps.len(),
            "stepP99Ms": quantile(&self.steps, 0.99), "stepMaxMs": quantile(&self.steps, 1.0),
        }))
    }
}

/// Rows and bytes of each table, its indexes with it.
fn tables(raw: &rusqlite::Connection) -> Result<Value> {
    let sql =
        "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_schema m ON m.name = s.name
               GROUP BY 1 ORDER BY 2 DESC";
    let mut query = raw.prepare(sql)?;
    let rows = query.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let mut tables = vec![];
    for row in rows {
        let (name, bytes) = row?;
        let rows: i64 = raw.query_row(&format!("SELECT count(*) FROM {name}"), (), |r| r.get(0))?;
        tables.push(json!({ "table": name, "bytes": bytes, "rows": rows }));
    }
    Ok(json!(tables))
}
