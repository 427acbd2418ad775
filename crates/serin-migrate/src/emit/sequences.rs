//! Sequences of new columns in tables that were there.

use super::Context;
use crate::shape::{NewSequence, Table};
use crate::{Ident, literal};

/// `CREATE SEQUENCE`.
pub fn create(schema: &Ident, sequence: &NewSequence) -> String {
    format!("CREATE SEQUENCE {schema}.{} AS {}", sequence.name, sequence.data_type)
}

/// Those of a table, before their columns come.
pub fn made(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    of(context, table).map(|sequence| create(&context.shape.catalog.schema, sequence)).collect()
}

/// Sequences belong to their columns, and go with them. Whoever writes rows gets numbers.
pub fn settled(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let mut sql = vec![];
    for sequence in of(context, table) {
        let (name, on) = (context.of(&sequence.name), context.of(&table.physical));
        sql.push(format!("ALTER SEQUENCE {name} OWNED BY {on}.{}", sequence.column));
        sql.extend(after_put_aside(context, table, sequence));
        let writes = |privilege: &str| matches!(privilege, "INSERT" | "UPDATE");
        let acl = table.old.into_iter().flat_map(|old| &old.acl);
        let grants = acl.filter(|grant| writes(&grant.privilege)).map(super::publish::to);
        sql.extend(grants.map(|to| format!("GRANT USAGE ON SEQUENCE {name} {to}")));
    }
    sql
}

fn of<'c>(context: &'c Context<'_>, table: &Table<'_>) -> impl Iterator<Item = &'c NewSequence> {
    let at = context.shape.tables.iter().position(|of| of.physical == table.physical);
    context.shape.sequences.iter().filter(move |sequence| Some(sequence.table) == at)
}

/// Numbers that an earlier try gave out and a way back put aside are given back later: no row gets
/// one of them meanwhile.
fn after_put_aside(
    context: &Context<'_>,
    table: &Table<'_>,
    sequence: &NewSequence,
) -> Option<String> {
    let sync = &context.syncs[context.sync(table)?];
    let at = sync.up.iter().position(|derive| derive.target == sequence.column)?;
    let block = format!(
        "DECLARE aside record; most bigint; BEGIN IF to_regclass('serin.salvage') IS NULL THEN RETURN; \
         END IF; FOR aside IN SELECT s.migration, s.sync FROM serin.salvage s JOIN serin.migration m \
         ON m.id = s.migration WHERE m.schema = {} AND m.name = {} AND s.table_name = {} \
         AND s.columns = {} LOOP \
         EXECUTE pg_catalog.format('SELECT max(n{at})::bigint FROM serin.salvage_%s_%s', \
         aside.migration, aside.sync) INTO most; IF most > 0 THEN PERFORM setval({name}::regclass, \
         greatest(most, nextval({name}::regclass))); END IF; END LOOP; END",
        literal(context.shape.catalog.schema.as_str()),
        literal(&context.migration.name),
        literal(table.physical.as_str()),
        literal(&sync.aside_of()),
        name = literal(&context.of(&sequence.name)),
    );
    Some(format!("DO {}", literal(&block)))
}
