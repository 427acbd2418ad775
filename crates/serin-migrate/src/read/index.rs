//! Indexes.

use super::fields::{Fields, Found};
use crate::{CreateIndex, Ident, IndexColumn, IndexMethod};
use serde_json::Value;
use std::collections::BTreeMap;

/// A new index.
pub fn read(fields: Fields<'_>) -> CreateIndex {
    let (name, table) = (fields.required_ident("name"), fields.required_ident("table"));
    fields.required_list("columns");
    let columns = fields.each("columns", |value, path| column(value, &path, fields.found()));
    let index = CreateIndex {
        method: fields.word("method", &IndexMethod::WORDS).unwrap_or_default(),
        predicate: fields.text("predicate"),
        storage_parameters: fields.text("storage_parameters"),
        unique: fields.flag("unique").unwrap_or(false),
        name: name.unwrap_or_else(Ident::unread),
        table: table.unwrap_or_else(Ident::unread),
        columns: columns.unwrap_or_default(),
    };
    fields.finish();
    index
}

fn column(value: &Value, path: &str, found: &Found) -> Option<IndexColumn> {
    let fields = Fields::of(value, path, found)?;
    let column = fields.required_ident("column");
    let descending = fields.word("sort", &[("ASC", false), ("DESC", true)]);
    let nulls_first = fields.word("nulls", &[("FIRST", true), ("LAST", false)]);
    let opclass = fields.object("opclass").and_then(opclass);
    let collate = fields.text("collate");
    fields.finish();
    let descending = descending.unwrap_or(false);
    Some(IndexColumn { column: column?, collate, descending, nulls_first, opclass })
}

fn opclass(fields: Fields<'_>) -> Option<(String, BTreeMap<String, String>)> {
    let (name, texts) = (fields.required_text("name"), fields.texts("params"));
    let split = |text: String| {
        let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        if pair.is_none() {
            fields.flaw("params", format!("`{text}` is not of the form `name=value`"));
        }
        pair
    };
    let params: Option<BTreeMap<_, _>> = texts?.into_iter().map(split).collect();
    fields.finish();
    Some((name?, params?))
}
