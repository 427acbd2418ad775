//! Feature flags: what each set of flags is, every change of it, what is scheduled, who may ask,
//! and how often each flag was asked for.
//!
//! What a definition says is no business of the store: it keeps JSON texts. A change and what it
//! led to are one transaction, and a change is never overwritten.

use crate::pack::{self, Document};
use crate::{Error, Store};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serin_core::Timestamp;

/// One thing to write. Texts are JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagWrite {
    /// What a set is beside its flags.
    Set {
        /// Its name.
        set: String,
        /// Its text.
        text: String,
    },
    /// A set goes, with all its flags; its history stays.
    DropSet {
        /// Its name.
        set: String,
    },
    /// One flag as it is from now on.
    Flag {
        /// Its set.
        set: String,
        /// Its key.
        key: String,
        /// Its text.
        text: String,
    },
    /// A flag goes; its history stays.
    DropFlag {
        /// Its set.
        set: String,
        /// Its key.
        key: String,
    },
    /// A line of the history.
    Change(FlagChange),
    /// A change that is to come, in place of the one with this number.
    Due {
        /// Its number.
        id: u64,
        /// Its text.
        text: String,
    },
    /// A change that is no longer to come.
    DropDue {
        /// Its number.
        id: u64,
    },
    /// Somebody who may ask for values.
    Token {
        /// What is kept of the secret.
        hash: String,
        /// What it is for.
        text: String,
    },
    /// Somebody who may not ask any more.
    DropToken {
        /// What was kept of the secret.
        hash: String,
    },
    /// Something else that is known, in place of what was.
    Note {
        /// What kind of thing it is.
        kind: String,
        /// Which of its kind.
        id: String,
        /// Its text.
        text: String,
    },
    /// Something that is not known any more.
    DropNote {
        /// What kind of thing it was.
        kind: String,
        /// Which of its kind.
        id: String,
    },
    /// How often a flag was asked for, in place of what was known.
    Use {
        /// Its set.
        set: String,
        /// Its key.
        key: String,
        /// The text.
        text: String,
    },
}

/// A change of a flag or of its set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagChange {
    /// Its number among all changes; it grows.
    pub n: u64,
    /// The set.
    pub set: String,
    /// The flag, or empty when the set itself was changed.
    pub key: String,
    /// When.
    pub at: Timestamp,
    /// Who, why, and the flag before and after.
    pub text: String,
}

/// A flag as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFlag {
    /// Its set.
    pub set: String,
    /// Its key.
    pub key: String,
    /// Its text.
    pub text: String,
}

/// Something else that is known of flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNote {
    /// What kind of thing it is.
    pub kind: String,
    /// Which of its kind.
    pub id: String,
    /// Its text.
    pub text: String,
}

/// Everything but the history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredFlags {
    /// Sets by name.
    pub sets: Vec<(String, String)>,
    /// Flags by set and key.
    pub flags: Vec<StoredFlag>,
    /// Changes to come, by number.
    pub due: Vec<(u64, String)>,
    /// Who may ask, by what is kept of the secret.
    pub tokens: Vec<(String, String)>,
    /// How often flags were asked for.
    pub uses: Vec<StoredFlag>,
    /// What else is known, by kind and name.
    pub notes: Vec<StoredNote>,
    /// Number of the last change; 0 when there was none.
    pub last: u64,
}

impl Store {
    /// Writes all of it in one transaction, in this order.
    ///
    /// # Errors
    /// [`Error::Full`] when there is no room, [`Error::Superseded`] when a newer controller has
    /// taken over; then nothing was written.
    pub fn commit_flags(&mut self, writes: &[FlagWrite]) -> Result<(), Error> {
        let own = self.epoch;
        let tx = self.connection.transaction()?;
        let newest = crate::read_epoch(&tx)?;
        if newest != own {
            return Err(Error::Superseded { newest, own });
        }
        writes.iter().try_for_each(|one| write(&tx, one))?;
        tx.commit()?;
        Ok(())
    }

