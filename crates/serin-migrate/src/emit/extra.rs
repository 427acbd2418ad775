//! Enumerations, privileges, and views over several tables.

use super::{Context, transaction};
use crate::shape::Table;
use crate::{EnumPlace, Ident, Stage, Step, literal};

/// New enumerations and values, before anything uses them. A value cannot be used in the
/// transaction that adds it.
pub fn enums(context: &Context<'_>) -> Vec<Step> {
    let new = context.shape.enums.iter().map(|(name, values)| {
        let sql = vec![create_enum(&context.of(name), values)];
        transaction(Stage::Expand, format!("create enumeration {name}"), sql, vec![])
    });
    let added = context.shape.enum_values.iter().map(|(name, value, place)| {
        let place = match place {
            Some(EnumPlace::Before(other)) => format!(" BEFORE {}", literal(other)),
            Some(EnumPlace::After(other)) => format!(" AFTER {}", literal(other)),
            None => String::new(),
        };
        let of = context.of(name);
        let sql =
            vec![format!("ALTER TYPE {of} ADD VALUE IF NOT EXISTS {}{place}", literal(value))];
        transaction(Stage::Expand, format!("add a value to enumeration {name}"), sql, vec![])
    });
    new.chain(added).collect()
}

/// `CREATE TYPE`.
pub fn create_enum(name: &str, values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
    format!("CREATE TYPE {name} AS ENUM ({})", values.join(", "))
}

/// Takes new enumerations away.
pub fn drop_enums(context: &Context<'_>) -> Vec<Step> {
    let drop = |(name, _): &(Ident, Vec<String>)| {
        let name_sql = context.of(name);
        let sql = vec![as_text(&name_sql), format!("DROP TYPE IF EXISTS {name_sql}")];
        transaction(Stage::Revert, format!("drop enumeration {name}"), sql, vec![])
    };
    context.shape.enums.iter().map(drop).collect()
}

/// Values that were put aside do not keep their type from going.
fn as_text(name: &str) -> String {
    let block = format!(
        "DECLARE part record; BEGIN FOR part IN SELECT a.attrelid::regclass AS kept, a.attname \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         WHERE c.relnamespace = 'serin'::regnamespace AND c.relkind = 'r' \
         AND a.atttypid = to_regtype({}) AND NOT a.attisdropped LOOP \
         EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE text', part.kept, part.attname); \
         END LOOP; END",
        literal(name)
    );
    format!("DO {}", crate::ident::block(&block))
}

/// Views over several tables of the new shape, and then privileges.
pub fn publish(context: &Context<'_>) -> Vec<String> {
    let mut sql = vec![];
    let schema = context.schema();
    if !context.shape.views.is_empty() {
        let path = crate::search_path(schema);
        sql.push(format!("SET LOCAL search_path = {}, {path}", context.new_view));
        sql.extend(context.shape.views.iter().flat_map(|view| self::view(context, view)));
        sql.push(format!("SET LOCAL search_path = {path}"));
    }
    sql.extend(grants(context));
    sql
}

fn view(context: &Context<'_>, view: &crate::shape::NewView) -> Vec<String> {
    let name = context.view(&view.name);
    let with =
        if context.shape.catalog.major() >= 15 { " WITH (security_invoker = true)" } else { "" };
    let mut sql = vec![format!("CREATE VIEW {name}{with} AS\n{}\n", view.definition)];
    if let Some(comment) = &view.comment {
        sql.push(format!("COMMENT ON VIEW {name} IS {}", literal(comment)));
    }
    let user = &context.shape.catalog.server.user;
    let acl = view.acl.iter().filter(|grant| grant.grantee.as_ref() != Some(user));
    sql.extend(
        acl.map(|grant| {
            format!("GRANT {} ON {name} {}", grant.privilege, super::publish::to(grant))
        }),
    );
    sql
}

/// Privileges on views, and on the tables below, which a client of a view needs too.
fn grants(context: &Context<'_>) -> Vec<String> {
    let mut sql = vec![];
    for grant in &context.shape.grants {
        let (privileges, roles) = (grant.privileges.join(", "), super::list(&grant.to));
        sql.push(format!("GRANT USAGE ON SCHEMA {} TO {roles}", context.new_view));
        for name in &grant.on {
            sql.push(format!("GRANT {privileges} ON {} TO {roles}", context.view(name)));
            let Some(table) = table(context, name) else { continue };
            let on = context.of(&table.physical);
            sql.push(format!("GRANT {privileges} ON {on} TO {roles}"));
            if grant.privileges.iter().any(|word| word == "INSERT") {
                let numbers = sequences(table);
                sql.extend(numbers.map(|of| format!("GRANT USAGE ON SEQUENCE {of} TO {roles}")));
            }
        }
    }
    sql
}

fn table<'a>(context: &Context<'a>, name: &Ident) -> Option<&'a Table<'a>> {
    context.shape.find(name).map(|at| &context.shape.tables[at])
}

fn sequences(table: &Table<'_>) -> impl Iterator<Item = String> {
    let plain = table.live().filter_map(|column| column.old.filter(|old| old.identity.is_empty()));
    let sequences = plain.filter_map(|old| old.sequence.as_ref());
    sequences.map(|of| format!("{}.{}", of.schema, of.name))
}

/// Takes privileges back that were not there before.
pub fn revokes(context: &Context<'_>) -> Vec<String> {
    let mut sql = vec![];
    for grant in &context.shape.grants {
        let tables = grant.on.iter().filter_map(|name| table(context, name));
        for (table, old) in tables.filter_map(|table| Some((table, table.old?))) {
            let had = |role: &Ident, privilege: &str| {
                let of = |grant: &&crate::catalog::Grant| grant.grantee.as_ref() == Some(role);
                old.acl.iter().filter(of).any(|grant| grant.privilege == privilege)
            };
            let on = context.of(&table.physical);
            for role in &grant.to {
                let new = grant.privileges.iter().filter(|word| !had(role, word));
                sql.extend(new.map(|word| format!("REVOKE {word} ON {on} FROM {role}")));
                let uses = |of: &crate::catalog::Sequence| {
                    of.acl
                        .iter()
                        .any(|of| of.grantee.as_ref() == Some(role) && of.privilege == "USAGE")
                };
                let plain = old.user_columns().filter(|column| column.identity.is_empty());
                let numbers = plain.filter_map(|column| column.sequence.as_ref());
                let new = numbers.filter(|of| !uses(of));
                sql.extend(new.map(|of| {
                    format!("REVOKE USAGE ON SEQUENCE {}.{} FROM {role}", of.schema, of.name)
                }));
            }
        }
    }
    sql
}
