//! Unique indexes become constraints.

use super::{Context, create::deferral, indexes};
use crate::shape::{Rule, Table, Unique, hashed};
use crate::{Ident, Key, literal};

/// Values that are told, and rows of each.
const TOLD: (usize, usize) = (10, 3);

/// Statements that make constraints of the indexes that were built for one. Columns have their
/// last names.
pub fn attach(
    context: &Context<'_>,
    table: &Table<'_>,
    rule: &Rule,
    unique: &Unique,
) -> Vec<String> {
    let kind = if unique.primary { "PRIMARY KEY" } else { "UNIQUE" };
    let (on, name, when) = (context.of(&table.physical), &rule.name, deferral(rule.deferral));
    if !table.is_partitioned() {
        let held = &rule.held;
        return vec![format!(
            "ALTER TABLE {on} ADD CONSTRAINT {name} {kind} USING INDEX {held}{when}"
        )];
    }
    // The parts first: the whole finds them and builds nothing.
    let parts = indexes::leaves(context, table, &rule.held).into_iter().map(|(index, leaf)| {
        let readable = format!("{}_{}", leaf.as_str(), name.as_str());
        let part = hashed("", &readable, &["_serin_part", leaf.as_str(), name.as_str()]);
        let on = context.of(&leaf);
        format!("ALTER TABLE {on} ADD CONSTRAINT {part} {kind} USING INDEX {index}{when}")
    });
    let columns: Vec<String> =
        unique.columns.iter().map(|at| table.columns[*at].name.to_string()).collect();
    let whole =
        format!("ALTER TABLE {on} ADD CONSTRAINT {name} {kind} ({}){when}", columns.join(", "));
    parts.chain([whole]).collect()
}

/// A query for values that occur more than once in columns of a table or of one of its partitions,
/// `on`: a text for each value, with the keys of the first rows that have it. Columns are named as
/// the new shape names them.
pub fn same(context: &Context<'_>, table: &Table<'_>, columns: &[usize], on: &Ident) -> String {
    let columns: Vec<_> = columns.iter().map(|at| &table.columns[*at]).collect();
    let each = |part: &dyn Fn(&Ident) -> String| -> Vec<String> {
        columns.iter().map(|column| part(column.physical())).collect()
    };
    let names = each(&ToString::to_string).join(", ");
    let given = each(&|name| format!("{name} IS NOT NULL")).join(" AND ");
    let pairs = each(&|name| format!("t.{name} = s.{name}")).join(" AND ");
    let shown =
        columns.iter().map(|column| told(&column.name, &format!("s.{}", column.physical())));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let (key, order) = key(table);
    let (on, (values, rows)) = (context.of(on), TOLD);
    format!(
        "WITH s AS (SELECT {names}, count(*) AS _serin_rows FROM {on} WHERE {given} \
         GROUP BY {names} HAVING count(*) > 1 LIMIT {values}) \
         SELECT {} || (SELECT string_agg(r.k, ', ') FROM (SELECT {key} AS k FROM {on} t \
         WHERE {pairs} ORDER BY {order} LIMIT {rows}) r) || CASE WHEN s._serin_rows > {rows} THEN \
         ' and ' || s._serin_rows - {rows} || ' more' ELSE '' END || ': ' || \
         concat_ws(', ', {shown}) FROM s",
        literal(&format!("{}: ", table.name.as_str())),
    )
}

/// What names a row `t`, and what sorts rows.
fn key(table: &Table<'_>) -> (String, String) {
    let Some(Key::Columns { columns }) = table.old.map(crate::catalog::Table::key) else {
        return ("'place=' || t.ctid::text".into(), "t.ctid".into());
    };
    let of = |(name, _): &(Ident, String)| format!("t.{name}");
    let shown: Vec<String> = columns.iter().map(|key| told(&key.0, &of(key))).collect();
    let order: Vec<String> = columns.iter().map(of).collect();
    (format!("concat_ws(' ', {})", shown.join(", ")), order.join(", "))
}

/// `name=value`.
fn told(name: &Ident, value: &str) -> String {
    format!("{} || left({value}::text, 100)", literal(&format!("{}=", name.as_str())))
}
