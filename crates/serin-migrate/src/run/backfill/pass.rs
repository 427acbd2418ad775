//! One pass over a table, from its first row to the last it had when the pass began.

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::store::Kept;
use super::super::throttle::{Limits, Signals, Throttle};
use super::batch::{self, Batch};
use super::look;
use super::sql::{Range, Text};
use crate::{Key, literal};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// Time between two looks at who waits for a batch.
const WATCH: Duration = Duration::from_secs(1);

/// Time between two looks at what the throttle is told; older than twice that it is not used.
const LOOK: Duration = Duration::from_millis(50);
const FRESH: Duration = Duration::from_millis(100);

/// Time of which the rate is an average, s.
const SMOOTH: f64 = 10.0;

/// A pass under way.
struct Pass<'a> {
    text: Text<'a>,
    cursor: Option<Vec<String>>,
    high: Vec<String>,
    throttle: Throttle,
    /// Rows a page has, for tables without a key.
    rows_a_page: f64,
    /// Rows a second, all waits counted in.
    rate: f64,
    /// Lost a row to somebody else last time: takes only what is free now.
    only_free: bool,
    watched: Instant,
    /// What was seen last, and when.
    seen: Option<(Signals, Instant)>,
    /// The batch after it, looked up while it ran.
    ahead: Option<Next>,
}

/// What is next.
struct Next {
    range: Range,
    rows: i64,
    is_last: bool,
}

/// Does what is left of the pass.
pub(crate) async fn run(
    session: &Session<'_>,
    kept: &Kept,
    sync: usize,
    text: Text<'_>,
) -> Result<()> {
    let Some(mut pass) = load(session, kept, sync, text).await? else { return Ok(()) };
    loop {
        let began = Instant::now();
        let seen = pass.fresh();
        let size = look::may_go(session, kept, &mut pass.throttle, seen).await?;
        let Some(next) = pass.take(session, size).await? else { break };
        session.world.reached("batch");
        pass.one(session, kept, sync, &next, began).await?;
        if next.is_last && pass.cursor.as_ref() == Some(&next.range.to) {
            break;
        }
    }
    if pass.throttle.gives_way().is_some() {
        session.waits(kept.id, None).await?;
    }
    let finished = format!(
        "UPDATE serin.progress SET finished = true, rows_done = rows_total \
         WHERE migration = {} AND sync = {sync} AND leaf = {}",
        kept.id,
        literal(text.leaf),
    );
    session.transaction("ending a pass", 1_000, &[finished]).await.map(drop)
}

/// Where it stands; `None` when it is finished or has no row.
async fn load<'a>(
    session: &Session<'_>,
    kept: &Kept,
    sync: usize,
    text: Text<'a>,
) -> Result<Option<Pass<'a>>> {
    let sql = "SELECT cursor, high, batch_rows, rate, rows_total::float8 FROM serin.progress \
         WHERE migration = $1 AND sync = $2 AND leaf = $3 AND NOT finished";
    let row = session.look.query_opt(sql, &[&kept.id, &(sync as i32), &text.leaf]).await;
    let Some(row) = row.map_err(Error::sql("reading the progress"))? else { return Ok(None) };
    let Some(high) = row.get::<_, Option<Vec<String>>>(1) else { return Ok(None) };
    let size = row.get::<_, i32>(2);
    let limits = Limits::of(&kept.plan.migration.settings.backfill);
    let pages: f64 = high.first().and_then(|pages| pages.parse().ok()).unwrap_or(1.0);
    Ok(Some(Pass {
        text,
        cursor: row.get(0),
        high,
        throttle: Throttle::new(limits, (size > 0).then_some(size as u32)),
        rows_a_page: (row.get::<_, f64>(4) / pages.max(1.0)).max(1.0),
        rate: row.get(3),
        only_free: false,
        watched: Instant::now(),
        seen: None,
        ahead: None,
    }))
}

