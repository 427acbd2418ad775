//! Functions of the database that name what goes with the contract: Postgres knows their text and
//! not what it stands for, so nothing refuses the drop, and they fail afterwards.

use crate::{Flaw, Ident, Migration, Operation};
use tokio_postgres::{Client, Error};

/// Functions that are told.
const TOLD: usize = 10;

/// A column's name may stand for anything: its table must be named, too.
const SQL: &str = "SELECT p.oid::regprocedure::text, gone.name FROM pg_proc p \
     JOIN pg_namespace n ON n.oid = p.pronamespace, \
     unnest($1::text[], $2::text[]) AS gone(name, beside) \
     WHERE n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema', 'serin']) \
     AND p.proname NOT LIKE 'zzz\\_serin\\_%' AND NOT EXISTS (SELECT FROM \
     unnest(ARRAY[gone.name, gone.beside]) AS word WHERE p.prosrc !~* ('\\m' || \
     regexp_replace(word, '([^[:alnum:]_])', '\\\\\\1', 'g') || '\\M')) \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') \
     ORDER BY 1, 2 LIMIT $3";

/// Warnings of functions whose text has a name in it that the migration takes away.
pub(super) async fn warnings(client: &Client, migration: &Migration) -> Result<Vec<Flaw>, Error> {
    let gone = migration.operations.iter().filter_map(gone);
    let (names, beside): (Vec<&str>, Vec<&str>) =
        gone.map(|(name, beside)| (name.as_str(), beside.as_str())).unzip();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let rows = client.query(SQL, &[&names, &beside, &(TOLD as i64)]).await?;
    let told = |row: &tokio_postgres::Row| {
        let (function, name): (String, String) = (row.get(0), row.get(1));
        let message = format!("function {function} names {name}, which goes with the contract");
        Flaw::new("", message).hint("see that it works with the new shape before the contract")
    };
    Ok(rows.iter().map(told).collect())
}

/// The name that an operation takes away, and the table it belongs to.
fn gone(operation: &Operation) -> Option<(&Ident, &Ident)> {
    match operation {
        Operation::RenameTable { from, .. } => Some((from, from)),
        Operation::DropTable { name } => Some((name, name)),
        Operation::RenameColumn { table, from, .. } => Some((from, table)),
        Operation::DropColumn { table, column, .. } => Some((column, table)),
        _ => None,
    }
}
