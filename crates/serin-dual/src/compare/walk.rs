//! The walk over both tables, range by range.

use super::differences::{self, Found};
use super::error::Error;
use super::pace::Pace;
use super::report::Progress;
use super::shape::Shape;
use super::sql::{Key, Range, Statements};
use super::{Hash, Limits};
use std::collections::BTreeMap;
use std::time::Instant;
use tokio::sync::Mutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

/// One of the two tables.
pub(super) struct Side<'a> {
    pub name: &'static str,
    pub sql: Statements,
    client: &'a Client,
    /// Prepared statements by their text.
    prepared: Mutex<BTreeMap<String, Statement>>,
}

/// Both tables.
pub(super) struct Sides<'a> {
    pub from: Side<'a>,
    pub to: Side<'a>,
}

/// What a range adds up to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sum {
    count: u64,
    halves: [String; 2],
}

/// What the walk saw.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub rows_from: u64,
    pub rows_to: u64,
    pub ranges: u64,
    pub is_complete: bool,
}

/// How the walk ended.
pub(super) struct Walked {
    pub seen: Seen,
    pub found: Vec<Found>,
}

pub(super) struct Walk<'a> {
    sides: &'a Sides<'a>,
    limits: Limits,
    pace: Pace,
    estimate: u64,
    seen: Seen,
    found: Vec<Found>,
}

impl<'a> Side<'a> {
    fn new(name: &'static str, client: &'a Client, sql: Statements) -> Self {
        Self { name, sql, client, prepared: Mutex::default() }
    }

