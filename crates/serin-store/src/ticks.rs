//! What the judges were given: row by row while a rollout runs, later many in one packed block.

use crate::pack::{self, Document};
use crate::{Error, Store};
use rusqlite::{Connection, OptionalExtension, params};
use serin_core::{RecordedTick, ServiceName, Timestamp};

/// Ticks in one packed block.
pub(crate) const BLOCK: u64 = 256;

/// Whether what a rollout's judge was given is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicksKept {
    /// As far as it was ever recorded.
    All,
    /// Given up, to keep the file small; the record with its verdict stays.
    GoneSince(Timestamp),
}

/// Writes ticks behind those that are there.
pub(crate) fn write(tx: &Connection, name: &str, ticks: &[RecordedTick]) -> Result<(), Error> {
    let sql = "INSERT INTO tick (service, rollout, seq, body, packed) VALUES (?1, ?2,
        1 + coalesce((SELECT max(seq) FROM tick WHERE service = ?1 AND rollout = ?2),
                     (SELECT max(last) FROM tick_block WHERE service = ?1 AND rollout = ?2), 0),
        ?3, ?4)";
    for tick in ticks {
        let body = Document::of(tick, "")?;
        let row = params![name, tick.rollout as i64, body.text, body.packed];
        tx.prepare_cached(sql)?.execute(row)?;
    }
    Ok(())
}

/// Drops the ticks of a rollout after number `last`.
pub(crate) fn drop_after(tx: &Connection, name: &str, id: u64, last: u64) -> Result<(), Error> {
    // Blocks are made of what was decided on long ago; only rows can be too new.
    let sql = "DELETE FROM tick WHERE service = ?1 AND rollout = ?2 AND seq > ?3";
    tx.execute(sql, params![name, id as i64, last as i64])?;
    Ok(())
}

/// A place in the rows of a rollout: first and last number.
type Span = (i64, i64);

/// Packs the oldest rows of a rollout into a block; whether there was anything to pack.
pub(crate) fn pack_rows(tx: &Connection, name: &str, rollout: i64) -> Result<bool, Error> {
    let mut query = tx.prepare_cached(
        "SELECT seq, body, packed FROM tick WHERE service = ?1 AND rollout = ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = query.query(params![name, rollout, BLOCK as i64])?;
    let (mut text, mut span) = (String::new(), None::<Span>);
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        text.push_str(&pack::text_at(row, 1)?);
        text.push('\n');
        span = Some((span.map_or(seq, |span| span.0), seq));
    }
    drop(rows);
    let Some((first, last)) = span else { return Ok(false) };
    tx.prepare_cached("INSERT INTO tick_block VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        name,
        rollout,
        first,
        last,
        pack::squeeze(&text)
    ])?;
    tx.prepare_cached("DELETE FROM tick WHERE service = ?1 AND rollout = ?2 AND seq <= ?3")?
        .execute(params![name, rollout, last])?;
    Ok(true)
}

impl Store {
    /// What the judge of one rollout was given after number `after`, oldest first, at most
    /// `limit`; each with its number, from 1.
    pub fn ticks(
        &self,
        service: &ServiceName,
        rollout: u64,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, RecordedTick)>, Error> {
        let mut found = Vec::new();
        let mut after = after;
        while found.len() < limit as usize {
            let block = self.block(service, rollout, after)?;
            let Some(block) = block else { break };
            after = block.last().map_or(after + 1, |(seq, _)| *seq);
            found.extend(block);
        }
        let left = limit.saturating_sub(found.len() as u32);
        found.extend(self.rows(service, rollout, after, left)?);
        found.truncate(limit as usize);
        Ok(found)
    }

    /// Whether the ticks of an ended rollout are still kept.
    pub fn ticks_kept(&self, service: &ServiceName, rollout: u64) -> Result<TicksKept, Error> {
        let sql = "SELECT ticks_gone_at FROM rollout WHERE service = ?1 AND id = ?2";
        let mut query = self.connection.prepare_cached(sql)?;
        let row = params![service.as_str(), rollout as i64];
        let gone: Option<Option<i64>> = query.query_row(row, |row| row.get(0)).optional()?;
        Ok(gone.flatten().map_or(TicksKept::All, |at| TicksKept::GoneSince(Timestamp(at))))
    }

    /// The ticks of the first block that has any after number `after`, only those after it.
    fn block(&self, service: &ServiceName, rollout: u64, after: u64) -> Result<Block, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT first, packed FROM tick_block
             WHERE service = ?1 AND rollout = ?2 AND last > ?3 ORDER BY first LIMIT 1",
        )?;
        let wanted = params![service.as_str(), rollout as i64, after as i64];
        let row = query.query_row(wanted, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((first, packed)): Option<(i64, Vec<u8>)> = row else { return Ok(None) };
        let text = pack::inflate(&packed)?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let numbered = (first as u64..).zip(lines).filter(|(seq, _)| *seq > after);
        let read = numbered.map(|(seq, line)| Ok((seq, serde_json::from_slice(line)?)));
        Ok(Some(read.collect::<Result<_, Error>>()?))
    }

    fn rows(
        &self,
        service: &ServiceName,
        rollout: u64,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, RecordedTick)>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT seq, body, packed FROM tick
             WHERE service = ?1 AND rollout = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
        )?;
        let wanted = params![service.as_str(), rollout as i64, after as i64, limit];
        let mut rows = query.query(wanted)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((row.get::<_, i64>(0)? as u64, pack::read_at(row, 1)?));
        }
        Ok(found)
    }
}

/// Ticks with their numbers; `None` when there is no block.
type Block = Option<Vec<(u64, RecordedTick)>>;
