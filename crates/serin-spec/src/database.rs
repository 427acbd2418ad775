//! `database`: where the service's tables are, and how instances are told. The address itself is
//! never written in the file.

use crate::{field::Field, run, yaml::shown};
use serin_core::{BARE, DatabaseSpec, EnvValue, Inject};
use std::path::Path;

/// Bytes that Postgres keeps of a name.
const NAME_MAX: usize = 63;

pub(crate) fn read(field: &Field<'_>, base: &Path) -> Option<DatabaseSpec> {
    let mut reader = field.map()?;
    let url = reader.need("url", "{ fromEnv: DATABASE_URL }", |f| url(&f, base));
    let schema = reader.or("schema", "public".into(), |f| name(&f));
    let inject = reader.or("inject", Inject::default(), |f| inject(&f));
    reader.finish();
    Some(DatabaseSpec { url: url?, schema, inject, migration: None, view: None })
}

fn url(field: &Field<'_>, base: &Path) -> Option<EnvValue> {
    if field.is_map() {
        return run::env_source(field, base);
    }
    let message = "the address of the database is a secret, and this file is stored and shown";
    let hint = "write `url: { fromEnv: DATABASE_URL }` or `url: { fromFile: path }`";
    field.report(field.key_problem("secret-in-file", message).hint(hint));
    None
}

fn name(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    if text.len() <= NAME_MAX && !text.contains('\0') && !text.starts_with(BARE) {
        return Some(text.to_owned());
    }
    let message = format!("`{}` cannot be the name of a schema", shown(text));
    let hint = format!("Postgres keeps {NAME_MAX} bytes of a name; it may not begin with `{BARE}`");
    field.report(field.problem("bad-name", message).hint(hint));
    None
}

fn inject(field: &Field<'_>) -> Option<Inject> {
    let mut reader = field.map()?;
    let usual = Inject::default();
    let inject = Inject {
        options: reader.or("options", usual.options, |f| variable(&f)),
        application: reader.or("application", usual.application, |f| variable(&f)),
        schema: reader.or("schema", usual.schema, |f| variable(&f)),
        url: reader.maybe("url", |f| variable(&f)),
    };
    let names = [Some(&inject.options), Some(&inject.application), Some(&inject.schema)];
    let names: Vec<_> = names.into_iter().chain([inject.url.as_ref()]).flatten().collect();
    let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
    if let Some((_, name)) = twice {
        let message = format!("`{}` would be set twice", shown(name));
        reader.report(reader.key_problem("duplicate-name", message).hint("give each its own name"));
    }
    reader.finish();
    Some(inject)
}

fn variable(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(inside) {
        return Some(text.to_owned());
    }
    let message = format!("`{}` cannot be the name of an environment variable", shown(text));
    let hint = "use A-Z, a-z, 0-9 and `_`, not starting with a digit";
    field.report(field.problem("bad-name", message).hint(hint));
    None
}
