//! Making the file smaller in small steps, each a transaction of its own: done again after a crash
//! it does what is left.
//!
//! The log of a service is cut only where its state was kept beside it; what people asked for moves
//! to the audit and stays. Ticks of a rollout are packed into blocks when it has ended, and given
//! up when twenty newer ones have; its record stays. The held-back disk space is not used for this.

use crate::{Error, Store, ticks};
use rusqlite::{Connection, OptionalExtension, params};
use serin_core::Timestamp;
use std::collections::BTreeSet;

/// Newest rollouts of each service whose ticks are kept.
const ROLLOUTS_WITH_TICKS: i64 = 20;

/// Ended rollouts of each service whose log is kept whole, beside that of a running one.
const ROLLOUTS_WITH_LOG: i64 = 1;

/// Events of a service after which the log is cut also within a rollout.
const EVENTS_KEPT: i64 = 10_000;

/// Rows removed in one step.
const ROWS: i64 = 256;

/// Pages given back to the file system in one step.
const PAGES: i64 = 64;

/// Free pages left in the file, to be used again.
const SPARE_PAGES: i64 = 256;

/// Whose history is to be looked at.
#[derive(Debug)]
pub(crate) struct Work {
    services: BTreeSet<String>,
    /// All names up to this one were looked at since the store was opened; `None` when all were.
    swept: Option<String>,
}

impl Default for Work {
    fn default() -> Self {
        Self { services: BTreeSet::new(), swept: Some(String::new()) }
    }
}

impl Work {
    pub(crate) fn insert(&mut self, service: &str) {
        if !self.services.contains(service) {
            self.services.insert(service.to_owned());
        }
    }
}

impl Store {
    /// Does one small step; whether there may be another to do. `now` is noted where something is
    /// given up.
    ///
    /// # Errors
    /// [`Error::Full`] when there is no room even for that; it can be tried again later.
    pub fn compact(&mut self, now: Timestamp) -> Result<bool, Error> {
        // What a power cut undoes here is done again; the next decision syncs it with itself.
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        let done = self.compact_step(now);
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        done
    }

    fn compact_step(&mut self, now: Timestamp) -> Result<bool, Error> {
        let Some(name) = self.next_work()? else { return self.give_back() };
        let tx = self.connection.transaction()?;
        let worked = compact_service(&tx, &name, now)?;
        tx.commit()?;
        if !worked {
            self.work.services.remove(&name);
        }
        Ok(true)
    }

    /// The service to look at next: one with news, else the next that was not looked at yet.
    fn next_work(&mut self) -> Result<Option<String>, Error> {
        if let Some(name) = self.work.services.first() {
            return Ok(Some(name.clone()));
        }
        let Some(after) = &self.work.swept else { return Ok(None) };
        let sql = "SELECT min(name) FROM (
            SELECT min(service) AS name FROM event WHERE service > ?1
            UNION ALL SELECT min(service) FROM rollout WHERE service > ?1)";
        let next: Option<String> = self.connection.query_row(sql, [after], |row| row.get(0))?;
        self.work.swept.clone_from(&next);
        self.work.services.extend(next.clone());
        Ok(next)
    }

    /// Gives free pages back to the file system.
    fn give_back(&mut self) -> Result<bool, Error> {
        let free = || self.connection.query_row("PRAGMA freelist_count", (), |row| row.get(0));
        let before: i64 = free()?;
        if before <= SPARE_PAGES {
            return Ok(false);
        }
        let mut query = self.connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let mut rows = query.query(())?;
        while rows.next()?.is_some() {}
        // A file of an older Serin cannot shrink; its free pages are used again.
        Ok(free()? < before)
    }
}

/// One step for one service; whether there was anything to do.
fn compact_service(tx: &Connection, name: &str, now: Timestamp) -> Result<bool, Error> {
    Ok(cut(tx, name, now)?
        || move_events(tx, name)?
        || give_up_ticks(tx, name, now)?
        || pack_ticks(tx, name)?)
}

/// Moves the cut of a log forward when it can be; what lies before is removed in later steps.
fn cut(tx: &Connection, name: &str, now: Timestamp) -> Result<bool, Error> {
    if is_gone(tx, name)? {
        return cut_all(tx, name, now);
    }
    let Some(seq) = wanted_cut(tx, name)? else { return Ok(false) };
    tx.prepare_cached(
        "INSERT OR REPLACE INTO cut (service, seq, at, body, packed)
         SELECT service, seq, ?2, body, packed FROM snapshot WHERE seq = ?1",
    )?
    .execute(params![seq, now.0])?;
    tx.prepare_cached("DELETE FROM snapshot WHERE service = ?1 AND seq <= ?2")?
        .execute(params![name, seq])?;
    Ok(true)
}

fn is_gone(tx: &Connection, name: &str) -> Result<bool, Error> {
    let mut query = tx.prepare_cached("SELECT 1 FROM service WHERE name = ?1")?;
    Ok(!query.exists([name])?)
}

/// The log of a service that is gone ends: nothing of it is replayed any more.
fn cut_all(tx: &Connection, name: &str, now: Timestamp) -> Result<bool, Error> {
    let mut query = tx.prepare_cached("SELECT max(seq) FROM event WHERE service = ?1")?;
    let Some(seq) = query.query_row([name], |row| row.get::<_, Option<i64>>(0))? else {
        return Ok(false);
    };
    if seq <= cut_of(tx, name)? {
        return Ok(false);
    }
    let sql = "INSERT OR REPLACE INTO cut (service, seq, at, body) VALUES (?1, ?2, ?3, '')";
    tx.prepare_cached(sql)?.execute(params![name, seq, now.0])?;
    tx.prepare_cached("DELETE FROM snapshot WHERE service = ?1")?.execute([name])?;
    Ok(true)
}

