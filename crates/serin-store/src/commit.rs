//! Writing: one event with everything that follows from it.

use crate::{Error, Store};
use rusqlite::{Transaction, params};
use serin_core::{Entry, Event, Plan, RecordedTick, RolloutRecord, Service, Timestamp};

/// Events kept for each service; older ones are dropped as new ones come.
const EVENTS_KEPT: i64 = 20_000;

/// Newest rollouts of each service whose ticks are kept.
const ROLLOUTS_WITH_TICKS: i64 = 20;

/// One event and what it led to.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// When it was absorbed.
    pub at: Timestamp,
    /// The fact.
    pub event: &'a Event,
    /// The service afterwards.
    pub service: &'a Service,
    /// The plan that is owed now, if it changed.
    pub apply: Option<&'a Plan>,
    /// What happened, for people.
    pub journal: &'a [Entry],
    /// Rollouts that ended.
    pub records: &'a [RolloutRecord],
    /// What the judge was given, in order.
    pub ticks: &'a [RecordedTick],
}

impl Store {
    /// Writes `commits`, oldest first, in one transaction. Returns the number of the last journal
    /// entry, if there is one. A plan leaves the outbox with the event that says it was applied;
    /// a service that is gone leaves with the event that says so, its history stays.
    ///
    /// # Errors
    /// [`Error::Full`] when there is no room, [`Error::Superseded`] when a newer controller has
    /// taken over; then nothing was written.
    pub fn commit(&mut self, commits: &[Commit]) -> Result<Option<u64>, Error> {
        let tx = self.connection.transaction()?;
        let newest = crate::read_epoch(&tx)?;
        if newest != self.epoch {
            return Err(Error::Superseded { newest, own: self.epoch });
        }
        let mut last = None;
        for commit in commits {
            let name = commit.service.name.as_str();
            write_event(&tx, name, commit)?;
            last = write_journal(&tx, name, commit)?.or(last);
            write_records(&tx, name, commit)?;
            write_ticks(&tx, name, commit)?;
            if commit.service.is_gone() {
                forget(&tx, name)?;
            } else {
                write_state(&tx, name, commit)?;
            }
        }
        tx.commit()?;
        Ok(last)
    }
}

fn forget(tx: &Transaction, name: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM service WHERE name = ?1", [name])?;
    tx.execute("DELETE FROM outbox WHERE service = ?1", [name])?;
    Ok(())
}

fn write_event(tx: &Transaction, name: &str, commit: &Commit) -> Result<(), Error> {
    let body = serde_json::to_string(commit.event)?;
    let sql = "INSERT INTO event (service, at, body) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute(params![name, commit.at.0, body])?;
    let seq = tx.last_insert_rowid();
    if seq % 1000 == 0 {
        tx.execute(
            "DELETE FROM event WHERE service = ?1 AND seq <= (SELECT seq FROM event
             WHERE service = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            params![name, EVENTS_KEPT],
        )?;
    }
    Ok(())
}

fn write_state(tx: &Transaction, name: &str, commit: &Commit) -> Result<(), Error> {
    let state = serde_json::to_string(commit.service)?;
    tx.prepare_cached("INSERT OR REPLACE INTO service (name, state) VALUES (?1, ?2)")?
        .execute(params![name, state])?;
    if commit.service.is_applied() {
        tx.prepare_cached("DELETE FROM outbox WHERE service = ?1")?.execute([name])?;
    } else if let Some(plan) = commit.apply {
        let (generation, plan) = (plan.generation.to_string(), serde_json::to_string(plan)?);
        tx.prepare_cached(
            "INSERT OR REPLACE INTO outbox (service, generation, plan) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![name, generation, plan])?;
    }
    Ok(())
}

fn write_journal(tx: &Transaction, name: &str, commit: &Commit) -> Result<Option<u64>, Error> {
    let sql = "INSERT INTO journal (service, rollout, at, entry) VALUES (?1, ?2, ?3, ?4)";
    for entry in commit.journal {
        let rollout = entry.rollout.map(|id| id as i64);
        let body = serde_json::to_string(entry)?;
        tx.prepare_cached(sql)?.execute(params![name, rollout, entry.at.0, body])?;
    }
    Ok((!commit.journal.is_empty()).then(|| tx.last_insert_rowid() as u64))
}

fn write_records(tx: &Transaction, name: &str, commit: &Commit) -> Result<(), Error> {
    for record in commit.records {
        let cause = record.cause.as_ref().map(|c| c.code.as_str());
        tx.execute(
            "INSERT OR IGNORE INTO rollout VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                name,
                record.id as i64,
                record.ended_at.0,
                record.outcome.as_str(),
                record.to.version.as_str(),
                cause,
                serde_json::to_string(record)?
            ],
        )?;
    }
    Ok(())
}

/// Ticks go with the oldest records of their service.
fn write_ticks(tx: &Transaction, name: &str, commit: &Commit) -> Result<(), Error> {
    let sql = "INSERT INTO tick (service, rollout, seq, body) VALUES (?1, ?2,
               (SELECT coalesce(max(seq), 0) + 1 FROM tick WHERE service = ?1 AND rollout = ?2), ?3)";
    for tick in commit.ticks {
        let body = serde_json::to_string(tick)?;
        tx.prepare_cached(sql)?.execute(params![name, tick.rollout as i64, body])?;
    }
    if let Some(newest) = commit.records.iter().map(|record| record.id as i64).max() {
        let oldest = newest - ROLLOUTS_WITH_TICKS;
        let sql = "DELETE FROM tick WHERE service = ?1 AND rollout <= ?2";
        tx.prepare_cached(sql)?.execute(params![name, oldest])?;
    }
    Ok(())
}
