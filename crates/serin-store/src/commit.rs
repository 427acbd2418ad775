//! Writing: one event with everything that follows from it.

use crate::pack::Document;
use crate::tail::Tail;
use crate::{Error, Store, notices, ticks};
use rusqlite::{Connection, params};
use serin_core::{
    Entry, Event, Notice, Plan, RecordedTick, RolloutRecord, Service, ServiceName, Shared,
    Timestamp,
};
use std::collections::BTreeMap;

/// Events of a service after which its state is kept beside them, so that the log may be cut there.
const SNAPSHOT_EVERY: u64 = 2_000;

/// One event and what it led to.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// When it was absorbed.
    pub at: Timestamp,
    /// The fact.
    pub event: &'a Event,
    /// The service afterwards.
    pub service: &'a Shared<Service>,
    /// The plan that is owed now, if it changed.
    pub apply: Option<&'a Plan>,
    /// What happened, for people.
    pub journal: &'a [Entry],
    /// Rollouts that ended.
    pub records: &'a [RolloutRecord],
    /// What the judge was given, in order.
    pub ticks: &'a [RecordedTick],
    /// What people are to be told.
    pub notices: &'a [Notice],
}

impl Commit<'_> {
    /// Whether it decided nothing: a fact was absorbed, nothing was ordered and nothing told. Such
    /// an event can be absorbed again after a restart and leads to the same state.
    fn is_silent(&self) -> bool {
        let is_fact = matches!(self.event, Event::Observed(_) | Event::Counted(_) | Event::Woke);
        let says_nothing =
            self.journal.is_empty() && self.records.is_empty() && self.notices.is_empty();
        is_fact && says_nothing && self.apply.is_none() && !self.service.is_gone()
    }
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
        let mut tails: BTreeMap<ServiceName, Tail> = BTreeMap::new();
        for commit in commits {
            let name = &commit.service.name;
            let known = tails.get(name).or_else(|| self.tails.get(name));
            let tail = known.map_or_else(|| Tail::load(&tx, name.as_str()), |tail| Ok(*tail))?;
            let (journaled, tail) = write(&tx, commit, tail)?;
            last = journaled.or(last);
            tails.insert(name.clone(), tail);
        }
        tx.commit()?;
        self.tails.extend(tails);
        self.note_work(commits);
        Ok(last)
    }

    /// Remembers whose history has something to be made smaller.
    fn note_work(&mut self, commits: &[Commit]) {
        for commit in commits {
            let full_block = commit.service.rollout.as_ref().is_some_and(|rollout| {
                let ticks = rollout.counted.ticks;
                !commit.ticks.is_empty() && ticks.is_multiple_of(ticks::BLOCK)
            });
            let cut = self.tails.get(&commit.service.name).is_some_and(|tail| tail.since == 0);
            if full_block || cut || !commit.records.is_empty() || commit.service.is_gone() {
                self.work.insert(commit.service.name.as_str());
            }
            if commit.service.is_gone() {
                self.tails.remove(&commit.service.name);
            }
        }
    }
}

/// Writes one commit; the journal's last number, and how far the log is ahead of the state.
fn write(tx: &Connection, commit: &Commit, tail: Tail) -> Result<(Option<u64>, Tail), Error> {
    let name = commit.service.name.as_str();
    let (seq, bytes) = write_event(tx, name, commit)?;
    let last = write_journal(tx, name, commit)?;
    write_records(tx, name, commit)?;
    notices::write(tx, name, commit.notices)?;
    ticks::write(tx, name, commit.ticks)?;
    if commit.service.is_gone() {
        forget(tx, name)?;
        return Ok((last, Tail::default()));
    }
    write_outbox(tx, name, commit)?;
    let longer = tail.and(bytes);
    if commit.is_silent() && longer.is_short() {
        return Ok((last, longer));
    }
    let state = Document::of(commit.service, "")?;
    write_state(tx, name, seq, &state)?;
    let ends = commit.records.last().map(|record| record.id);
    if ends.is_none() && longer.since < SNAPSHOT_EVERY {
        return Ok((last, Tail::after(&state, longer.since)));
    }
    write_snapshot(tx, name, seq, ends, &state)?;
    Ok((last, Tail::after(&state, 0)))
}

fn forget(tx: &Connection, name: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM service WHERE name = ?1", [name])?;
    tx.execute("DELETE FROM outbox WHERE service = ?1", [name])?;
    Ok(())
}

/// Its number and the bytes it takes.
fn write_event(tx: &Connection, name: &str, commit: &Commit) -> Result<(i64, usize), Error> {
    let body = Document::of(commit.event, kind(commit.event))?;
    let sql = "INSERT INTO event (service, at, body, packed) VALUES (?1, ?2, ?3, ?4)";
    let row = params![name, commit.at.0, body.text, body.packed];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok((tx.last_insert_rowid(), body.len()))
}

/// The word in the place of a packed event.
fn kind(event: &Event) -> &'static str {
    if matches!(event, Event::Asked { .. }) { "asked" } else { "fact" }
}

/// Writes the whole state of a service as it is after event `seq`.
pub(crate) fn write_state(
    tx: &Connection,
    name: &str,
    seq: i64,
    state: &Document,
) -> Result<(), Error> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO service (name, state, packed, seq) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![name, state.text, state.packed, seq])?;
    Ok(())
}

/// Keeps the state after event `seq` beside the log.
fn write_snapshot(
    tx: &Connection,
    name: &str,
    seq: i64,
    ends: Option<u64>,
    state: &Document,
) -> Result<(), Error> {
    tx.prepare_cached(
        "INSERT INTO snapshot (seq, service, ends, body, packed) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![seq, name, ends.map(|id| id as i64), state.text, state.packed])?;
    Ok(())
}

fn write_outbox(tx: &Connection, name: &str, commit: &Commit) -> Result<(), Error> {
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

fn write_journal(tx: &Connection, name: &str, commit: &Commit) -> Result<Option<u64>, Error> {
    let sql = "INSERT INTO journal (service, rollout, at, entry) VALUES (?1, ?2, ?3, ?4)";
    for entry in commit.journal {
        let rollout = entry.rollout.map(|id| id as i64);
        let body = serde_json::to_string(entry)?;
        tx.prepare_cached(sql)?.execute(params![name, rollout, entry.at.0, body])?;
    }
    Ok((!commit.journal.is_empty()).then(|| tx.last_insert_rowid() as u64))
}

fn write_records(tx: &Connection, name: &str, commit: &Commit) -> Result<(), Error> {
    for record in commit.records {
        let cause = record.cause.as_ref().map(|c| c.code.as_str());
        let body = Document::of(record, "")?;
        tx.prepare_cached(
            "INSERT OR IGNORE INTO rollout
             (service, id, ended_at, outcome, version, cause, record, packed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            name,
            record.id as i64,
            record.ended_at.0,
            record.outcome.as_str(),
            record.to.version.as_str(),
            cause,
            body.text,
            body.packed
        ])?;
    }
    Ok(())
}