    /// Everything but the history.
    pub fn flags(&self) -> Result<StoredFlags, Error> {
        let db = &self.connection;
        let last: Option<i64> =
            db.query_row("SELECT max(n) FROM flag_change", (), |row| row.get(0))?;
        Ok(StoredFlags {
            sets: pairs(db, "SELECT name, body, packed FROM flag_set ORDER BY name")?,
            flags: stored(db, "SELECT set_name, key, body, packed FROM flag ORDER BY 1, 2")?,
            due: due(db)?,
            tokens: pairs(db, "SELECT hash, body, packed FROM flag_token ORDER BY hash")?,
            uses: stored(db, "SELECT set_name, key, body, packed FROM flag_use ORDER BY 1, 2")?,
            notes: notes(db)?,
            last: last.unwrap_or(0) as u64,
        })
    }

    /// The newest `most` changes of a set before change `before`, newest first; of one flag when
    /// `key` names it.
    pub fn flag_history(
        &self,
        set: &str,
        key: Option<&str>,
        before: u64,
        most: u32,
    ) -> Result<Vec<FlagChange>, Error> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let (all, one) = (
            "SELECT n, set_name, key, at, body, packed FROM flag_change
             WHERE set_name = ?1 AND n < ?2 ORDER BY n DESC LIMIT ?3",
            "SELECT n, set_name, key, at, body, packed FROM flag_change
             WHERE set_name = ?1 AND n < ?2 AND key = ?4 ORDER BY n DESC LIMIT ?3",
        );
        match key {
            None => self.changes(all, params![set, before, most]),
            Some(key) => self.changes(one, params![set, before, most, key]),
        }
    }

    /// One change.
    pub fn flag_change(&self, n: u64) -> Result<Option<FlagChange>, Error> {
        let sql = "SELECT n, set_name, key, at, body, packed FROM flag_change WHERE n = ?1";
        Ok(self.changes(sql, [n as i64])?.pop())
    }

    /// When a flag was last changed before it went, if it ever was there.
    pub fn flag_last_at(&self, set: &str, key: &str) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT at FROM flag_change WHERE set_name = ?1 AND key = ?2
                   ORDER BY n DESC LIMIT 1";
        let mut query = self.connection.prepare_cached(sql)?;
        let found = query.query_row([set, key], |row| row.get(0)).optional()?;
        Ok(found.map(Timestamp))
    }

    fn changes(&self, sql: &str, wanted: impl Params) -> Result<Vec<FlagChange>, Error> {
        let mut query = self.connection.prepare_cached(sql)?;
        let mut rows = query.query(wanted)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(change(row)?);
        }
        Ok(found)
    }
}

fn change(row: &Row) -> Result<FlagChange, Error> {
    Ok(FlagChange {
        n: row.get::<_, i64>(0)? as u64,
        set: row.get(1)?,
        key: row.get(2)?,
        at: Timestamp(row.get(3)?),
        text: pack::text_at(row, 4)?,
    })
}

fn pairs(db: &Connection, sql: &str) -> Result<Vec<(String, String)>, Error> {
    let mut query = db.prepare(sql)?;
    let mut rows = query.query(())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, pack::text_at(row, 1)?));
    }
    Ok(found)
}

fn stored(db: &Connection, sql: &str) -> Result<Vec<StoredFlag>, Error> {
    let mut query = db.prepare(sql)?;
    let mut rows = query.query(())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = pack::text_at(row, 2)?;
        found.push(StoredFlag { set: row.get(0)?, key: row.get(1)?, text });
    }
    Ok(found)
}

fn notes(db: &Connection) -> Result<Vec<StoredNote>, Error> {
    let mut query = db.prepare("SELECT kind, id, body, packed FROM flag_note ORDER BY 1, 2")?;
    let mut rows = query.query(())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = pack::text_at(row, 2)?;
        found.push(StoredNote { kind: row.get(0)?, id: row.get(1)?, text });
    }
    Ok(found)
}

