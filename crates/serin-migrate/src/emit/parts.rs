//! Names that the server gave on its own, from names that were only meant for a while.

use super::Context;
use crate::literal;
use crate::shape::Table;

/// First Postgres that gives NOT NULL a name.
const NAMED_NOT_NULL: u32 = 18;

/// Indexes, sequences and constraints that were named after a new table's first name get its last
/// one, where that is free.
pub fn named_after_table(context: &Context<'_>, table: &Table<'_>) -> Option<String> {
    if table.physical == table.name {
        return None;
    }
    let [was, is] = [&table.physical, &table.name].map(|name| literal(name.as_str()));
    let [schema, on] = [context.schema().as_str(), &context.of(&table.name)].map(literal);
    let block = format!(
        "DECLARE part record; BEGIN FOR part IN \
         SELECT c.relname, c.relkind, {is} || substr(c.relname, length({was}) + 1) AS name \
         FROM pg_catalog.pg_class c WHERE starts_with(c.relname, {was} || '_') AND (\
         c.oid IN (SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid = {on}::regclass) OR \
         c.relkind = 'S' AND c.oid IN (SELECT objid FROM pg_catalog.pg_depend \
         WHERE refobjid = {on}::regclass AND deptype IN ('a', 'i'))) LOOP \
         IF length(part.name) < 64 AND to_regclass(format('%I.%I', {schema}, part.name)) IS NULL \
         THEN EXECUTE format('ALTER %s %I.%I RENAME TO %I', CASE part.relkind WHEN 'S' THEN \
         'SEQUENCE' ELSE 'INDEX' END, {schema}, part.relname, part.name); \
         END IF; END LOOP; {}; END",
        constraints(
            &on,
            &format!("{is} || substr(conname, length({was}) + 1)"),
            &format!("starts_with(conname, {was} || '_')")
        ),
    );
    Some(format!("DO {}", crate::ident::block(&block)))
}

/// NOT NULL constraints that were named after a column's first name.
pub fn named_after_columns(context: &Context<'_>, table: &Table<'_>) -> Option<String> {
    if context.shape.catalog.major() < NAMED_NOT_NULL || !table.live {
        return None;
    }
    let on = literal(&context.of(&table.name));
    let name = "replace(conname, '_serin_new_', '')";
    let which = "contype = 'n' AND strpos(conname, '_serin_new_') > 0";
    let block = format!("DECLARE part record; BEGIN {}; END", constraints(&on, name, which));
    Some(format!("DO {}", crate::ident::block(&block)))
}

/// A loop that renames constraints of a table.
fn constraints(on: &str, name: &str, which: &str) -> String {
    format!(
        "FOR part IN SELECT conname, {name} AS name FROM pg_catalog.pg_constraint \
         WHERE conrelid = {on}::regclass AND coninhcount = 0 AND {which} LOOP \
         IF length(part.name) < 64 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint \
         WHERE conrelid = {on}::regclass AND conname = part.name) THEN \
         EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', {on}, part.conname, part.name); \
         END IF; END LOOP"
    )
}
