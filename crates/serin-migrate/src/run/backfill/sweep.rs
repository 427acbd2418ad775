//! What a pass leaves: rows whose key moved, rows that somebody held, partitions that came, and
//! rows that cannot be filled in.

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::store::Kept;
use super::super::throttle::{Limits, Throttle};
use super::batch::{self, Batch, Done};
use super::pass::is_about_data;
use super::sql::Text;
use super::{Leaf, look, of};
use std::time::{Duration, Instant};

/// Sweeps until it gives up: each leaves only what came during it.
pub(crate) const ROUNDS: u32 = 10;

/// Rows that are told.
const TOLD: usize = 10;

/// Time between two tries at rows that somebody holds.
const RETRY: Duration = Duration::from_millis(100);

struct Sweep<'a> {
    text: Text<'a>,
    throttle: Throttle,
    /// Places of rows that cannot be filled in.
    bad: Vec<String>,
    /// How they are told.
    told: Vec<String>,
    said: String,
    /// Since when somebody has held the next row.
    stuck: Option<Instant>,
}

/// Fills in all rows of a table that are not.
///
/// # Errors
/// [`Error::Rows`] with those that cannot be, [`Error::Locked`] when somebody holds one for
/// longer than the budget.
pub(crate) async fn run(
    session: &Session<'_>,
    kept: &Kept,
    sync: usize,
    leaf: &Leaf,
) -> Result<()> {
    let limits = Limits::of(&kept.plan.migration.settings.backfill);
    let mut sweep = Sweep {
        text: Text::of(of(kept, sync)?, &leaf.name),
        throttle: Throttle::new(limits, None),
        bad: Vec::new(),
        told: Vec::new(),
        said: String::new(),
        stuck: None,
    };
    while sweep.told.len() < TOLD {
        let size = look::may_go(session, kept, &mut sweep.throttle, None).await?;
        match batch::run(session, &sweep.batch(kept, sync, size), false).await {
            Ok(Done { changed: 0, .. }) => break,
            Ok(done) => sweep.rest(done).await,
            Err(error) => sweep.failed(session, kept, error).await?,
        }
    }
    if sweep.throttle.gives_way().is_some() {
        session.waits(kept.id, None).await?;
    }
    if sweep.told.is_empty() {
        return Ok(());
    }
    let what = format!("filling in {}", leaf.name);
    Err(Error::Rows { what, said: sweep.said, rows: sweep.told })
}

impl Sweep<'_> {
    fn batch(&self, kept: &Kept, sync: usize, size: u32) -> Batch<'_> {
        Batch {
            migration: kept.id,
            sync,
            leaf: self.text.leaf,
            update: self.text.fill_any(&self.bad, size),
            cursor: None,
            rows: 0,
            size,
            rate: 0.0,
        }
    }

    async fn rest(&mut self, done: Done) {
        self.stuck = None;
        let rest = self.throttle.took(done.ms, done.rows_ms, done.waiters);
        tokio::time::sleep(Duration::from_millis(rest)).await;
    }

    async fn failed(&mut self, session: &Session<'_>, kept: &Kept, error: Error) -> Result<()> {
        if error.is_conflict() {
            self.throttle.halve();
            return self.wait(session, kept).await;
        }
        if !is_about_data(&error) {
            return Err(error);
        }
        if self.throttle.size() > 1 {
            self.throttle.halve();
            return Ok(());
        }
        let first = batch::row(&session.client, &self.text.first_unfilled(&self.bad)).await?;
        if let Some([place, told]) = first.as_deref() {
            self.bad.push(place.clone());
            self.told.push(told.clone());
        }
        if let Error::Sql { said, .. } = error {
            self.said = said;
        }
        Ok(())
    }

    /// Somebody holds a row.
    async fn wait(&mut self, session: &Session<'_>, kept: &Kept) -> Result<()> {
        let since = *self.stuck.get_or_insert_with(Instant::now);
        let budget = Duration::from_millis(session.patience.budget_ms);
        if since.elapsed() > budget {
            let what = format!("filling in the last rows of {}", self.text.leaf);
            let blockers = "a transaction holds one of these rows".to_owned();
            return Err(Error::Locked { what, seconds: budget.as_secs(), blockers });
        }
        session.waits(kept.id, Some("a transaction holds one of the last rows")).await?;
        tokio::time::sleep(RETRY).await;
        Ok(())
    }
}
