//! Reading back.

use crate::{Error, Store, pack, tail};
use rusqlite::{OptionalExtension, Params, Row, params};
use serde::de::DeserializeOwned;
use serin_core::{Entry, Event, Plan, RolloutRecord, Service, ServiceName, Shared, Timestamp};

/// One event of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    /// Its place.
    pub seq: u64,
    /// When it was absorbed.
    pub at: Timestamp,
    /// The fact.
    pub event: Event,
}

/// What leads to the present state of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The state at the cut of the log; `None` when it was never cut, or there was no service then.
    pub state: Option<Service>,
    /// Every event since, oldest first.
    pub events: Vec<LoggedEvent>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalRow {
    /// Its place among all services' lines.
    pub seq: u64,
    /// Whose.
    pub service: ServiceName,
    /// What.
    pub entry: Entry,
}

/// A line of the counter of rollbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The service.
    pub service: String,
    /// The candidate's version.
    pub version: String,
    /// The cause's code.
    pub reason: String,
    /// How often.
    pub count: u64,
}

impl Store {
    /// All services as the log has them.
    pub fn services(&self) -> Result<Vec<Shared<Service>>, Error> {
        Ok(tail::all(&self.connection)?.into_iter().map(|now| now.service).collect())
    }

    /// Plans that were not acknowledged yet.
    pub fn outbox(&self) -> Result<Vec<Plan>, Error> {
        let mut query = self.connection.prepare("SELECT plan FROM outbox ORDER BY service")?;
        let rows = query.query_map((), |row| row.get::<_, String>(0))?;
        rows.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
    }

    /// What is kept of the log of one service, oldest first: before its cut only what people asked.
    pub fn events(&self, service: &ServiceName) -> Result<Vec<LoggedEvent>, Error> {
        let sql = "SELECT seq, at, body, packed FROM audit WHERE service = ?1 AND seq > ?2
                   UNION ALL SELECT seq, at, body, packed FROM event
                   WHERE service = ?1 AND seq > ?2 ORDER BY seq";
        self.logged(sql, service, 0)
    }

    /// Where the log of a service can be replayed from, and everything since.
    pub fn replay(&self, service: &ServiceName) -> Result<Replay, Error> {
        let mut query = self
            .connection
            .prepare_cached("SELECT seq, body, packed FROM cut WHERE service = ?1")?;
        let row = query.query_row([service.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
        });
        let (seq, state) = match row.optional()? {
            None => (0, None),
            Some((seq, text, None)) if text.is_empty() => (seq, None),
            Some((seq, text, packed)) => (seq, Some(pack::read(&text, packed.as_deref())?)),
        };
        let sql = "SELECT seq, at, body, packed FROM event WHERE service = ?1 AND seq > ?2
                   ORDER BY seq";
        Ok(Replay { state, events: self.logged(sql, service, seq)? })
    }

    fn logged(
        &self,
        sql: &str,
        service: &ServiceName,
        seq: i64,
    ) -> Result<Vec<LoggedEvent>, Error> {
        let mut query = self.connection.prepare_cached(sql)?;
        let mut rows = query.query(params![service.as_str(), seq])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (seq, at) = (row.get::<_, i64>(0)? as u64, Timestamp(row.get(1)?));
            found.push(LoggedEvent { seq, at, event: pack::read_at(row, 2)? });
        }
        Ok(found)
    }

    /// Journal lines after `after`, oldest first, at most `limit`; of one service if given.
    pub fn journal(
        &self,
        service: Option<&ServiceName>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT seq, service, entry FROM journal
             WHERE seq > ?1 AND (?2 IS NULL OR service = ?2) ORDER BY seq LIMIT ?3",
        )?;
        let name = service.map(ServiceName::as_str);
        let rows = query.query_map(params![after as i64, name, limit], journal_columns)?;
        rows.map(journal_row).collect()
    }

    /// Journal lines of one rollout, oldest first, at most the last `limit`.
    pub fn journal_of(
        &self,
        service: &ServiceName,
        rollout: u64,
        limit: u32,
    ) -> Result<Vec<JournalRow>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT seq, service, entry FROM journal
             WHERE service = ?1 AND rollout = ?2 ORDER BY seq DESC LIMIT ?3",
        )?;
        let wanted = params![service.as_str(), rollout as i64, limit];
        let rows = query.query_map(wanted, journal_columns)?;
        let mut lines = rows.map(journal_row).collect::<Result<Vec<_>, _>>()?;
        lines.reverse();
        Ok(lines)
    }

    /// The last journal number given out.
    pub fn journal_end(&self) -> Result<u64, Error> {
        let sql = "SELECT coalesce(max(seq), 0) FROM journal";
        Ok(self.connection.query_row(sql, (), |row| row.get::<_, i64>(0))? as u64)
    }

    /// Ended rollouts of a service, newest first, at most `limit`.
    pub fn records(&self, service: &ServiceName, limit: u32) -> Result<Vec<RolloutRecord>, Error> {
        let sql = "SELECT record, packed FROM rollout WHERE service = ?1 ORDER BY id DESC LIMIT ?2";
        self.documents(sql, params![service.as_str(), limit])
    }

    /// The highest number of an ended rollout of any service that ever had this name.
    pub fn last_rollout(&self, service: &ServiceName) -> Result<u64, Error> {
        let sql = "SELECT coalesce(max(id), 0) FROM rollout WHERE service = ?1";
        let id = self.connection.query_row(sql, [service.as_str()], |row| row.get::<_, i64>(0))?;
        Ok(id as u64)
    }

    /// One ended rollout.
    pub fn record(&self, service: &ServiceName, id: u64) -> Result<Option<RolloutRecord>, Error> {
        let sql = "SELECT record, packed FROM rollout WHERE service = ?1 AND id = ?2";
        Ok(self.documents(sql, params![service.as_str(), id as i64])?.pop())
    }

    /// How many rollouts were rolled back.
    pub fn rolled_back(&self) -> Result<Vec<RolledBack>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT service, version, coalesce(cause, ''), count(*) FROM rollout
             WHERE outcome = 'rolled-back' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        )?;
        let rows = query.query_map((), |row| {
            Ok(RolledBack {
                service: row.get(0)?,
                version: row.get(1)?,
                reason: row.get(2)?,
                count: row.get::<_, i64>(3)? as u64,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn documents<T: DeserializeOwned>(
        &self,
        sql: &str,
        wanted: impl Params,
    ) -> Result<Vec<T>, Error> {
        let mut query = self.connection.prepare_cached(sql)?;
        let mut rows = query.query(wanted)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(pack::read_at(row, 0)?);
        }
        Ok(found)
    }
}

type JournalColumns = (i64, String, String);

fn journal_columns(row: &Row) -> rusqlite::Result<JournalColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn journal_row(columns: rusqlite::Result<JournalColumns>) -> Result<JournalRow, Error> {
    let (seq, service, entry) = columns?;
    let service = serde_json::from_value(service.into())?;
    Ok(JournalRow { seq: seq as u64, service, entry: serde_json::from_str(&entry)? })
}
