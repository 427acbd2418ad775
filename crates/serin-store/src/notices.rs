//! Notices that people are still to be told: a row for each and each who is told. They are written
//! with the decision they are about and go when they have arrived, or were given up.

use crate::{Error, Store};
use rusqlite::{Connection, Row, params};
use serin_core::{Notice, ServiceName};

/// A notice that one of its targets has not got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedNotice {
    /// Whose service.
    pub service: ServiceName,
    /// Who is to be told.
    pub target: String,
    /// What.
    pub notice: Notice,
    /// Why it was given up, if it was.
    pub gave_up: Option<String>,
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeEnd {
    /// Its key.
    pub key: String,
    /// Who was told.
    pub target: String,
    /// Why it was given up; `None` when it arrived.
    pub gave_up: Option<String>,
}

impl Store {
    /// Every notice that is owed or was given up, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn notices(&self) -> Result<Vec<OwedNotice>, Error> {
        let sql = "SELECT service, target, body, gave_up FROM notice ORDER BY at, key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map((), read)?.collect::<Result<Vec<_>, _>>()?;
        let owed = rows.into_iter().filter_map(|(service, target, body, gave_up)| {
            // What another version of Serin wrote and this one cannot read is nobody's page.
            let notice = serde_json::from_str(&body).ok()?;
            Some(OwedNotice { service: service.parse().ok()?, target, notice, gave_up })
        });
        Ok(owed.collect())
    }

    /// Forgets notices that arrived, and what was given up before for whoever got one; keeps why
    /// the others were given up.
    ///
    /// # Errors
    /// When it cannot be written; then nothing was.
    pub fn end_notices(&mut self, ends: &[NoticeEnd]) -> Result<(), Error> {
        let tx = self.connection.transaction()?;
        for NoticeEnd { key, target, gave_up } in ends {
            match gave_up {
                Some(why) => tx
                    .prepare_cached(
                        "UPDATE notice SET gave_up = ?3 WHERE key = ?1 AND target = ?2",
                    )?
                    .execute(params![key, target, why])?,
                None => arrived(&tx, key, target)?,
            };
        }
        tx.commit()?;
        Ok(())
    }

    /// Forgets all that is owed to a target that is not told any more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn drop_notices(&mut self, service: &ServiceName, target: &str) -> Result<(), Error> {
        let sql = "DELETE FROM notice WHERE service = ?1 AND target = ?2";
        self.connection.prepare_cached(sql)?.execute(params![service.as_str(), target])?;
        Ok(())
    }
}

fn arrived(tx: &Connection, key: &str, target: &str) -> Result<usize, Error> {
    let sql = "DELETE FROM notice WHERE target = ?2 AND (key = ?1 OR gave_up IS NOT NULL
               AND service = (SELECT service FROM notice WHERE key = ?1 AND target = ?2))";
    Ok(tx.prepare_cached(sql)?.execute(params![key, target])?)
}

type Columns = (String, String, String, Option<String>);

fn read(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

/// Writes what is owed. A notice that is there already is the same one.
pub(crate) fn write(tx: &Connection, service: &str, notices: &[Notice]) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO notice (key, target, service, at, body)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    for notice in notices {
        let body = serde_json::to_string(&Notice { to: vec![], ..notice.clone() })?;
        for target in &notice.to {
            let row = params![notice.key, target, service, notice.at.0, body];
            tx.prepare_cached(sql)?.execute(row)?;
        }
    }
    Ok(())
}
