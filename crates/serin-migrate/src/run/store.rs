//! What is kept in the database about a migration.

use super::error::{Error, Result};
use super::options::Say;
use super::session::Session;
use super::state::State;
use crate::{Action, Ident, Plan, Stage, Step, literal};
use std::collections::BTreeSet;
use tokio_postgres::{Client, Row};

/// The parts of a plan, each with steps of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Forward,
    Contract,
    Back,
}

impl Part {
    /// As it is kept.
    pub fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Contract => "contract",
            Self::Back => "back",
        }
    }

    /// Its steps.
    pub fn steps(self, plan: &Plan) -> &[Step] {
        match self {
            Self::Forward => &plan.forward,
            Self::Contract => &plan.contract,
            Self::Back => &plan.back,
        }
    }

    /// The state that it leads to.
    pub fn end(self) -> State {
        match self {
            Self::Forward => State::Dual,
            Self::Contract => State::Done,
            Self::Back => State::Reverted,
        }
    }

    /// What is set along with that state.
    fn ended(self) -> &'static str {
        match self {
            Self::Forward => "state = 'dual', dual_at = clock_timestamp()",
            Self::Contract => {
                "state = 'done', ended_at = clock_timestamp(), swapped_at = clock_timestamp()"
            }
            Self::Back => "state = 'reverted', ended_at = clock_timestamp()",
        }
    }

    /// The part that a state works on, or worked on last.
    pub fn of(state: State) -> Self {
        match state {
            State::Contracting | State::Done => Self::Contract,
            State::Reverting | State::Reverted => Self::Back,
            _ => Self::Forward,
        }
    }
}

/// One migration as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub id: i64,
    pub plan: Plan,
    pub state: State,
    /// What the tables looked like after the last step.
    pub shape: Option<String>,
    pub swapped: bool,
    /// Who started it: a person, or `rollout 2 of shop`.
    pub who: String,
}

const COLUMNS: &str = "id, plan::text, state, shape, swapped_at IS NOT NULL, who";

fn read(row: &Row) -> Result<Kept> {
    let plan: String = row.get(1);
    let plan = serde_json::from_str(&plan);
    let plan = plan.map_err(|error| Error::Kept(format!("its plan: {error}")))?;
    Ok(Kept {
        id: row.get(0),
        plan,
        state: state(row.get(2))?,
        shape: row.get(3),
        swapped: row.get(4),
        who: row.get(5),
    })
}

pub(crate) fn state(word: &str) -> Result<State> {
    State::from_word(word).ok_or_else(|| Error::Kept(format!("a state `{word}`")))
}

fn failed() -> impl FnOnce(tokio_postgres::Error) -> Error {
    Error::sql("reading what is kept about migrations")
}

/// The migration that is open in a schema.
pub(crate) async fn open(client: &Client, schema: &str) -> Result<Option<Kept>> {
    let sql =
        format!("SELECT {COLUMNS} FROM serin.migration WHERE schema = $1 AND ended_at IS NULL");
    let row = client.query_opt(&sql, &[&schema]).await.map_err(failed())?;
    row.as_ref().map(read).transpose()
}

/// The last migration of a schema, with this name if one is given.
pub(crate) async fn last(
    client: &Client,
    schema: &str,
    name: Option<&str>,
) -> Result<Option<Kept>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM serin.migration WHERE schema = $1 AND name = coalesce($2, name) \
         ORDER BY id DESC LIMIT 1"
    );
    let row = client.query_opt(&sql, &[&schema, &name]).await.map_err(failed())?;
    row.as_ref().map(read).transpose()
}

/// The views that clients use now: those of the last migration that is done.
pub(crate) async fn view_in_use(client: &Client, schema: &str) -> Result<Option<Ident>> {
    let sql = "SELECT new_view FROM serin.migration WHERE schema = $1 AND state = 'done' \
         AND new_view <> schema AND to_regnamespace(quote_ident(new_view)) IS NOT NULL ORDER BY id DESC LIMIT 1";
    let row = client.query_opt(sql, &[&schema]).await.map_err(failed())?;
    let name = row.map(|row| Ident::new(row.get::<_, String>(0))).transpose();
    name.map_err(|error| Error::Kept(error.to_string()))
}