fn due(db: &Connection) -> Result<Vec<(u64, String)>, Error> {
    let mut query = db.prepare("SELECT id, body, packed FROM flag_due ORDER BY id")?;
    let mut rows = query.query(())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get::<_, i64>(0)? as u64, pack::text_at(row, 1)?));
    }
    Ok(found)
}

fn write(tx: &Connection, write: &FlagWrite) -> Result<(), Error> {
    match write {
        FlagWrite::Set { set, text } => {
            put(tx, "INSERT OR REPLACE INTO flag_set VALUES (?1, ?2, ?3)", &[set], text)
        }
        FlagWrite::Flag { set, key, text } => {
            put(tx, "INSERT OR REPLACE INTO flag VALUES (?1, ?2, ?3, ?4)", &[set, key], text)
        }
        FlagWrite::Use { set, key, text } => {
            put(tx, "INSERT OR REPLACE INTO flag_use VALUES (?1, ?2, ?3, ?4)", &[set, key], text)
        }
        FlagWrite::Note { kind, id, text } => {
            put(tx, "INSERT OR REPLACE INTO flag_note VALUES (?1, ?2, ?3, ?4)", &[kind, id], text)
        }
        FlagWrite::DropNote { kind, id } => {
            drop_rows(tx, "DELETE FROM flag_note WHERE kind = ?1 AND id = ?2", [kind, id])
        }
        FlagWrite::Token { hash, text } => {
            put(tx, "INSERT OR REPLACE INTO flag_token VALUES (?1, ?2, ?3)", &[hash], text)
        }
        FlagWrite::Change(change) => write_change(tx, change),
        FlagWrite::Due { id, text } => write_due(tx, *id, text),
        FlagWrite::DropSet { set } => ["flag_use", "flag"]
            .iter()
            .try_for_each(|table| {
                drop_rows(tx, &format!("DELETE FROM {table} WHERE set_name = ?1"), [set])
            })
            .and_then(|()| drop_rows(tx, "DELETE FROM flag_set WHERE name = ?1", [set])),
        FlagWrite::DropFlag { set, key } => {
            drop_rows(tx, "DELETE FROM flag WHERE set_name = ?1 AND key = ?2", [set, key])
        }
        FlagWrite::DropDue { id } => {
            drop_rows(tx, "DELETE FROM flag_due WHERE id = ?1", [*id as i64])
        }
        FlagWrite::DropToken { hash } => {
            drop_rows(tx, "DELETE FROM flag_token WHERE hash = ?1", [hash])
        }
    }
}

/// Writes a row of `names` and the text, packed if that pays.
fn put(tx: &Connection, sql: &str, names: &[&String], text: &str) -> Result<(), Error> {
    let body = Document::of_text(text);
    let mut statement = tx.prepare_cached(sql)?;
    match names {
        [one] => statement.execute(params![one, body.text, body.packed])?,
        [one, two, ..] => statement.execute(params![one, two, body.text, body.packed])?,
        [] => 0,
    };
    Ok(())
}

fn write_change(tx: &Connection, change: &FlagChange) -> Result<(), Error> {
    let body = Document::of_text(&change.text);
    // A number that is there already is an error: the history is never overwritten.
    let sql = "INSERT INTO flag_change (n, set_name, key, at, body, packed)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let FlagChange { n, set, key, at, .. } = change;
    tx.prepare_cached(sql)?.execute(params![*n as i64, set, key, at.0, body.text, body.packed])?;
    Ok(())
}

fn write_due(tx: &Connection, id: u64, text: &str) -> Result<(), Error> {
    let body = Document::of_text(text);
    let sql = "INSERT OR REPLACE INTO flag_due (id, body, packed) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute(params![id as i64, body.text, body.packed])?;
    Ok(())
}

fn drop_rows(tx: &Connection, sql: &str, which: impl Params) -> Result<(), Error> {
    tx.prepare_cached(sql)?.execute(which)?;
    Ok(())
}
