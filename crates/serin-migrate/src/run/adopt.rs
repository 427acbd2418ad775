//! A history that pgroll began is gone on with: what it applied becomes the beginning of ours.

use super::error::{Error, Result};
use super::runner::Runner;
use super::session;
use crate::{Ident, Migration, Plan, Settings, literal};
use tokio_postgres::{Client, Row};

/// Who adopted migrations are said to be by.
pub const ADOPTED: &str = "adopted from pgroll";

/// What was adopted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    /// Names, oldest first.
    pub names: Vec<String>,
    /// The schema of views that clients use; `None` when there is none.
    pub view: Option<String>,
}

/// Takes over what pgroll applied to the schema. Its tables stay as they are, and pgroll must not
/// be used on the schema afterwards.
///
/// # Errors
/// [`Error::Refused`] while a migration of pgroll is active, or when the schema has a history of
/// ours; [`Error::None`] when pgroll was never here.
pub async fn adopt_pgroll(runner: &Runner) -> Result<Adopted> {
    let client = runner.connect().await?;
    let schema = runner.database().schema();
    let found = theirs(&client, schema.as_str()).await?;
    session::ensure(&client).await?;
    refuse(&client, schema.as_str(), &found).await?;
    let names: Vec<String> = found.iter().map(|one| one.name.clone()).collect();
    let view = view(&client, schema, &found).await?;
    let sql = statements(schema, &found, view.as_ref())?;
    client.batch_execute(&sql).await.map_err(Error::sql("noting what pgroll applied"))?;
    Ok(Adopted { names, view: view.map(String::from) })
}

/// One migration of pgroll.
struct Theirs {
    name: String,
    is_done: bool,
    /// The name of its view schema, where it says so.
    version: Option<String>,
    started: String,
    ended: String,
}

async fn theirs(client: &Client, schema: &str) -> Result<Vec<Theirs>> {
    let failed = || Error::sql("reading the history of pgroll");
    let known = "SELECT to_regclass('pgroll.migrations') IS NOT NULL";
    if !client.query_one(known, &[]).await.map_err(failed())?.get::<_, bool>(0) {
        return Err(Error::None("kept by pgroll in this database"));
    }
    // Each names the one before it; the times of two may be the same.
    let sql = "WITH RECURSIVE line AS ( \
           SELECT m.*, 1 AS place FROM pgroll.migrations m \
           WHERE m.schema = $1 AND m.parent IS NULL \
           UNION ALL SELECT m.*, line.place + 1 FROM pgroll.migrations m \
           JOIN line ON m.schema = line.schema AND m.parent = line.name) \
         SELECT name::text, coalesce(done, false), migration ->> 'version_schema', \
           created_at::text, updated_at::text FROM line ORDER BY place";
    let rows = client.query(sql, &[&schema]).await.map_err(failed())?;
    if rows.is_empty() {
        return Err(Error::None("kept by pgroll for this schema"));
    }
    let one = |row: &Row| Theirs {
        name: row.get(0),
        is_done: row.get(1),
        version: row.get(2),
        started: row.get(3),
        ended: row.get(4),
    };
    Ok(rows.iter().map(one).collect())
}

async fn refuse(client: &Client, schema: &str, found: &[Theirs]) -> Result<()> {
    let mut reasons = Vec::new();
    if let Some(active) = found.iter().find(|one| !one.is_done) {
        reasons.push(format!(
            "migration `{}` of pgroll is active; end it with `pgroll complete` or `pgroll rollback`",
            active.name
        ));
    }
    let sql = "SELECT count(*) FROM serin.migration WHERE schema = $1 AND state <> 'reverted'";
    let row = client.query_one(sql, &[&schema]).await.map_err(Error::sql("reading the history"))?;
    match row.get::<_, i64>(0) {
        0 => {}
        some => {
            reasons.push(format!("schema `{schema}` has a history of {some} migrations already"));
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::Refused { what: "the adoption", reasons }) }
}

/// The views of the newest migration that has some.
async fn view(client: &Client, schema: &Ident, found: &[Theirs]) -> Result<Option<Ident>> {
    let sql = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    for one in found.iter().rev() {
        let version = one.version.as_deref().filter(|name| !name.is_empty()).unwrap_or(&one.name);
        let Ok(name) = Ident::new(format!("{}_{version}", schema.as_str())) else { continue };
        let row = client.query_one(sql, &[&name.as_str()]).await;
        if row.map_err(Error::sql("looking for the views of pgroll"))?.get(0) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn statements(schema: &Ident, found: &[Theirs], view: Option<&Ident>) -> Result<String> {
    let mut all = vec!["BEGIN".to_owned()];
    for (at, one) in found.iter().enumerate() {
        let is_last = at + 1 == found.len();
        let view = view.filter(|_| is_last).unwrap_or(schema);
        let plan = serde_json::to_string(&plan(schema, one, view)?);
        let plan = plan.map_err(|error| Error::Kept(error.to_string()))?;
        all.push(format!(
            "INSERT INTO serin.migration (schema, name, new_view, state, plan, who, started_at, \
             ended_at) VALUES ({}, {}, {}, 'done', {}::jsonb, {}, {}, {})",
            literal(schema.as_str()),
            literal(&one.name),
            literal(view.as_str()),
            literal(&plan),
            literal(ADOPTED),
            literal(&one.started),
            literal(&one.ended),
        ));
    }
    all.push("COMMIT".into());
    Ok(all.join(";\n"))
}

/// A plan in which nothing is left to be done.
fn plan(schema: &Ident, one: &Theirs, view: &Ident) -> Result<Plan> {
    let name = Ident::new(one.name.as_str()).map_err(|why| Error::Kept(why.to_string()))?;
    let migration = Migration {
        name: one.name.clone(),
        version_schema: name,
        operations: Vec::new(),
        settings: Settings::default(),
    };
    Ok(Plan {
        migration,
        schema: schema.clone(),
        old_view: None,
        new_view: view.clone(),
        tables: Vec::new(),
        syncs: Vec::new(),
        forward: Vec::new(),
        contract: Vec::new(),
        back: Vec::new(),
        warnings: Vec::new(),
    })
}