/// Those that are done, whose hidden things wait for the end of their grace time.
pub(crate) async fn in_grace(client: &Client, schema: &str) -> Result<Vec<(Kept, i64)>> {
    let sql = format!(
        "SELECT {COLUMNS}, (extract(epoch FROM clock_timestamp() - ended_at) * 1000)::bigint \
         FROM serin.migration WHERE schema = $1 AND state = 'done' ORDER BY id"
    );
    let rows = client.query(&sql, &[&schema]).await.map_err(failed())?;
    let mut all = Vec::new();
    for row in &rows {
        let kept = read(row)?;
        let done = done(client, kept.id, Part::Contract).await?;
        if (0..kept.plan.contract.len()).any(|seq| !done.contains(&seq)) {
            all.push((kept, row.get(6)));
        }
    }
    Ok(all)
}

/// Places of the steps of a part that are done.
pub(crate) async fn done(client: &Client, id: i64, part: Part) -> Result<BTreeSet<usize>> {
    let sql = "SELECT seq FROM serin.step WHERE migration = $1 AND part = $2 AND state = 'done'";
    let rows = client.query(sql, &[&id, &part.word()]).await.map_err(failed())?;
    Ok(rows.iter().map(|row| row.get::<_, i32>(0) as usize).collect())
}

/// Batches that a migration has done so far.
pub(crate) async fn batches(client: &Client, id: i64) -> Result<i64> {
    let sql = "SELECT coalesce(sum(batches), 0)::bigint FROM serin.progress WHERE migration = $1";
    Ok(client.query_one(sql, &[&id]).await.map_err(failed())?.get(0))
}

impl Session<'_> {
    /// Keeps a new migration.
    pub async fn keep(&self, plan: &Plan) -> Result<()> {
        let text = serde_json::to_string(plan).map_err(|error| Error::Kept(error.to_string()))?;
        let old = plan.old_view.as_ref().map_or("NULL".into(), |view| literal(view.as_str()));
        let insert = format!(
            "INSERT INTO serin.migration (schema, name, old_view, new_view, state, plan, who, \
             shape) VALUES ({}, {}, {old}, {}, 'planned', {}::jsonb, {}, {})",
            literal(plan.schema.as_str()),
            literal(&plan.migration.name),
            literal(plan.new_view.as_str()),
            literal(&text),
            literal(self.who),
            shape(plan),
        );
        self.transaction("keeping the migration", 1_000, &[insert]).await.map(drop)
    }

    /// Notes what somebody did.
    pub async fn note(&self, id: i64, what: &str, detail: &str) -> Result<()> {
        note(&self.look, id, self.who, what, detail).await
    }

    /// Notes overriding and naming of a backup.
    pub async fn note_say(&self, id: i64, say: &Say) -> Result<()> {
        if let Some(reason) = &say.override_reason {
            self.note(id, "override", reason).await?;
        }
        if let Some(backup) = &say.backup {
            self.note(id, "backup", backup).await?;
        }
        Ok(())
    }

    /// What it waits for, told to whoever asks.
    pub async fn waits(&self, id: i64, why: Option<&str>) -> Result<()> {
        let sql = "UPDATE serin.migration SET waiting = $2 WHERE id = $1 \
             AND waiting IS DISTINCT FROM $2";
        let done = self.look.execute(sql, &[&id, &why]).await;
        done.map(drop).map_err(Error::sql("noting what it waits for"))
    }

    /// What stopped it.
    pub async fn stopped(&self, id: i64, error: &Error) -> Result<()> {
        let sql = "UPDATE serin.migration SET error = $2, waiting = NULL WHERE id = $1 \
             AND EXISTS (SELECT FROM serin.lease l WHERE l.schema = $3 AND l.epoch = $4)";
        let schema = self.database.schema().as_str();
        let text = error.to_string();
        let done = self.look.execute(sql, &[&id, &text, &schema, &self.epoch()]).await;
        done.map(drop).map_err(Error::sql("noting what stopped it"))
    }

    /// A step is under way: the state says so before it begins.
    pub async fn begin(&self, kept: &Kept, part: Part, seq: usize) -> Result<()> {
        let step = &part.steps(&kept.plan)[seq];
        let mark = format!(
            "SELECT serin.begun({}, {}, {seq}, {}, {}, {}, {})",
            kept.id,
            literal(part.word()),
            literal(&step.title),
            literal(&hash(step)),
            literal(self.who),
            self.epoch(),
        );
        let state = match step.stage {
            // What is dropped after the end does not open the migration again.
            Stage::Grace => String::new(),
            stage => format!(", state = {}", literal(State::of(stage).word())),
        };
        let update =
            format!("UPDATE serin.migration SET error = NULL{state} WHERE id = {}", kept.id);
        self.transaction("noting a step", 1_000, &[mark, update]).await.map(drop)
    }
}