/// The newest snapshot before which nothing has to be replayed; `None` when the cut is there.
fn wanted_cut(tx: &Connection, name: &str) -> Result<Option<i64>, Error> {
    let before_last = one(
        tx,
        "SELECT seq FROM snapshot WHERE service = ?1 AND ends IS NOT NULL
         ORDER BY seq DESC LIMIT 1 OFFSET ?2",
        name,
        ROLLOUTS_WITH_LOG,
    )?;
    let too_old = one(
        tx,
        "SELECT seq FROM event WHERE service = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2",
        name,
        EVENTS_KEPT,
    )?;
    let newest_before = "SELECT max(seq) FROM snapshot WHERE service = ?1 AND seq <= ?2";
    let by_number = match too_old {
        Some(seq) => one(tx, newest_before, name, seq)?,
        None => None,
    };
    Ok(before_last.max(by_number))
}

fn one(tx: &Connection, sql: &str, name: &str, number: i64) -> Result<Option<i64>, Error> {
    let mut query = tx.prepare_cached(sql)?;
    let found: Option<Option<i64>> =
        query.query_row(params![name, number], |row| row.get(0)).optional()?;
    Ok(found.flatten())
}

/// Where the log of a service begins; 0 when it was never cut.
fn cut_of(tx: &Connection, name: &str) -> Result<i64, Error> {
    let mut query = tx.prepare_cached("SELECT seq FROM cut WHERE service = ?1")?;
    Ok(query.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Removes events before the cut; what people asked for moves to the audit.
fn move_events(tx: &Connection, name: &str) -> Result<bool, Error> {
    let cut = cut_of(tx, name)?;
    let sql = "SELECT max(seq) FROM (SELECT seq FROM event
               WHERE service = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)";
    let mut query = tx.prepare_cached(sql)?;
    let last: Option<i64> = query.query_row(params![name, cut, ROWS], |row| row.get(0))?;
    let Some(last) = last else { return Ok(false) };
    tx.prepare_cached(
        "INSERT OR IGNORE INTO audit (seq, service, at, body, packed)
         SELECT seq, service, at, body, packed FROM event
         WHERE service = ?1 AND seq <= ?2 AND (body = 'asked' OR body LIKE '{\"asked\":%')",
    )?
    .execute(params![name, last])?;
    tx.prepare_cached("DELETE FROM event WHERE service = ?1 AND seq <= ?2")?
        .execute(params![name, last])?;
    Ok(true)
}

/// Gives up ticks of a rollout that is too old: says so first, then removes them.
fn give_up_ticks(tx: &Connection, name: &str, now: Timestamp) -> Result<bool, Error> {
    let sql = "SELECT id FROM rollout WHERE service = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2";
    let Some(newest) = one(tx, sql, name, ROLLOUTS_WITH_TICKS)? else { return Ok(false) };
    let Some(id) = oldest_with_ticks(tx, name, newest)? else { return Ok(false) };
    tx.prepare_cached(
        "UPDATE rollout SET ticks_gone_at = coalesce(ticks_gone_at, ?3)
         WHERE service = ?1 AND id = ?2",
    )?
    .execute(params![name, id, now.0])?;
    tx.prepare_cached("DELETE FROM tick_block WHERE service = ?1 AND rollout = ?2")?
        .execute(params![name, id])?;
    tx.prepare_cached(
        "DELETE FROM tick WHERE service = ?1 AND rollout = ?2 AND seq <=
         (SELECT min(seq) + ?3 FROM tick WHERE service = ?1 AND rollout = ?2)",
    )?
    .execute(params![name, id, ROWS])?;
    Ok(true)
}

fn oldest_with_ticks(tx: &Connection, name: &str, newest: i64) -> Result<Option<i64>, Error> {
    let rows = "SELECT min(rollout) FROM tick WHERE service = ?1 AND rollout <= ?2";
    let blocks = "SELECT min(rollout) FROM tick_block WHERE service = ?1 AND rollout <= ?2";
    let (rows, blocks) = (one(tx, rows, name, newest)?, one(tx, blocks, name, newest)?);
    Ok(rows.into_iter().chain(blocks).min())
}

/// Packs ticks of a rollout that has ended, or of a running one that has many.
fn pack_ticks(tx: &Connection, name: &str) -> Result<bool, Error> {
    let sql = "SELECT min(rollout) FROM tick WHERE service = ?1 AND rollout > ?2";
    let Some(id) = one(tx, sql, name, -1)? else { return Ok(false) };
    let mut ended = tx.prepare_cached("SELECT 1 FROM rollout WHERE service = ?1 AND id >= ?2")?;
    let sql = "SELECT 1 FROM tick WHERE service = ?1 AND rollout = ?2 LIMIT 1 OFFSET ?3";
    let mut many = tx.prepare_cached(sql)?;
    let packs = ended.exists(params![name, id])?
        || many.exists(params![name, id, 2 * ticks::BLOCK as i64])?;
    if packs { ticks::pack_rows(tx, name, id) } else { Ok(false) }
}
