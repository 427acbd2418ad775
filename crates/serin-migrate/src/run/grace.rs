//! What contracts of earlier migrations only hid, and when it goes for good.

use super::error::{Error, Result};
use super::runner::Runner;
use super::session::{self, Session};
use super::status::Status;
use super::store::{self, Kept, Part};
use super::{report, steps};
use crate::{Action, Flaw, Plan, Stage, Step};
use serde::Serialize;

/// What the name of a hidden thing begins with.
const HIDDEN: &str = "_serin_gone_";

/// Time to try for the locks of one drop before a new migration, ms: it can wait for the next.
const BUDGET_MS: u64 = 3_000;

/// What one migration hid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hidden {
    /// The number of the migration.
    pub migration: i64,
    /// Its name.
    pub name: String,
    /// What is still to be dropped, a few words each.
    pub what: Vec<String>,
    /// Time until the grace time is over, ms; 0 when it is.
    pub left_ms: i64,
}

impl Hidden {
    /// The grace time is over: the next migration, or the next cleaning, drops it.
    pub fn may_go(&self) -> bool {
        self.left_ms == 0
    }
}

impl Runner {
    /// What lies hidden, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn hidden(&self) -> Result<Vec<Hidden>> {
        let client = self.connect().await?;
        if session::version(&client).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for (kept, ago_ms) in store::in_grace(&client, self.database().schema().as_str()).await? {
            let done = store::done(&client, kept.id, Part::Contract).await?;
            let left = kept.plan.contract.iter().enumerate().filter(|(seq, _)| !done.contains(seq));
            all.push(Hidden {
                migration: kept.id,
                name: kept.plan.migration.name.clone(),
                what: left.map(|(_, step)| step.title.clone()).collect(),
                left_ms: left_ms(&kept, ago_ms),
            });
        }
        Ok(all)
    }

    /// Drops what earlier migrations hid, once their grace time is over; how many migrations that
    /// was.
    ///
    /// # Errors
    /// [`Error::Open`] where something is to be dropped and a migration is open, which would take
    /// it for a change by somebody else; whatever stops it.
    pub async fn clean(&self) -> Result<usize> {
        let mut session = self.session().await?;
        let due = due(&session).await?;
        if !due.is_empty() {
            none_open(&session).await?;
        }
        let cleaned = due.len();
        for mut kept in due {
            self::cleaned(&mut session, &mut kept).await?;
        }
        Ok(cleaned)
    }
}

/// Before a new migration begins: drops what is past its time, without holding anybody up. What
/// cannot be dropped stays for the next one, and is told as a warning. So does, without a word,
/// what the new migration names, for it may bring it back.
pub(super) async fn sweep(session: &mut Session<'_>, plan: &Plan) -> Vec<Flaw> {
    // What cannot be asked here stops the migration itself, with a reason of its own.
    let Ok(due) = due(session).await else { return Vec::new() };
    if due.is_empty() {
        return Vec::new();
    }
    let text = serde_json::to_string(plan).unwrap_or_default();
    let patience = session.patience;
    session.patience.budget_ms = patience.budget_ms.min(BUDGET_MS);
    let mut warnings = Vec::new();
    for mut kept in due.into_iter().filter(|kept| !names_hidden(&text, &kept.plan)) {
        if let Err(error) = cleaned(session, &mut kept).await {
            let _ = session.waits(kept.id, None).await;
            warnings.push(not_dropped(&kept, &error));
        }
    }
    session.patience = patience;
    warnings
}

fn not_dropped(kept: &Kept, error: &Error) -> Flaw {
    let name = &kept.plan.migration.name;
    let message = format!(
        "what {name} hid is past its grace time, and could not be dropped before this began: {error}"
    );
    Flaw::new("", message).hint("`serin migrate clean` drops it, once no migration is open")
}

/// Whether a plan's text names something that an earlier one hid.
fn names_hidden(text: &str, earlier: &Plan) -> bool {
    hidden_names(&earlier.contract).iter().any(|name| text.contains(name.as_str()))
}

/// The names in the steps that drop what was hidden; no two migrations give the same.
fn hidden_names(steps: &[Step]) -> Vec<String> {
    let grace = steps.iter().filter(|step| step.stage == Stage::Grace);
    let sql = grace.filter_map(|step| match &step.action {
        Action::Transaction { sql, .. } => Some(sql.join(" ")),
        _ => None,
    });
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    sql.flat_map(|sql| {
        sql.match_indices(HIDDEN).map(|(at, _)| name(&sql[at..])).collect::<Vec<_>>()
    })
    .collect()
}

/// Those whose grace time is over, oldest first.
async fn due(session: &Session<'_>) -> Result<Vec<Kept>> {
    let schema = session.database.schema().as_str();
    let all = store::in_grace(&session.look, schema).await?;
    let is_due = |(kept, ago_ms): (Kept, i64)| (left_ms(&kept, ago_ms) == 0).then_some(kept);
    Ok(all.into_iter().filter_map(is_due).collect())
}

fn left_ms(kept: &Kept, ago_ms: i64) -> i64 {
    let grace = i64::try_from(kept.plan.migration.settings.contract.grace_ms).unwrap_or(i64::MAX);
    grace.saturating_sub(ago_ms).max(0)
}

async fn none_open(session: &Session<'_>) -> Result<()> {
    let schema = session.database.schema().as_str();
    let Some(open) = store::open(&session.look, schema).await? else { return Ok(()) };
    let name = open.plan.migration.name;
    Err(Error::Open { name, schema: schema.into(), state: open.state })
}

/// Drops what a migration hid.
pub(super) async fn cleaned(session: &mut Session<'_>, kept: &mut Kept) -> Result<Status> {
    let done = store::done(&session.look, kept.id, Part::Contract).await?;
    for (seq, step) in kept.plan.contract.clone().into_iter().enumerate() {
        if step.stage == Stage::Grace && !done.contains(&seq) {
            // Later migrations have changed these tables.
            kept.shape = None;
            steps::one(session, kept, Part::Contract, seq, &step).await?;
        }
    }
    report::status(&session.look, kept.id).await
}