    pub(super) async fn ask(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        doing: &'static str,
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(sql).await.map_err(Error::at(self.name, doing))?;
        self.client.query(&statement, parameters).await.map_err(Error::at(self.name, doing))
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        let mut prepared = self.prepared.lock().await;
        if let Some(statement) = prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The same where all parameters are texts.
    async fn ask_texts(
        &self,
        sql: &str,
        texts: &[&str],
        doing: &'static str,
    ) -> Result<Vec<Row>, Error> {
        let parameters: Vec<&(dyn ToSql + Sync)> =
            texts.iter().map(|text| text as &(dyn ToSql + Sync)).collect();
        self.ask(sql, &parameters, doing).await
    }

    async fn sum(&self, range: &Range) -> Result<Sum, Error> {
        let sql = self.sql.sum(range);
        let rows = self.ask_texts(&sql, &range.parameters(), "adding up a range").await?;
        let read = |row: &Row| Sum {
            count: row.get::<_, i64>(0).unsigned_abs(),
            halves: [row.get(1), row.get(2)],
        };
        Ok(rows.first().map_or(Sum { count: 0, halves: Default::default() }, read))
    }

    async fn key_after(&self, range: &Range, rows: u64) -> Result<Option<Key>, Error> {
        let (sql, rows) = (self.sql.key_after(range), rows.to_string());
        let mut parameters = range.parameters();
        parameters.push(&rows);
        let found = self.ask_texts(&sql, &parameters, "finding the end of a range").await?;
        Ok(found.first().map(|row| row.get(0)))
    }

    /// The key and hash of each row of a range.
    async fn rows(&self, range: &Range) -> Result<Vec<(Key, String)>, Error> {
        let sql = self.sql.rows(range);
        let rows = self.ask_texts(&sql, &range.parameters(), "reading a range").await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn is_first(&self, one: &Key, other: &Key) -> Result<bool, Error> {
        let texts: Vec<&str> = one.iter().chain(other).map(String::as_str).collect();
        let rows = self.ask_texts(&self.sql.is_first(), &texts, "comparing two keys").await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Rows that the walk would not come by.
    async fn check_nulls(&self, nullable: &[String]) -> Result<(), Error> {
        for name in nullable {
            let rows = self.ask(&self.sql.has_null(name), &[], "looking for nulls").await?;
            if rows.first().is_some_and(|row| row.get(0)) {
                return Err(Error::NullKey { side: self.name, column: name.clone() });
            }
        }
        Ok(())
    }
}

impl<'a> Sides<'a> {
    pub(super) fn new(from: &'a Client, to: &'a Client, shape: &Shape, hash: Hash) -> Self {
        let left = Statements::new(&shape.from_table, shape, hash);
        let right = Statements::new(&shape.to_table, shape, hash);
        Self { from: Side::new("from", from, left), to: Side::new("to", to, right) }
    }

    pub(super) async fn check_nulls(&self, shape: &Shape) -> Result<(), Error> {
        self.from.check_nulls(&shape.from_nullable).await?;
        self.to.check_nulls(&shape.to_nullable).await
    }

    async fn sums(&self, range: &Range) -> Result<(Sum, Sum), Error> {
        tokio::try_join!(self.from.sum(range), self.to.sum(range))
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(sides: &'a Sides<'a>, limits: Limits, pace: Pace, estimate: u64) -> Self {
        Self { sides, limits, pace, estimate, seen: Seen::default(), found: Vec::new() }
    }

    pub(super) async fn run(
        mut self,
        progress: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Walked, Error> {
        let mut after = None;
        loop {
            let begun = Instant::now();
            let range = self.next(after).await?;
            let rows = self.range(&range).await?;
            progress(&self.progress());
            if self.found.len() > self.limits.found {
                break;
            }
            if range.up_to.is_none() {
                self.seen.is_complete = true;
                break;
            }
            after = range.up_to;
            tokio::time::sleep(self.pace.after(rows, begun.elapsed())).await;
        }
        Ok(Walked { seen: self.seen, found: self.found })
    }

    /// As many rows as the pace allows on either side; without an end when both have fewer.
    async fn next(&self, after: Option<Key>) -> Result<Range, Error> {
        let open = Range { after, up_to: None };
        let rows = self.pace.chunk() - 1;
        let Sides { from, to } = self.sides;
        let ends = tokio::try_join!(from.key_after(&open, rows), to.key_after(&open, rows))?;
        let up_to = match ends {
            (Some(one), Some(other)) if from.is_first(&one, &other).await? => Some(one),
            (one, other) => other.or(one),
        };
        Ok(Range { up_to, ..open })
    }

    /// Compares a range; its rows.
    async fn range(&mut self, range: &Range) -> Result<u64, Error> {
        let (from, to) = self.sides.sums(range).await?;
        self.seen.ranges += 1;
        self.seen.rows_from += from.count;
        self.seen.rows_to += to.count;
        let rows = from.count.max(to.count);
        if from != to {
            self.narrow(range.clone(), from, to).await?;
        }
        Ok(rows)
    }

    /// Halves a range until its rows can be told.
    async fn narrow(&mut self, range: Range, from: Sum, to: Sum) -> Result<(), Error> {
        let mut open = vec![(range, from, to)];
        while let Some((range, from, to)) = open.pop() {
            let Some([first, second]) = self.halves(&range, &from, &to).await? else {
                self.tell(&range).await?;
                if self.found.len() > self.limits.found {
                    return Ok(());
                }
                continue;
            };
            // The first half is looked at first, so that rows are found in their order.
            for half in [second, first] {
                let (from, to) = self.sides.sums(&half).await?;
                if from != to {
                    open.push((half, from, to));
                }
            }
        }
        Ok(())
    }

    /// None when the range is small enough, or holds one key many times.
    async fn halves(
        &self,
        range: &Range,
        from: &Sum,
        to: &Sum,
    ) -> Result<Option<[Range; 2]>, Error> {
        let rows = from.count.max(to.count);
        if rows <= self.limits.leaf.max(1) {
            return Ok(None);
        }
        let side = if from.count >= to.count { &self.sides.from } else { &self.sides.to };
        let middle = side.key_after(range, rows / 2 - 1).await?;
        let middle = middle.filter(|middle| range.up_to.as_ref() != Some(middle));
        Ok(middle.map(|middle| {
            let first = Range { after: range.after.clone(), up_to: Some(middle.clone()) };
            [first, Range { after: Some(middle), up_to: range.up_to.clone() }]
        }))
    }

    async fn tell(&mut self, range: &Range) -> Result<(), Error> {
        let Sides { from, to } = self.sides;
        let (left, right) = tokio::try_join!(from.rows(range), to.rows(range))?;
        let left = differences::by_key(left, from.name)?;
        let right = differences::by_key(right, to.name)?;
        self.found.extend(differences::between(left, right));
        Ok(())
    }

    fn progress(&self) -> Progress {
        let rows = self.seen.rows_from.max(self.seen.rows_to);
        let estimate = self.estimate.max(rows);
        Progress { rows, estimate, ranges: self.seen.ranges, found: self.found.len() as u64 }
    }
}
