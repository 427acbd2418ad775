//! The state on disk may be a few facts behind the log: a fact that decided nothing is stored
//! alone, and absorbed again when the state is read. So the state, tens of kilobytes while a judge
//! is at work, is not written with every second's counts.
//!
//! Every order to the platform and every line for people is stored with the whole state: what was
//! handed out is never derived anew. A later Serin may find a decision where an earlier one found
//! none; then facts from there on are dropped, and the platform says them again.

use crate::pack::{self, Document};
use crate::{Error, Store, commit, ticks};
use rusqlite::{Connection, params};
use serin_core::{Event, Service, Shared, Timestamp, step};

/// Most facts the state may be behind.
const MOST: u32 = 32;

/// How far the log of one service is ahead of what is written of its state.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tail {
    events: u32,
    bytes: usize,
    /// Bytes the state took when it was last written; 0 when it was not.
    state: usize,
    /// Events since a snapshot was kept.
    pub(crate) since: u64,
}

impl Tail {
    /// Of a service this process has not written yet.
    pub(crate) fn load(connection: &Connection, name: &str) -> Result<Self, Error> {
        let sql = "SELECT count(*) FROM event WHERE service = ?1 AND seq > max(
            coalesce((SELECT max(seq) FROM snapshot WHERE service = ?1), 0),
            coalesce((SELECT seq FROM cut WHERE service = ?1), 0))";
        let mut query = connection.prepare_cached(sql)?;
        let since: i64 = query.query_row([name], |row| row.get(0))?;
        Ok(Self { since: since as u64, ..Self::default() })
    }

    /// With one event more.
    pub(crate) fn and(self, bytes: usize) -> Self {
        Self { events: self.events + 1, bytes: self.bytes + bytes, since: self.since + 1, ..self }
    }

    /// After the state was written.
    pub(crate) fn after(state: &Document, since: u64) -> Self {
        Self { events: 0, bytes: 0, state: state.len(), since }
    }

    /// Whether writing the state would cost more than what was saved.
    pub(crate) fn is_short(self) -> bool {
        self.events <= MOST && self.bytes < self.state
    }
}

/// A service as the log has it.
pub(crate) struct Current {
    pub(crate) service: Shared<Service>,
    /// The last event that is in it; `None` when it is as it was written.
    through: Option<i64>,
    /// Whether an event after it would decide something here that it did not decide then.
    diverged: bool,
}

/// A row of the table of services.
type Row = (String, String, Option<Vec<u8>>, Option<i64>);

/// All services, with the facts absorbed that came after they were written.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Current>, Error> {
    find(connection, "SELECT name, state, packed, seq FROM service ORDER BY name")
}

/// Of these, those that are behind their log.
fn behind(connection: &Connection) -> Result<Vec<Current>, Error> {
    find(
        connection,
        "SELECT name, state, packed, seq FROM service AS s WHERE EXISTS
         (SELECT 1 FROM event AS e WHERE e.service = s.name AND e.seq > s.seq) ORDER BY name",
    )
}

fn find(connection: &Connection, sql: &str) -> Result<Vec<Current>, Error> {
    let mut query = connection.prepare_cached(sql)?;
    let columns =
        query.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    columns.map(|row| current(connection, row?)).collect()
}

fn current(connection: &Connection, row: Row) -> Result<Current, Error> {
    let (name, text, packed, seq) = row;
    let service: Shared<Service> = pack::read(&text, packed.as_deref())?;
    let mut now = Current { service, through: None, diverged: false };
    // What an older Serin wrote is never behind.
    let Some(seq) = seq else { return Ok(now) };
    let sql =
        "SELECT seq, at, body, packed FROM event WHERE service = ?1 AND seq > ?2 ORDER BY seq";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query(params![name, seq])?;
    while let Some(row) = rows.next()? {
        let event: Event = pack::read_at(row, 2)?;
        if !now.absorb(row.get(0)?, &event, Timestamp(row.get(1)?)) {
            return Ok(now);
        }
    }
    Ok(now)
}

impl Current {
    fn absorb(&mut self, seq: i64, event: &Event, at: Timestamp) -> bool {
        let turn = step(&self.service, event, at);
        let decides = turn.apply.is_some() || turn.refused.is_some();
        self.diverged = decides || !turn.journal.is_empty() || !turn.records.is_empty();
        if !self.diverged {
            (self.service, self.through) = (turn.next, Some(seq));
        }
        !self.diverged
    }
}

impl Store {
    /// Writes every state that is behind its log, and drops facts that this engine would have
    /// decided on.
    pub(crate) fn catch_up(tx: &Connection) -> Result<(), Error> {
        for now in behind(tx)? {
            let name = now.service.name.as_str();
            if let Some(seq) = now.through {
                commit::write_state(tx, name, seq, &Document::of(&now.service, "")?)?;
            }
            if now.diverged {
                drop_rest(tx, &now.service)?;
            }
        }
        Ok(())
    }
}

fn drop_rest(tx: &Connection, service: &Service) -> Result<(), Error> {
    let name = service.name.as_str();
    let sql = "DELETE FROM event WHERE service = ?1
               AND seq > (SELECT seq FROM service WHERE name = ?1)";
    tx.execute(sql, [name])?;
    let Some(rollout) = &service.rollout else { return Ok(()) };
    ticks::drop_after(tx, name, rollout.id, rollout.counted.ticks)
}