impl Pass<'_> {
    /// The next range; `None` at the end. After a batch that failed, what was looked up ahead is
    /// for nothing.
    async fn take(&mut self, session: &Session<'_>, size: u32) -> Result<Option<Next>> {
        match self.ahead.take() {
            Some(next) if next.range.after == self.cursor => Ok(Some(next)),
            _ => self.next(&session.client, self.cursor.clone(), size).await,
        }
    }

    /// The range after a row; `None` at the end.
    async fn next(
        &self,
        client: &Client,
        after: Option<Vec<String>>,
        size: u32,
    ) -> Result<Option<Next>> {
        let left = Range { after, to: self.high.clone() };
        if self.text.sync.key == Key::Place {
            return Ok(self.next_pages(left.after.as_deref(), size));
        }
        if left.after.as_ref() == Some(&left.to) {
            return Ok(None);
        }
        let boundary = batch::row(client, &self.text.boundary(&left, size)).await?;
        Ok(Some(match boundary {
            Some(to) => Next { range: Range { to, ..left }, rows: i64::from(size), is_last: false },
            None => Next { range: left, rows: 0, is_last: true },
        }))
    }

    fn next_pages(&self, after: Option<&[String]>, size: u32) -> Option<Next> {
        let number = |key: &[String]| key.first().and_then(|page| page.parse::<i64>().ok());
        let from = after.and_then(number).unwrap_or(0);
        let end = number(&self.high).unwrap_or(0);
        if from >= end {
            return None;
        }
        let pages = ((f64::from(size) / self.rows_a_page) as i64).max(1);
        let to = (from + pages).min(end);
        let rows = ((to - from) as f64 * self.rows_a_page) as i64;
        let range = Range { after: Some(vec![from.to_string()]), to: vec![to.to_string()] };
        Some(Next { range, rows, is_last: to == end })
    }

    /// One batch, or what its failure teaches.
    async fn one(
        &mut self,
        session: &Session<'_>,
        kept: &Kept,
        sync: usize,
        next: &Next,
        began: Instant,
    ) -> Result<()> {
        let update = if self.only_free {
            self.text.fill_free(&next.range)
        } else {
            self.text.fill(&next.range)
        };
        let watch = self.watched.elapsed() > WATCH;
        let batch = self.batch(kept, sync, next, update);
        let after = Some(next.range.to.clone());
        let (done, seen, ahead) = tokio::join!(
            batch::run(session, &batch, watch),
            self.signals(session, kept),
            self.next(&session.look, after, self.throttle.size()),
        );
        self.ahead = ahead?;
        self.seen = seen?;
        match done {
            Ok(done) => {
                self.moved(next, done, began, watch).await;
            }
            Err(error) if error.is_conflict() => {
                self.only_free = true;
                self.throttle.halve();
            }
            Err(error) if is_about_data(&error) && self.throttle.size() > 1 => {
                self.throttle.halve();
            }

            // The row is left to the sweep at the end, which tells it.
            Err(error) if is_about_data(&error) && self.text.instead.is_none() => {
                self.pass_over(session, kept, sync, next).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn fresh(&self) -> Option<Signals> {
        let fresh = self.seen.as_ref().filter(|(_, at)| at.elapsed() < FRESH);
        fresh.map(|(seen, _)| seen.clone())
    }

    /// What there is to see, unless it was just seen: looking costs the server a little, too.
    async fn signals(
        &self,
        session: &Session<'_>,
        kept: &Kept,
    ) -> Result<Option<(Signals, Instant)>> {
        match &self.seen {
            Some((seen, at)) if at.elapsed() < LOOK => Ok(Some((seen.clone(), *at))),
            _ => Ok(Some((look::signals(session, kept).await?, Instant::now()))),
        }
    }

    fn batch(&self, kept: &Kept, sync: usize, next: &Next, update: String) -> Batch<'_> {
        Batch {
            migration: kept.id,
            sync,
            leaf: self.text.leaf,
            update,
            cursor: Some(next.range.to.clone()),
            rows: next.rows,
            size: self.throttle.size(),
            rate: self.rate,
        }
    }

    async fn moved(&mut self, next: &Next, done: batch::Done, began: Instant, watched: bool) {
        self.cursor = Some(next.range.to.clone());
        self.only_free = false;
        if watched {
            self.watched = Instant::now();
        }
        let rest = self.throttle.took(done.ms, done.rows_ms, done.waiters);
        tokio::time::sleep(Duration::from_millis(rest)).await;
        let rows = if next.is_last { done.changed } else { next.rows };
        self.rate = averaged(self.rate, rows as f64, began.elapsed().as_secs_f64().max(1e-6));
    }

    async fn pass_over(
        &mut self,
        session: &Session<'_>,
        kept: &Kept,
        sync: usize,
        next: &Next,
    ) -> Result<()> {
        let nothing = "SELECT 1 WHERE false".to_owned();
        batch::run(session, &self.batch(kept, sync, next, nothing), false).await?;
        self.cursor = Some(next.range.to.clone());
        self.throttle.took(1.0, 1.0, 0);
        Ok(())
    }
}

/// The rate after so many rows in so many seconds: what took longer counts more.
fn averaged(before: f64, rows: f64, seconds: f64) -> f64 {
    let now = rows / seconds;
    if before == 0.0 { now } else { before + (now - before) * (1.0 - (-seconds / SMOOTH).exp()) }
}

/// A value that cannot be worked out, or breaks a rule.
pub(crate) fn is_about_data(error: &Error) -> bool {
    error.code().is_some_and(|code| ["22", "23", "P0"].contains(&code.get(..2).unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::averaged;

    #[test]
    fn the_rate_is_that_of_the_last_seconds_however_long_batches_are() {
        let after = |rows: f64, seconds: f64| {
            let batches = (30.0 / seconds) as usize;
            (0..batches).fold(16_000.0, |rate, _| averaged(rate, rows, seconds))
        };
        for (rows, seconds) in [(30.0, 0.03), (500.0, 0.5), (2_000.0, 2.0)] {
            assert!((1_000.0..1_900.0).contains(&after(rows, seconds)), "{seconds}");
        }
        assert!((averaged(0.0, 500.0, 0.25) - 2_000.0).abs() < 1e-9);
    }
}
