//! From a document to a [`Migration`]: every key is read or refused, all problems at once.

mod column;
mod constraint;
mod extra;
pub(crate) mod fields;
mod index;
mod operation;
mod settings;

use crate::{Flaw, Flaws, Ident, Migration};
use fields::{Fields, Found};
use serde_json::Value;
pub(crate) use settings::read as settings;

/// Operations in one migration.
const MAX_OPERATIONS: usize = 500;

/// Reads a migration called `name` from a document in pgroll's format.
///
/// # Errors
/// Everything that is wrong with its form; what is wrong for a certain database is found later.
pub fn migration(name: &str, document: &Value) -> Result<Migration, Flaws> {
    let found = Found::default();
    let read = whole(name, document, &found);
    match (read, found.take()) {
        (Some(migration), flaws) if flaws.is_empty() => Ok(migration),
        (_, flaws) => Err(Flaws(flaws)),
    }
}

fn whole(name: &str, document: &Value, found: &Found) -> Option<Migration> {
    let fields = Fields::of(document, "", found)?;
    // Deprecated there: the name of the file counts.
    let written = fields.text("name");
    let name = if name.is_empty() { written.unwrap_or_default() } else { name.to_owned() };
    let version_schema = match fields.ident("version_schema") {
        Some(written) => Some(written),
        None => named_after(&name, found),
    };
    let list = fields.required_list("operations");
    if list.is_some_and(|list| list.len() > MAX_OPERATIONS) {
        let message = format!("more than {MAX_OPERATIONS} operations in one migration");
        found.add(Flaw::new("operations", message).hint("split it into several"));
        return None;
    }
    let operations = operation::all(list.unwrap_or_default(), found);
    let settings = fields.object("serin").map(settings::read).unwrap_or_default();
    fields.finish();
    Some(Migration { name, version_schema: version_schema?, operations: operations?, settings })
}

fn named_after(name: &str, found: &Found) -> Option<Ident> {
    let ident = Ident::new(name);
    let told = |why: &crate::IdentError| {
        let message = format!("the migration's name is the name of its schema: {why}");
        found.add(Flaw::new("version_schema", message).hint("say a shorter `version_schema`"));
    };
    ident.inspect_err(told).ok()
}
