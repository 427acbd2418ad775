//! The steps of a part, one after the other, each done once.

use super::error::{Error, Result};
use super::session::Session;
use super::store::{self, Kept, Part, finish};
use super::{backfill, ddl, index, salvage, shape, verify};
use crate::plan::{OWN_DOWN, OWN_UP};
use crate::{Action, Ident, Stage, Step};
use std::pin::Pin;

/// Times a step is tried again after its connection was lost without anything getting done.
const LOSSES: u32 = 5;

/// Does what is left of a part; what is hidden for the grace time stays.
pub(crate) async fn part(session: &mut Session<'_>, kept: &mut Kept, part: Part) -> Result<()> {
    let steps = part.steps(&kept.plan).to_vec();
    let done = store::done(&session.look, kept.id, part).await?;
    let is_for_nothing = part == Part::Back && !own_sql_ran(session, kept).await?;
    let open = |(seq, step): &(usize, Step)| {
        let is_needed = !is_for_nothing || step.title != OWN_DOWN;
        !done.contains(seq) && step.stage != Stage::Grace && is_needed
    };
    let open: Vec<(usize, Step)> = steps.into_iter().enumerate().filter(open).collect();
    for (seq, step) in open {
        one(session, kept, part, seq, &step).await?;
    }
    if kept.state == part.end() {
        return Ok(());
    }
    ended(session, kept, part).await
}

/// Whether SQL of the author's ran on the way here: `down` takes back what `up` did, and may fail
/// where that was nothing.
async fn own_sql_ran(session: &Session<'_>, kept: &Kept) -> Result<bool> {
    let Some(seq) = kept.plan.forward.iter().position(|step| step.title == OWN_UP) else {
        return Ok(true);
    };
    Ok(store::done(&session.look, kept.id, Part::Forward).await?.contains(&seq))
}

/// A part without a step of its own ends all the same.
async fn ended(session: &Session<'_>, kept: &mut Kept, part: Part) -> Result<()> {
    session.transaction("ending", 1_000, &[store::end(kept, part)]).await?;
    shape::note(session, kept).await
}

/// Does one step, over lost connections and a server that ends and comes back.
pub(crate) async fn one(
    session: &mut Session<'_>,
    kept: &mut Kept,
    part: Part,
    seq: usize,
    step: &Step,
) -> Result<()> {
    let (mut losses, mut batches) = (0, 0);
    let mut done = attempt(session, kept, part, seq, step).await.map(|()| true);
    loop {
        let error = match done {
            Ok(true) => return Ok(()),
            Ok(false) => {
                done = attempt(session, kept, part, seq, step).await.map(|()| true);
                continue;
            }
            Err(error) => error,
        };
        losses += 1;
        if !matches!(error, Error::Lost(_) | Error::Connect { .. }) || losses > LOSSES {
            return Err(error);
        }
        session.renew().await?;
        done = found(session, kept, part, seq).await;
        let now = store::batches(&session.look, kept.id).await.unwrap_or(batches);
        if now > batches {
            (losses, batches) = (0, now);
        }
    }
}

/// What was under way may have been done when the connection ended.
async fn found(session: &Session<'_>, kept: &mut Kept, part: Part, seq: usize) -> Result<bool> {
    let is_done = store::done(&session.look, kept.id, part).await?.contains(&seq);
    shape::note(session, kept).await?;
    Ok(is_done)
}

/// Not longer than the lease is held: a statement without an answer would be waited for for ever.
async fn attempt(
    session: &Session<'_>,
    kept: &mut Kept,
    part: Part,
    seq: usize,
    step: &Step,
) -> Result<()> {
    tokio::select! {
        done = tried(session, kept, part, seq, step) => done,
        lost = session.lost() => Err(lost),
    }
}

async fn tried(
    session: &Session<'_>,
    kept: &mut Kept,
    part: Part,
    seq: usize,
    step: &Step,
) -> Result<()> {
    let reached = |point: &str| {
        session.world.reached(&format!("{}/{seq}/{point}", part.word()));
    };
    shape::compare(session, kept).await?;
    reached("before");
    session.begin(kept, part, seq).await?;
    reached("begun");
    act(session, kept, part, seq, step).await?;
    reached("after");
    shape::note(session, kept).await
}

/// Behind a pointer, so that its code is built once and not in every part that waits for it.
fn act<'a>(
    session: &'a Session<'a>,
    kept: &'a Kept,
    part: Part,
    seq: usize,
    step: &'a Step,
) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
    Box::pin(acted(session, kept, part, seq, step))
}

async fn acted(
    session: &Session<'_>,
    kept: &Kept,
    part: Part,
    seq: usize,
    step: &Step,
) -> Result<()> {
    match &step.action {
        Action::Transaction { sql, tables } => {
            let all = |waits| locked_first(kept, step, sql, finish(kept, part, seq, waits));
            let work = ddl::Work { what: &step.title, tables, sql: &all };
            return ddl::run(session, kept, work).await.map(drop);
        }
        Action::IndexConcurrently { .. } | Action::DropIndexConcurrently { .. } => {
            return index::run(session, kept, part, seq, &step.action).await;
        }
        Action::Backfill { sync } => backfill::run(session, kept, *sync).await?,
        Action::Fill(fill) => {
            let before = &part.steps(&kept.plan)[..seq];
            let is_fill = |step: &&Step| matches!(step.action, Action::Fill(_));
            let number = before.iter().filter(is_fill).count();
            backfill::fill(session, kept, number, fill).await?;
        }
        Action::AllDone { sync } => backfill::complete(session, kept, *sync).await?,
        Action::Violations { rule, query } => verify::violations(session, rule, query).await?,
        Action::Check { sql } => verify::check(session, sql).await?,
        Action::Salvage { sync } => salvage::keep(session, kept, *sync).await?,
        Action::Restore { sync } => salvage::restore(session, kept, *sync).await?,
    }
    session.transaction("noting a step", 1_000, &finish(kept, part, seq, 0)).await.map(drop)
}

/// The swap takes all its locks at the beginning: it waits for the first, and gives up when
/// another is taken, so that nobody waits for it while it waits itself.
fn locked_first(kept: &Kept, step: &Step, sql: &[String], finish: Vec<String>) -> Vec<String> {
    let Action::Transaction { tables, .. } = &step.action else { return finish };
    let mut all = Vec::new();
    if step.stage == Stage::Swap {
        let lock = |table: &Ident| {
            format!("LOCK TABLE {}.{table} IN ACCESS EXCLUSIVE MODE", kept.plan.schema)
        };
        all.extend(tables.iter().take(1).map(lock));
        all.extend(tables.iter().skip(1).map(|table| format!("{} NOWAIT", lock(table))));
    }
    all.extend(sql.iter().cloned());
    all.extend(finish);
    all
}
