//! What a comparison tells.

use super::Request;
use super::error::Error;
use super::settle::{KEYS, Lasting, Settled, lists, parameters};
use super::shape::Shape;
use super::sql::Key;
use super::walk::{Seen, Side, Sides};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Characters shown of a value.
const CHARS: u32 = 200;

/// How far the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Rows compared, on the side that has more.
    pub rows: u64,
    /// Rows there are, as the database estimates.
    pub estimate: u64,
    /// Ranges compared.
    pub ranges: u64,
    /// Rows that differ, before the second look.
    pub found: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The table, as asked for.
    pub table: String,
    /// Columns of the key that was walked.
    pub key: Vec<String>,
    /// Columns compared, the key's among them.
    pub columns: u64,
    /// Rows of `from`.
    pub rows_from: u64,
    /// Rows of `to`.
    pub rows_to: u64,
    /// Ranges compared.
    pub ranges: u64,
    /// Rows that only `from` has.
    pub missing: u64,
    /// Rows that only `to` has.
    pub extra: u64,
    /// Rows that both have, with other values.
    pub different: u64,
    /// Rows that changed between the last two looks and differed at both: nothing can be said.
    pub moving: u64,
    /// Rows that differed at first and were equal at a later look.
    pub caught_up: u64,
    /// The walk came to its end. If not, there are more differences than it may find.
    pub complete: bool,
    /// Some of the rows, in the order of the walk.
    pub differences: Vec<Difference>,
    /// What one should know about the comparison.
    pub notes: Vec<String>,
    /// How long it took.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only `from` has it.
    Missing,
    /// Only `to` has it.
    Extra,
    /// Both have it, with other values.
    Different,
    /// It is being written.
    Moving,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// How.
    pub kind: Kind,
    /// Its key, by column.
    pub key: BTreeMap<String, String>,
    /// The columns that differ, where both have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Their values, where asked for, by column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Values>,
}

/// A value on both sides, cut to 200 characters; `None` for null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Values {
    /// In `from`.
    pub from: Option<String>,
    /// In `to`.
    pub to: Option<String>,
}

impl Report {
    pub(super) fn new(request: &Request, shape: &Shape, seen: &Seen, settled: &Settled) -> Self {
        let of = |kind| settled.lasting.iter().filter(|row| row.kind() == kind).count() as u64;
        Self {
            table: request.table.clone(),
            key: shape.key.iter().map(|part| part.name.clone()).collect(),
            columns: (shape.key.len() + shape.columns.len()) as u64,
            rows_from: seen.rows_from,
            rows_to: seen.rows_to,
            ranges: seen.ranges,
            missing: of(Kind::Missing),
            extra: of(Kind::Extra),
            different: of(Kind::Different),
            moving: of(Kind::Moving),
            caught_up: settled.caught_up,
            complete: seen.is_complete,
            differences: Vec::new(),
            notes: shape.notes.clone(),
            took: Duration::ZERO,
        }
    }

    /// Rows that differ for sure.
    pub fn differing(&self) -> u64 {
        self.missing + self.extra + self.different
    }

    /// All was compared and all was equal.
    pub fn is_equal(&self) -> bool {
        self.complete && self.differing() == 0 && self.moving == 0
    }
}

impl Lasting {
    fn kind(&self) -> Kind {
        match (self.moves, &self.found.from, &self.found.to) {
            (true, _, _) => Kind::Moving,
            (false, Some(_), None) => Kind::Missing,
            (false, None, _) => Kind::Extra,
            (false, Some(_), Some(_)) => Kind::Different,
        }
    }
}

/// The first of what differs, with the columns that do.
pub(super) async fn listed(
    sides: &Sides<'_>,
    shape: &Shape,
    settled: Settled,
    request: &Request,
) -> Result<Vec<Difference>, Error> {
    let rows: Vec<Lasting> = settled.lasting.into_iter().take(request.limits.listed).collect();
    let both = rows.iter().filter(|row| row.kind() == Kind::Different);
    let keys: Vec<&Key> = both.map(|row| &row.found.key).collect();
    let differing = differing(sides, shape, &keys).await?;
    let values = if request.shows_values { values(sides, &keys).await? } else { BTreeMap::new() };
    let names = Names { shape, differing: &differing, values: &values };
    Ok(rows.iter().map(|row| names.difference(row)).collect())
}

type Texts = BTreeMap<Key, Vec<Option<String>>>;
type Pairs = BTreeMap<Key, Vec<Values>>;

struct Names<'a> {
    shape: &'a Shape,
    differing: &'a BTreeMap<Key, Vec<usize>>,
    values: &'a Pairs,
}

impl Names<'_> {
    fn difference(&self, row: &Lasting) -> Difference {
        let key = &row.found.key;
        let named = self.shape.key.iter().map(|part| part.name.clone()).zip(key.iter().cloned());
        let columns = self.differing.get(key).map_or(&[][..], Vec::as_slice);
        let name = |column: &usize| self.shape.columns[*column].name.clone();
        let value = |column: &usize| {
            let values = self.values.get(key)?.get(*column)?.clone();
            Some((name(column), values))
        };
        Difference {
            kind: row.kind(),
            key: named.collect(),
            columns: columns.iter().map(name).collect(),
            values: columns.iter().filter_map(value).collect(),
        }
    }
}

/// Which columns differ, by number.
async fn differing(
    sides: &Sides<'_>,
    shape: &Shape,
    keys: &[&Key],
) -> Result<BTreeMap<Key, Vec<usize>>, Error> {
    let pairs = pairs(sides, keys, None).await?;
    let of = |values: Vec<Values>| {
        let differ =
            (0..shape.columns.len()).filter(|&n| values.get(n).is_some_and(Values::differ));
        differ.collect()
    };
    Ok(pairs.into_iter().map(|(key, values)| (key, of(values))).collect())
}

impl Values {
    fn differ(&self) -> bool {
        self.from != self.to
    }
}

async fn values(sides: &Sides<'_>, keys: &[&Key]) -> Result<Pairs, Error> {
    pairs(sides, keys, Some(CHARS)).await
}

/// Of each row, each column on both sides: its hash, or its text cut to `chars`.
async fn pairs(sides: &Sides<'_>, keys: &[&Key], chars: Option<u32>) -> Result<Pairs, Error> {
    let mut pairs = Pairs::new();
    for some in keys.chunks(KEYS) {
        let asked =
            tokio::try_join!(texts(&sides.from, some, chars), texts(&sides.to, some, chars));
        let (from, mut to) = asked?;
        for (key, left) in from {
            let right = to.remove(&key).unwrap_or_default();
            let both = left.into_iter().zip(right).map(|(from, to)| Values { from, to });
            pairs.insert(key, both.collect());
        }
    }
    Ok(pairs)
}

async fn texts(side: &Side<'_>, keys: &[&Key], chars: Option<u32>) -> Result<Texts, Error> {
    let (lists, sql) = (lists(keys), side.sql.columns_of_keys(chars));
    let rows = side.ask(&sql, &parameters(&lists), "finding the columns that differ").await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
