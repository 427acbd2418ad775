//! Finds the rows in which two tables of two Postgres databases differ, while they are written.
//!
//! The tables are walked in ranges of their key. Each side adds up the hashes of its rows of a
//! range; where the sums differ, the range is halved until its rows can be told one by one. What
//! differs is looked at again after a pause: a row on its way is no difference.
//!
//! Values are compared by their text in a session whose settings are fixed: UTC, ISO dates, all
//! digits of a float, UTF-8. `1.0` and `1.00` are the same number, `0` and `-0` too. The rows
//! themselves stay in the database: what crosses the network are keys and hashes.

mod connect;
mod differences;
mod error;
mod pace;
mod report;
mod session;
mod settle;
mod shape;
mod sql;
mod table;
mod walk;

pub use connect::{connect, connect_at};
pub use error::Error;
pub use report::{Difference, Kind, Progress, Report, Values};
pub use serin_connect::Address;

use pace::Pace;
use shape::Shape;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// What is compared, and how gently.
#[derive(Debug, Clone)]
pub struct Request {
    /// The table as written in SQL: `orders`, `shop.orders`, `"Orders"`.
    pub table: String,
    /// Its name on the other side, where that differs.
    pub to_table: Option<String>,
    /// The key's columns. Empty: the primary key, else a unique key that is never null.
    pub key: Vec<String>,
    /// Only these columns, and the key. Empty: all.
    pub columns: Vec<String>,
    /// Not these columns.
    pub except: Vec<String>,
    /// Which hash.
    pub hash: Hash,
    /// How gently.
    pub limits: Limits,
    /// Whether values are shown where they differ. Without it only keys and columns are.
    pub shows_values: bool,
}

/// A hash that Postgres has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hash {
    /// The faster one.
    #[default]
    Md5,
    /// For servers whose rules forbid MD5.
    Sha256,
}

/// How gently, and how much is told.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of the first range; it grows and shrinks so that a range takes about `range_time`.
    pub chunk: u64,
    /// Time that a range should take.
    pub range_time: Duration,
    /// Share of the time spent asking, in (0, 1]; the rest is paused.
    pub duty: f64,
    /// Rows a second at most.
    pub rate: Option<f64>,
    /// Ranges of at most so many rows are told row by row.
    pub leaf: u64,
    /// Differences that are listed; the others are counted.
    pub listed: usize,
    /// Differences after which the walk is given up.
    pub found: usize,
    /// Pause before what differs is looked at again; doubled for each further look.
    pub again: Duration,
    /// How often what differs is looked at again.
    pub looks: u32,
    /// Longest time of one statement.
    pub statement: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            chunk: 10_000,
            range_time: Duration::from_millis(500),
            duty: 0.5,
            rate: None,
            leaf: 200,
            listed: 100,
            found: 10_000,
            again: Duration::from_secs(1),
            looks: 3,
            statement: Duration::from_mins(5),
        }
    }
}

impl Request {
    /// The table with the same name on both sides, all columns, gently.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            to_table: None,
            key: Vec::new(),
            columns: Vec::new(),
            except: Vec::new(),
            hash: Hash::default(),
            limits: Limits::default(),
            shows_values: false,
        }
    }
}

/// Compares a table in `from` with one in `to`. Changes settings of both sessions for good: use
/// connections of their own. Tells its progress after each range.
///
/// # Errors
/// [`Error`] when the tables cannot be compared, or a database says no.
pub async fn compare(
    from: &Client,
    to: &Client,
    request: &Request,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Report, Error> {
    let begun = Instant::now();
    let to_table = request.to_table.as_ref().unwrap_or(&request.table);
    let left = table::read(from, "from", &request.table, request.limits.statement).await?;
    let right = table::read(to, "to", to_table, request.limits.statement).await?;
    let shape = Shape::agree(&left, &right, request)?;
    let sides = walk::Sides::new(from, to, &shape, request.hash);
    sides.check_nulls(&shape).await?;
    let pace = Pace::new(&request.limits);
    let estimate = left.estimate.max(right.estimate);
    let walked = walk::Walk::new(&sides, request.limits, pace, estimate).run(progress).await?;
    let settled = settle::settle(&sides, walked.found, &request.limits).await?;
    let mut report = Report::new(request, &shape, &walked.seen, &settled);
    let listed = report::listed(&sides, &shape, settled, request).await?;
    report.differences = listed;
    report.took = begun.elapsed();
    Ok(report)
}
