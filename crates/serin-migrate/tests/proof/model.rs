//! What rows must hold in both shapes after each committed write, worked out without the database.
//!
//! The migration makes `amount` twice as large and one more, renames `label` to `title`, adds
//! `flag` from `amount`, and drops `note`.

use serde_json::{Value, json};

/// The table before.
pub const TABLE: &str = "CREATE TABLE t (id integer PRIMARY KEY, amount integer NOT NULL, \
    label text NOT NULL, note text)";

/// The migration.
pub fn document() -> Value {
    json!({
        "version_schema": "new",
        "operations": [
            {"alter_column": {"table": "t", "column": "amount", "type": "bigint",
                "up": "amount::bigint * 2 + 1", "down": "(amount - 1) / 2"}},
            {"rename_column": {"table": "t", "from": "label", "to": "title"}},
            {"add_column": {"table": "t", "up": "'f' || amount",
                "column": {"name": "flag", "type": "text", "nullable": true}}},
            {"drop_column": {"table": "t", "column": "note", "down": "'n' || id"}},
        ],
        "serin": {"backfill": {"duty": 0.3}, "contract": {"grace": "0s"}},
    })
}

/// Who writes or reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Old,
    New,
}

/// One row, in both shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// As old clients see it.
    pub amount: i64,
    /// As new clients see `amount`.
    pub wide: i64,
    /// `label`, `title`.
    pub label: String,
    /// Only old clients.
    pub note: Option<String>,
    /// Only new clients.
    pub flag: Option<String>,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    OldInsert(i64, String, String),
    OldAmount(i64),
    OldLabel(String),
    OldNote(String),
    /// Every column is set to what it is.
    OldSame,
    NewInsert(i64, String, String),
    NewAmount(i64),
    NewTitle(String),
    NewFlag(String),
    NewSame,
    Delete(Side),
}

/// A row that is there before the migration.
pub fn first(id: i64) -> Row {
    old_row(id % 1_000, format!("l{id}"), Some(format!("x{id}")))
}

fn old_row(amount: i64, label: String, note: Option<String>) -> Row {
    // `flag` comes after `amount` in the migration: it sees the new one.
    let wide = amount * 2 + 1;
    Row { amount, wide, label, note, flag: Some(format!("f{wide}")) }
}

impl Act {
    /// Who does it.
    pub fn side(&self) -> Side {
        match self {
            Self::Delete(side) => *side,
            Self::OldInsert(..)
            | Self::OldAmount(_)
            | Self::OldLabel(_)
            | Self::OldNote(_)
            | Self::OldSame => Side::Old,
            _ => Side::New,
        }
    }

    /// The statement.
    pub fn sql(&self, id: i64) -> String {
        let update = |set: String| format!("UPDATE t SET {set} WHERE id = {id}");
        match self {
            Self::OldInsert(amount, label, note) => format!(
                "INSERT INTO t (id, amount, label, note) VALUES ({id}, {amount}, '{label}', \
                 '{note}') ON CONFLICT (id) DO NOTHING"
            ),
            Self::NewInsert(wide, title, flag) => format!(
                "INSERT INTO t (id, amount, title, flag) VALUES ({id}, {wide}, '{title}', \
                 '{flag}') ON CONFLICT (id) DO NOTHING"
            ),
            Self::OldAmount(amount) | Self::NewAmount(amount) => {
                update(format!("amount = {amount}"))
            }
            Self::OldLabel(label) => update(format!("label = '{label}'")),
            Self::OldNote(note) => update(format!("note = '{note}'")),
            Self::OldSame => update("amount = amount, label = label, note = note".into()),
            Self::NewTitle(title) => update(format!("title = '{title}'")),
            Self::NewFlag(flag) => update(format!("flag = '{flag}'")),
            Self::NewSame => update("amount = amount, title = title, flag = flag".into()),
            Self::Delete(_) => format!("DELETE FROM t WHERE id = {id}"),
        }
    }

    /// The row after it.
    pub fn applied(&self, id: i64, row: Option<Row>) -> Option<Row> {
        match (self, row) {
            (Self::OldInsert(amount, label, note), None) => {
                Some(old_row(*amount, label.clone(), Some(note.clone())))
            }
            (Self::NewInsert(wide, title, flag), None) => Some(Row {
                amount: (wide - 1) / 2,
                wide: *wide,
                label: title.clone(),
                note: Some(format!("n{id}")),
                flag: Some(flag.clone()),
            }),
            (Self::Delete(_), _) | (_, None) => None,
            (_, Some(row)) => Some(self.updated(row)),
        }
    }

    fn updated(&self, row: Row) -> Row {
        match self {
            // The same value again is no change: what the new version wrote stays.
            Self::OldAmount(amount) if *amount != row.amount => {
                Row { label: row.label, note: row.note, ..old_row(*amount, String::new(), None) }
            }
            Self::NewAmount(wide) if *wide != row.wide => {
                Row { wide: *wide, amount: (wide - 1) / 2, ..row }
            }
            Self::OldLabel(label) | Self::NewTitle(label) => Row { label: label.clone(), ..row },
            Self::OldNote(note) => Row { note: Some(note.clone()), ..row },
            Self::NewFlag(flag) => Row { flag: Some(flag.clone()), ..row },
            _ => row,
        }
    }

    /// One that a client of this side could do.
    pub fn any(side: Side, chance: &mut fastrand::Rng) -> Self {
        // So many numbers that none comes twice for a row.
        let (number, word) = (chance.i64(0..1_000_000), format!("w{}", chance.u32(..)));
        match (side, chance.u8(0..10)) {
            (Side::Old, 0) => Self::OldInsert(number, word.clone(), word),
            (Side::Old, 1..=3) => Self::OldAmount(number),
            (Side::Old, 4) => Self::OldLabel(word),
            (Side::Old, 5 | 6) => Self::OldNote(word),
            (Side::Old, 7 | 8) => Self::OldSame,
            (Side::New, 0) => Self::NewInsert(number * 2 + 1, word.clone(), word),
            (Side::New, 1..=3) => Self::NewAmount(number * 2 + 1),
            (Side::New, 4) => Self::NewTitle(word),
            (Side::New, 5..=7) => Self::NewFlag(word),
            (Side::New, 8) => Self::NewSame,
            (side, _) => Self::Delete(side),
        }
    }
}

/// What a side reads of all rows, one text a row, by id.
pub fn query(side: Side) -> &'static str {
    match side {
        Side::Old => {
            "SELECT id::text, concat_ws('|', amount, label, coalesce(note, '-')) FROM public.t"
        }
        Side::New => {
            "SELECT id::text, concat_ws('|', amount, title, coalesce(flag, '-')) FROM public_new.t"
        }
    }
}

/// What a side must read of a row.
pub fn read_as(side: Side, row: &Row) -> String {
    let or = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    match side {
        Side::Old => format!("{}|{}|{}", row.amount, row.label, or(&row.note)),
        Side::New => format!("{}|{}|{}", row.wide, row.label, or(&row.flag)),
    }
}
