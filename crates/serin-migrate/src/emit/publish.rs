//! The views of the new shape, with everything clients expect of a table: defaults, privileges,
//! comments.

use super::{Context, extra, numbers, settings, transaction};
use crate::catalog::Grant;
use crate::shape::{Column, Table};
use crate::{Stage, Step, literal};

/// Privileges that mean something on a view.
const ON_VIEWS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// First Postgres whose views look at rows as the client, not as their owner.
const INVOKER: u32 = 15;

/// One transaction: all views are there, or none.
pub fn steps(context: &Context<'_>) -> Vec<Step> {
    let view = &context.new_view;
    let mut sql = vec![format!("CREATE SCHEMA {view}")];
    sql.extend(usage(context));
    for table in context.viewed() {
        sql.extend(one(context, table));
    }
    sql.extend(extra::publish(context));
    sql.extend(numbers::grants(context));
    sql.extend(settings::identities_at_start(context));
    let title = format!("create the views of {view}");
    vec![transaction(Stage::Publish, title, sql, vec![])]
}

/// `TO role`, as SQL.
pub fn to(grant: &Grant) -> String {
    let role = grant.grantee.as_ref().map_or_else(|| "PUBLIC".into(), ToString::to_string);
    let on = if grant.grantable { " WITH GRANT OPTION" } else { "" };
    format!("TO {role}{on}")
}

fn usage(context: &Context<'_>) -> Vec<String> {
    let acl = context.shape.catalog.server.schema_acl.iter();
    let usage = acl.filter(|grant| grant.privilege == "USAGE" && is_other(context, grant));
    usage.map(|grant| format!("GRANT USAGE ON SCHEMA {} {}", context.new_view, to(grant))).collect()
}

/// What the owner of the views has anyway need not be said.
fn is_other(context: &Context<'_>, grant: &Grant) -> bool {
    grant.grantee.as_ref() != Some(&context.shape.catalog.server.user)
}

fn one(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let (view, name) = (context.view(&table.name), context.of(&table.physical));
    let column = |column: &Column<'_>| format!("t.{} AS {}", column.physical(), column.name);
    let columns: Vec<String> = table.live().map(column).collect();
    let with = if looks_as_client(context, table) { " WITH (security_invoker = true)" } else { "" };
    let columns = columns.join(", ");
    let mut sql = vec![format!("CREATE VIEW {view}{with} AS SELECT {columns} FROM {name} t")];
    sql.extend(altered(&view, table.live().filter_map(default)));
    sql.extend(comments(&view, table));
    sql.extend(privileges(context, &view, table));
    sql
}

/// Whether the view looks at rows as the client. It must where rows are hidden from some; it
/// cannot where some may read single columns only, for then the client would need leave for every
/// column of the view, and the view's own privileges say the same.
fn looks_as_client(context: &Context<'_>, table: &Table<'_>) -> bool {
    let secured = table.old.is_some_and(|old| old.row_security);
    context.shape.catalog.major() >= INVOKER && (secured || !has_column_acl(table))
}

/// Whether somebody may do something with single columns only.
pub fn has_column_acl(table: &Table<'_>) -> bool {
    table.old.is_some_and(|old| old.user_columns().any(|column| !column.acl.is_empty()))
}

/// All changes of a view at once: one by one they take as long as it has columns, each.
fn altered(view: &str, changes: impl Iterator<Item = String>) -> Option<String> {
    let changes: Vec<String> = changes.collect();
    // `ALTER VIEW` takes one only.
    (!changes.is_empty()).then(|| format!("ALTER TABLE {view} {}", changes.join(", ")))
}

fn default(column: &Column<'_>) -> Option<String> {
    let default = numbers::view_default(column).or_else(|| column.default.clone());
    let default = default.or_else(|| no_default(column))?;
    Some(format!("ALTER COLUMN {} SET DEFAULT {default}", column.name))
}

