//! Operations of our own.

use super::fields::Fields;
use crate::{EnumPlace, Extra, Grant, Ident, MoveColumn};

/// Values of one enumeration.
const MAX_VALUES: usize = 1_000;

/// Bytes of a value that Postgres keeps.
const MAX_VALUE_BYTES: usize = 63;

const PRIVILEGES: [(&str, &str); 4] =
    [("SELECT", "SELECT"), ("INSERT", "INSERT"), ("UPDATE", "UPDATE"), ("DELETE", "DELETE")];

/// Reads the operation that `word` names.
pub fn read(word: &str, fields: Fields<'_>) -> Option<Extra> {
    match word {
        "x_create_view" => create_view(fields),
        "x_drop_view" => drop_view(fields),
        "x_create_enum" => create_enum(fields),
        "x_add_enum_value" => add_enum_value(fields),
        "x_grant" => grant(fields).map(Extra::Grant),
        _ => move_column(fields).map(Extra::MoveColumn),
    }
}

fn create_view(fields: Fields<'_>) -> Option<Extra> {
    let (name, definition) = (fields.required_ident("name"), fields.required_text("definition"));
    let comment = fields.text("comment");
    fields.finish();
    Some(Extra::CreateView { name: name?, definition: definition?, comment })
}

fn drop_view(fields: Fields<'_>) -> Option<Extra> {
    let name = fields.required_ident("name");
    fields.finish();
    Some(Extra::DropView { name: name? })
}

fn create_enum(fields: Fields<'_>) -> Option<Extra> {
    let name = fields.required_ident("name");
    fields.required_list("values");
    let values = fields.texts("values");
    let fit = values.as_ref().is_some_and(|values| values_fit(&fields, values));
    fields.finish();
    Some(Extra::CreateEnum { name: name?, values: values.filter(|_| fit)? })
}

fn values_fit(fields: &Fields<'_>, values: &[String]) -> bool {
    if values.len() > MAX_VALUES {
        fields.flaw("values", format!("more than {MAX_VALUES} values"));
        return false;
    }
    for (at, value) in values.iter().enumerate() {
        if values.iter().take(at).any(|other| other == value) {
            fields.flaw("values", format!("`{value}` comes twice"));
            return false;
        }
    }
    values.iter().all(|value| value_fits(fields, "values", value))
}

fn value_fits(fields: &Fields<'_>, key: &str, value: &str) -> bool {
    let fits = !value.is_empty() && value.len() <= MAX_VALUE_BYTES && !value.contains('\0');
    if !fits {
        let message =
            format!("`{value}` is no value: it has 1 to {MAX_VALUE_BYTES} bytes, none NUL");
        fields.flaw(key, message);
    }
    fits
}

fn add_enum_value(fields: Fields<'_>) -> Option<Extra> {
    let (name, value) = (fields.required_ident("name"), fields.required_text("value"));
    let (before, after) = (fields.text("before"), fields.text("after"));
    if before.is_some() && after.is_some() {
        fields.flaw("after", "does not go with `before`: a value has one place");
    }
    let fits = value.as_ref().is_some_and(|value| value_fits(&fields, "value", value));
    fields.finish();
    let place = before.map(EnumPlace::Before).or(after.map(EnumPlace::After));
    Some(Extra::AddEnumValue { name: name?, value: value.filter(|_| fits)?, place })
}

fn grant(fields: Fields<'_>) -> Option<Grant> {
    for key in ["on", "privileges", "to"] {
        fields.required_list(key);
    }
    let (on, to) = (fields.idents("on"), fields.idents("to"));
    let words = fields.texts("privileges").unwrap_or_default();
    let known = |word: &String| {
        let found = PRIVILEGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        if found.is_none() {
            fields
                .flaw("privileges", format!("`{word}` is none of SELECT, INSERT, UPDATE, DELETE"));
        }
        found.map(|(_, word)| (*word).to_owned())
    };
    let privileges: Option<Vec<String>> = words.iter().map(known).collect();
    fields.finish();
    Some(Grant { on: on?, privileges: privileges?, to: to? })
}

fn move_column(fields: Fields<'_>) -> Option<MoveColumn> {
    let (table, column) = (fields.required_ident("table"), fields.required_ident("column"));
    let (to_table, to_column) = (fields.required_ident("to_table"), fields.ident("to_column"));
    fields.missing("on", fields.raw("on"));
    let pair = |(here, there): (Ident, String)| {
        let there = Ident::new(there).inspect_err(|why| fields.flaw("on", why.to_string()));
        Some((here, there.ok()?))
    };
    let on: Option<_> = fields.by_ident("on").and_then(|on| on.into_iter().map(pair).collect());
    fields.finish();
    let to_column = to_column.or_else(|| column.clone());
    Some(MoveColumn {
        table: table?,
        column: column?,
        to_table: to_table?,
        to_column: to_column?,
        on: on?,
    })
}
