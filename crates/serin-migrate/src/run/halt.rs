//! The end of a contract under way, while both shapes are still whole, and what else is in the
//! way of a way back.

use super::error::{Error, Result};
use super::options::Say;
use super::runner::{self, Runner};
use super::session::{self, Session};
use super::state::{State, Wish};
use super::status::Status;
use super::store::{self, Kept, Part, finish};
use super::{brown, report};
use crate::{Action, Stage};
use tokio_postgres::Client;

impl Runner {
    /// Ends a contract under way, so that the old shape stays and the migration may be taken back.
    /// Whoever was at work on it is shut out first; what they committed counts.
    ///
    /// The status says what came of it: both shapes are in use, or it was done in the moment
    /// before. Proofs that are done are kept for the next contract.
    ///
    /// # Errors
    /// [`Error::NotNow`] when a part of phased SQL is final already, [`Error::Held`] while another
    /// runner lives.
    pub async fn halt(&self) -> Result<Status> {
        let session = self.session().await?;
        let schema = self.database().schema().as_str();
        let Some(mut kept) = store::open(&session.look, schema).await? else {
            let last = store::last(&session.look, schema, None).await?;
            let last = last.ok_or(Error::None("open"))?;
            return report::status(&session.look, last.id).await;
        };
        may_return(&session, &kept).await?;
        if kept.state == State::Contracting {
            brown::open(&session, &kept).await?;
            let sql = format!(
                "UPDATE serin.migration SET state = 'dual', waiting = NULL, error = NULL \
                 WHERE id = {}",
                kept.id
            );
            session.transaction("stopping the contract", 1_000, &[sql]).await?;
            session.note(kept.id, "halt", "the contract was stopped; the old shape stays").await?;
            kept.state = State::Dual;
        }
        report::status(&session.look, kept.id).await
    }

    /// What the contract has done that cannot be taken back, if the open migration is so far;
    /// `None` while there is a way back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn past_return(&self) -> Result<Option<String>> {
        let client = self.connect().await?;
        if session::version(&client).await?.is_none() {
            return Ok(None);
        }
        match store::open(&client, self.database().schema().as_str()).await? {
            Some(kept) => final_step(&client, &kept).await,
            None => Ok(None),
        }
    }
}

/// A session for a way back. A contract that another process works on is ended while nothing of it
/// is final: what it committed counts, and that process hears that somebody took over.
pub(super) async fn session_to_return(runner: &Runner) -> Result<Session<'_>> {
    match runner.session().await {
        Err(held @ Error::Held { .. }) if !is_contract(runner).await? => Err(held),
        Err(Error::Held { .. }) => {
            let session = runner.session_after(0).await?;
            if let Some(kept) =
                store::open(&session.look, runner.database().schema().as_str()).await?
            {
                session.note(kept.id, "halt", "the contract was stopped, for a way back").await?;
            }
            Ok(session)
        }
        done => done,
    }
}

/// Whether the runner at work is one of a contract that a person began. What a rollout does is
/// ended by that rollout: it would only begin again.
async fn is_contract(runner: &Runner) -> Result<bool> {
    let client = runner.connect().await?;
    let sql = "SELECT state IN ('dual', 'contracting') AND who NOT LIKE 'rollout %' \
         FROM serin.migration WHERE schema = $1 AND ended_at IS NULL";
    let row = client.query_opt(sql, &[&runner.database().schema().as_str()]).await;
    let row = row.map_err(Error::sql("looking what is under way"))?;
    let Some(kept) = store::open(&client, runner.database().schema().as_str()).await? else {
        return Ok(false);
    };
    let by_hand = row.is_some_and(|row| row.get(0));
    Ok(by_hand && final_step(&client, &kept).await?.is_none())
}

/// The migration that is to go back; one that is done is told so.
pub(super) async fn to_return(session: &Session<'_>) -> Result<Kept> {
    let schema = session.database.schema().as_str();
    match store::open(&session.look, schema).await? {
        Some(open) => Ok(open),
        None => match store::last(&session.look, schema, None).await? {
            Some(last) if last.state == State::Done => {
                runner::may(&last, Wish::Revert)?;
                Err(Error::None("open"))
            }
            _ => Err(Error::None("open")),
        },
    }
}

/// Whether a step of SQL by hand that failed on the way back need not be done: somebody gave a
/// reason.
pub(super) fn may_pass_over(kept: &Kept, error: &Error, say: &Say) -> bool {
    say.override_reason.is_some() && kept.plan.is_phased() && error.is_own_fault()
}

/// Notes the step on the way back that failed as done, with what it said.
pub(super) async fn pass_over(session: &Session<'_>, kept: &Kept, error: &Error) -> Result<()> {
    let done = store::done(&session.look, kept.id, Part::Back).await?;
    let open = (0..kept.plan.back.len()).find(|seq| !done.contains(seq));
    let Some((seq, step)) = open.and_then(|seq| Some((seq, kept.plan.back.get(seq)?))) else {
        return Err(Error::Kept("no step of the way back is left".into()));
    };
    let said = format!("`{}` was passed over: {error}", step.title);
    session.note(kept.id, "passed over", &said).await?;
    let sql = finish(kept, Part::Back, seq, 0);
    session.transaction("passing over a step", 1_000, &sql).await.map(drop)
}

/// Refuses a way back from where there is none.
pub(super) async fn may_return(session: &Session<'_>, kept: &Kept) -> Result<()> {
    let Some(step) = final_step(&session.look, kept).await? else { return Ok(()) };
    let why = format!(
        "its contract has done `{step}`, which nothing takes back. Let it end with `resume`; what \
         is missing then comes from the backup, or with a new migration"
    );
    Err(Error::NotNow { name: kept.plan.migration.name.clone(), why })
}

/// A step of the contract that is final. The swap of operations is one transaction, and with it
/// the migration is done; SQL by hand is final part by part.
async fn final_step(client: &Client, kept: &Kept) -> Result<Option<String>> {
    if !kept.plan.is_phased() {
        return Ok(None);
    }
    let done = store::done(client, kept.id, Part::Contract).await?;
    let changes =
        |action: &Action| !matches!(action, Action::Check { .. } | Action::Violations { .. });
    let steps = kept.plan.contract.iter().enumerate();
    let mut steps = steps.filter(|(_, step)| step.stage != Stage::Grace && changes(&step.action));
    Ok(steps.find(|(seq, _)| done.contains(seq)).map(|(_, step)| step.title.clone()))
}
