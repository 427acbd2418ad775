//! The end of a contract under way, while both shapes are still whole.

use super::error::{Error, Result};
use super::runner::Runner;
use super::session::{self, Session};
use super::state::State;
use super::status::Status;
use super::store::{self, Kept, Part};
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