/// The column has a default still, but not for new clients. A plain NULL would be taken for
/// nothing said.
fn no_default(column: &Column<'_>) -> Option<String> {
    column.old.filter(|old| old.default.is_some() && !column.is_moved())?;
    Some(format!("(CASE WHEN false THEN NULL::{} END)", column.data_type))
}

/// Defaults of views that stand in the way of the swap, or mean nothing after it.
pub fn settled(context: &Context<'_>, table: &Table<'_>) -> Option<String> {
    let view = context.view(&table.name);
    let passing = |column: &&Column<'_>| {
        numbers::view_default(column).is_some()
            || column.default.is_none() && no_default(column).is_some()
    };
    let columns = table.live().filter(passing);
    altered(&view, columns.map(|column| format!("ALTER COLUMN {} DROP DEFAULT", column.name)))
}

fn comments(view: &str, table: &Table<'_>) -> Vec<String> {
    let own =
        table.comment.iter().map(|text| format!("COMMENT ON VIEW {view} IS {}", literal(text)));
    let columns = table.live().filter_map(|column| {
        let text = literal(column.comment.as_ref()?);
        Some(format!("COMMENT ON COLUMN {view}.{} IS {text}", column.name))
    });
    own.chain(columns).collect()
}

fn privileges(context: &Context<'_>, view: &str, table: &Table<'_>) -> Vec<String> {
    let acl = table.old.map_or(&context.shape.catalog.server.default_acl, |old| &old.acl);
    let own = acl.iter().filter(|grant| is_other(context, grant) && on_views(grant));
    let own = own.map(|grant| format!("GRANT {} ON {view} {}", grant.privilege, to(grant)));
    let columns = table.live().flat_map(|column| {
        let acl = column.old.into_iter().flat_map(|old| &old.acl).filter(|grant| on_views(grant));
        let name = &column.name;
        acl.map(move |grant| format!("GRANT {} ({name}) ON {view} {}", grant.privilege, to(grant)))
    });
    own.chain(columns).collect()
}

fn on_views(grant: &Grant) -> bool {
    ON_VIEWS.contains(&grant.privilege.as_str())
}

/// Takes the views away, whether or not they are there. What others put beside them stays, and is
/// told by the server.
pub fn unpublish(context: &Context<'_>) -> Vec<String> {
    let more = context.shape.views.iter().map(|view| context.view(&view.name));
    let views = context.viewed().map(|table| context.view(&table.name)).chain(more);
    let views: Vec<String> = views.collect();
    let mut sql = vec![];
    if !views.is_empty() {
        sql.push(format!("DROP VIEW IF EXISTS {}", views.join(", ")));
    }
    sql.push(format!("DROP SCHEMA IF EXISTS {}", context.new_view));
    sql
}

/// Asks whether the schema of old clients' views holds nothing of others: what does would keep it
/// from being dropped in the middle of the swap.
pub fn only_ours(context: &Context<'_>) -> Option<Step> {
    let old = context.shape.old_view?;
    let schema = literal(&old.to_string());
    let sql = format!(
        "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = \
         to_regnamespace({schema}) AND relkind NOT IN ('v', 'i', 't')) AND NOT EXISTS (\
         SELECT FROM pg_catalog.pg_proc WHERE pronamespace = to_regnamespace({schema}))"
    );
    let title = format!("nothing but views is in {old}, which is dropped");
    Some(Step { stage: Stage::Validate, title, action: crate::Action::Check { sql } })
}

/// Takes the views of old clients away.
pub fn drop_old(context: &Context<'_>) -> Vec<String> {
    let Some(old) = context.shape.old_view else { return vec![] };
    let views = context.shape.catalog.server.views.iter().filter(|view| view.schema == *old);
    let views: Vec<String> = views.map(|view| format!("{old}.{}", view.name)).collect();
    let mut sql = vec![];
    if !views.is_empty() {
        sql.push(format!("DROP VIEW IF EXISTS {}", views.join(", ")));
    }
    sql.push(format!("DROP SCHEMA IF EXISTS {old}"));
    sql
}
