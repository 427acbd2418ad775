//! From a migration and a catalogue to a plan, or everything that is wrong.

use super::routines;
use crate::catalog::{self, Catalog, CatalogError};
use crate::probe::{ProbeError, Session, answer, order};
use crate::shape::{NewView, Shape, settle};
use crate::{Flaw, Flaws, Ident, Migration, Plan, emit, ops};
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// Columns of a table, at most.
const COLUMNS: usize = 1_600;

/// Oldest Postgres that is served.
const OLDEST: u32 = 14;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The migration is wrong for this database.
    #[error(transparent)]
    Flaws(#[from] Flaws),
    /// The database cannot be asked.
    #[error("the database cannot be asked: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// Its catalogue cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Plans a migration of the schema that `catalog` shows. `old_view` is the schema of views that
/// clients use now; `None` when they use the tables. The database is only asked: everything that
/// is done on the way is rolled back, and the connection must not be in a transaction.
///
/// # Errors
/// All flaws at once, or that the database cannot be asked.
pub async fn make(
    client: &Client,
    catalog: &Catalog,
    migration: &Migration,
    old_view: Option<&Ident>,
) -> Result<Plan, PlanError> {
    let session = Session::open(client, &catalog.schema).await.map_err(asked)?;
    let planned = planned(&session, (catalog, client), migration, old_view).await;
    session.close().await.map_err(asked)?;
    planned
}

async fn planned(
    session: &Session<'_>,
    (catalog, client): (&Catalog, &Client),
    migration: &Migration,
    old_view: Option<&Ident>,
) -> Result<Plan, PlanError> {
    let mut shape = Shape::new(catalog, old_view);
    carry(&mut shape, session).await.map_err(asked)?;
    let new_view = view_schema(&mut shape, migration);
    server(&mut shape);
    ops::apply_all(&mut shape, migration);
    // What cannot be kept would only be told twice.
    if shape.flaws.is_empty() {
        settle(&mut shape);
    }
    let after = tried(&mut shape, session, client).await?;
    if let Some(after) = &after {
        shape = Shape {
            sql: shape.sql,
            views: shape.views,
            flaws: shape.flaws,
            ..Shape::new(after, old_view)
        };
    }
    questions(&mut shape, session).await.map_err(asked)?;
    let Some(view) = new_view.filter(|_| shape.flaws.is_empty()) else {
        return Err(Flaws(shape.flaws).into());
    };
    let mut plan = emit::plan(&shape, migration, view);
    plan.warnings.extend(routines::warnings(client, migration).await?);
    match crowded(&plan, catalog) {
        flaws if flaws.is_empty() => Ok(plan),
        flaws => Err(Flaws(flaws).into()),
    }
}

/// Tables that have no room for the columns that stand beside the old ones.
fn crowded(plan: &Plan, catalog: &Catalog) -> Vec<Flaw> {
    let mut added: BTreeMap<&Ident, usize> = BTreeMap::new();
    for sync in &plan.syncs {
        // The flag, where rows are filled in.
        *added.entry(&sync.table).or_default() += sync.up.len() + usize::from(!sync.passive);
    }
    let over = added.into_iter().filter_map(|(name, more)| {
        let had = catalog.table(name)?.attributes;
        let message = format!(
            "table {name} has had {had} columns and needs {more} more for a while; Postgres has \
             room for {COLUMNS}, and counts those that went"
        );
        let hint = "make a table with the columns there are, and move the rows over";
        (had + more > COLUMNS).then(|| Flaw::new("", message).hint(hint))
    });
    over.collect()
}

/// Views of the version before that are more than one table: the new version has them too.
async fn carry(shape: &mut Shape<'_>, session: &Session<'_>) -> Result<(), ProbeError> {
    let Some(old) = shape.old_view else { return Ok(()) };
    let catalog = shape.catalog;
    let views = catalog.server.views.iter().filter(|view| view.schema == *old);
    for view in views.filter(|view| catalog.table(&view.name).is_none()) {
        shape.views.push(NewView {
            path: String::new(),
            name: view.name.clone(),
            definition: session.view_text(old, &view.name).await?,
            comment: view.comment.clone(),
            acl: view.acl.clone(),
        });
    }
    Ok(())
}

/// The catalogue after the migration's own SQL, which only the server can tell. It is run, and
/// taken back with everything else.
async fn tried(
    shape: &mut Shape<'_>,
    session: &Session<'_>,
    client: &Client,
) -> Result<Option<Catalog>, PlanError> {
    let Some(sql) = shape.sql.iter().find(|sql| !sql.on_complete).cloned() else { return Ok(None) };
    if !shape.flaws.is_empty() {
        return Ok(None);
    }
    match session.keep(&emit::raw(&sql.up)).await {
        Ok(()) => Ok(Some(catalog::read(client, &shape.catalog.schema).await?)),
        Err(ProbeError::Refused(said)) => {
            let flaw = Flaw::new("operations[0].sql.up", said);
            shape
                .flaws
                .push(flaw.hint("it is run in a transaction, within 10 s when it is planned"));
            Ok(None)
        }
        Err(error) => Err(asked(error)),
    }
}

async fn questions(shape: &mut Shape<'_>, session: &Session<'_>) -> Result<(), ProbeError> {
    for (name, values) in &shape.enums {
        let name = format!("{}.{name}", shape.catalog.schema);
        session.keep(&emit::extra::create_enum(&name, values)).await?;
    }
    for sequence in &shape.sequences {
        session.keep(&emit::sequences::create(&shape.catalog.schema, sequence)).await?;
    }
    answer(shape, session).await?;
    // Views over columns that are wrong would only be told twice.
    if shape.flaws.is_empty() {
        order(shape, session).await?;
    }
    Ok(())
}

fn asked(error: ProbeError) -> PlanError {
    match error {
        ProbeError::Database(error) => PlanError::Database(error),
        ProbeError::Refused(said) => Flaws(vec![Flaw::new("", said)]).into(),
    }
}

/// The name of the schema of new views.
fn view_schema(shape: &mut Shape<'_>, migration: &Migration) -> Option<Ident> {
    let (schema, version) = (&shape.catalog.schema, &migration.version_schema);
    let name = Ident::new(format!("{}_{}", schema.as_str(), version.as_str()));
    let flaw = match name {
        Err(why) => {
            Flaw::new("version_schema", why.to_string()).hint("say a shorter `version_schema`")
        }
        Ok(name) if shape.catalog.server.schemas.contains(&name) => {
            let message = format!("the database has a schema {name} already");
            Flaw::new("version_schema", message).hint("choose another name")
        }
        Ok(name) => return Some(name),
    };
    shape.flaws.push(flaw);
    None
}

/// What the server and the role must be fit for.
fn server(shape: &mut Shape<'_>) {
    let (catalog, server) = (shape.catalog, &shape.catalog.server);
    let mut flaw = |message: String, hint: String| {
        shape.flaws.push(Flaw::new("", message).hint(hint));
    };
    if !server.schema_exists {
        let message = format!("database {} has no schema {}", server.database, catalog.schema);
        return flaw(message, format!("CREATE SCHEMA {}", catalog.schema));
    }
    if catalog.major() < OLDEST {
        let message =
            format!("this is Postgres {}; {OLDEST} is the oldest served", catalog.major());
        return flaw(message, "upgrade it first".into());
    }
    let (user, database) = (&server.user, &server.database);
    if !server.creates_schemas {
        let message =
            format!("role {user} may not make schemas, and each version has one of views");
        flaw(message, format!("GRANT CREATE ON DATABASE {database} TO {user}"));
    }
    if !server.creates_tables {
        let message = format!("role {user} may not make anything in schema {}", catalog.schema);
        flaw(message, format!("GRANT CREATE ON SCHEMA {} TO {user}", catalog.schema));
    }
    let secured = catalog.user_tables().find(|table| table.row_security);
    if let Some(table) = secured.filter(|_| catalog.major() < 15) {
        let message = format!(
            "table {} has row level security, and views of Postgres 14 look at rows as their owner",
            table.name
        );
        flaw(message, "upgrade to Postgres 15 or later".into());
    }
}