/// Notes what somebody did.
pub(crate) async fn note(
    client: &Client,
    id: i64,
    who: &str,
    what: &str,
    detail: &str,
) -> Result<()> {
    let sql = "INSERT INTO serin.deed (migration, who, what, detail) VALUES ($1, $2, $3, $4)";
    let done = client.execute(sql, &[&id, &who, &what, &detail]).await;
    done.map(drop).map_err(Error::sql("noting what was done"))
}

fn hash(step: &Step) -> String {
    use sha2::{Digest, Sha256};
    use std::fmt::Write;
    let text = serde_json::to_string(&step.action).unwrap_or_default();
    let bytes = Sha256::digest(text.as_bytes());
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Statements, in the transaction of a step, that note it as done; with the last one of a part
/// goes the state that comes after it.
pub(crate) fn finish(kept: &Kept, part: Part, seq: usize, lock_waits: u32) -> Vec<String> {
    let mark = format!(
        "UPDATE serin.step SET state = 'done', finished_at = clock_timestamp(), \
         lock_waits = {lock_waits} WHERE migration = {} AND part = {} AND seq = {seq}",
        kept.id,
        literal(part.word()),
    );
    let after =
        if is_last(&kept.plan, part, seq) { format!(", {}", part.ended()) } else { String::new() };
    let update = format!(
        "UPDATE serin.migration SET waiting = NULL, error = NULL, shape = {}{after} WHERE id = {}",
        shape(&kept.plan),
        kept.id,
    );
    vec![mark, update]
}

/// The statement that ends a part.
pub(crate) fn end(kept: &Kept, part: Part) -> String {
    format!("UPDATE serin.migration SET {} WHERE id = {}", part.ended(), kept.id)
}

/// Whether the part ends with this step; what is hidden for the grace time comes after the end.
fn is_last(plan: &Plan, part: Part, seq: usize) -> bool {
    let steps = part.steps(plan);
    let is_grace = |at: usize| steps.get(at).is_none_or(|step| step.stage == Stage::Grace);
    !is_grace(seq) && is_grace(seq + 1)
}

/// SQL for what the tables of a plan look like. Indexes that are built outside transactions are
/// passed over: they come and go without a step being done.
pub(crate) fn shape(plan: &Plan) -> String {
    let tables = plan.tables.iter().map(|table| literal(table.as_str()));
    let steps = plan.forward.iter().chain(&plan.contract).chain(&plan.back);
    let passed = steps.filter_map(|step| match &step.action {
        Action::IndexConcurrently { index, .. } | Action::DropIndexConcurrently { index, .. } => {
            Some(literal(index.as_str()))
        }
        _ => None,
    });
    format!("serin.shape({}, {}, {})", literal(plan.schema.as_str()), array(tables), array(passed))
}

/// An array of text from literals.
pub(crate) fn array(literals: impl Iterator<Item = String>) -> String {
    format!("ARRAY[{}]::text[]", literals.collect::<Vec<_>>().join(", "))
}
