//! Constraints as SQL, and queries for rows that break them.

use super::{Context, Named, columns, create::deferral, now, then};
use crate::shape::{End, Far, Rule, RuleKind, Table};
use crate::{Ident, Key, literal};

/// A constraint behind `ADD CONSTRAINT name`, with the names that hold the values now; `None` for
/// one that an index makes.
pub fn definition(context: &Context<'_>, table: &Table<'_>, rule: &Rule) -> Option<String> {
    defined(context, table, rule, now)
}

/// The same of a reference, with the names that columns have once the old shape is gone.
pub fn last_definition(context: &Context<'_>, table: &Table<'_>, rule: &Rule) -> Option<String> {
    defined(context, table, rule, then)
}

fn defined(context: &Context<'_>, table: &Table<'_>, rule: &Rule, named: Named) -> Option<String> {
    let body = match &rule.kind {
        RuleKind::Check { condition, no_inherit } => {
            let inherit = if *no_inherit { " NO INHERIT" } else { "" };
            format!("CHECK ({}){inherit}", condition.as_run())
        }
        RuleKind::ForeignKey { columns, far } => foreign_key(context, (table, columns), far, named),
        RuleKind::Unique(_) | RuleKind::Inline { .. } => return None,
    };
    Some(format!("{body}{}", deferral(rule.deferral)))
}

fn foreign_key(
    context: &Context<'_>,
    (table, places): (&Table<'_>, &[usize]),
    far: &Far,
    named: Named,
) -> String {
    let (near, target) = (columns(table, places, named), end(context, &far.end, named));
    let set = match far.set_on_delete.as_slice() {
        [] => String::new(),
        places => format!(" ({})", columns(table, places, named)),
    };
    let delete = far.on_delete.as_ref().map(|on| format!(" ON DELETE {on}{set}"));
    let (actions, delete) = (&far.actions, delete.unwrap_or_default());
    format!("FOREIGN KEY ({near}) REFERENCES {target}{actions}{delete}")
}

fn end(context: &Context<'_>, end: &End, named: Named) -> String {
    match end {
        End::Here { table, columns: places } => {
            let of = &context.shape.tables[*table];
            format!("{} ({})", context.of(&of.physical), columns(of, places, named))
        }
        End::Elsewhere(target) => target.clone(),
    }
}

/// The other table whose locks a reference takes.
pub fn far_table(context: &Context<'_>, rule: &Rule) -> Option<Ident> {
    match &rule.kind {
        RuleKind::ForeignKey { far: Far { end: End::Here { table, .. }, .. }, .. } => {
            Some(context.shape.tables[*table].physical.clone())
        }
        _ => None,
    }
}

/// A query for rows that break the rule, told by their keys; `None` where an index tells.
pub fn violations(context: &Context<'_>, table: &Table<'_>, rule: &Rule) -> Option<String> {
    let (condition, shown) = match &rule.kind {
        RuleKind::Check { condition, .. } => {
            let shown: Vec<usize> = condition
                .scope
                .iter()
                .map(|(_, at)| *at)
                .filter(|at| mentions(condition.as_run(), table.columns[*at].physical()))
                .collect();
            (format!("({}) IS FALSE", condition.as_run()), shown)
        }
        RuleKind::ForeignKey { columns, far } => {
            (dangling(context, table, columns, far)?, columns.clone())
        }
        RuleKind::Unique(_) | RuleKind::Inline { .. } => return None,
    };
    Some(query(context, table, &condition, &shown))
}

/// Only for what is shown: a name that stands in the text by chance does no harm.
fn mentions(condition: &str, name: &Ident) -> bool {
    condition.contains(name.as_str())
}

fn dangling(
    context: &Context<'_>,
    table: &Table<'_>,
    columns: &[usize],
    far: &Far,
) -> Option<String> {
    let End::Here { table: place, columns: targets } = &far.end else { return None };
    let of = &context.shape.tables[*place];
    let near: Vec<&Ident> = columns.iter().map(|at| table.columns[*at].physical()).collect();
    let given: Vec<String> = near.iter().map(|name| format!("t.{name} IS NOT NULL")).collect();
    let pairs = near.iter().zip(targets);
    let same: Vec<String> =
        pairs.map(|(name, at)| format!("f.{} = t.{name}", of.columns[*at].physical())).collect();
    Some(format!(
        "{} AND NOT EXISTS (SELECT FROM {} f WHERE {})",
        given.join(" AND "),
        context.of(&of.physical),
        same.join(" AND ")
    ))
}

/// A query for rows that meet a condition, as one text each: the key, then the columns shown.
pub fn query(context: &Context<'_>, table: &Table<'_>, condition: &str, shown: &[usize]) -> String {
    let key = match table.old.map(crate::catalog::Table::key) {
        Some(Key::Columns { columns }) => columns,
        _ => vec![],
    };
    let part = |name: &Ident, column: &str| {
        format!("{} || coalesce({column}::text, 'NULL')", literal(&format!("{name}=")))
    };
    let mut parts: Vec<String> =
        key.iter().map(|(name, _)| part(name, &format!("t.{name}"))).collect();
    if parts.is_empty() {
        parts.push(format!("{} || t.ctid::text", literal("place=")));
    }
    for at in shown {
        let column = &table.columns[*at];
        parts.push(part(&column.name, &format!("t.{}", column.physical())));
    }
    format!(
        "SELECT concat_ws(', ', {}) FROM {} t WHERE {condition}",
        parts.join(", "),
        context.of(&table.physical)
    )
}

/// How a rule is told to people.
pub fn told(table: &Table<'_>, rule: &Rule) -> String {
    let what = match rule.kind {
        RuleKind::Check { .. } => "check",
        RuleKind::Unique(_) | RuleKind::Inline { .. } => "unique constraint",
        RuleKind::ForeignKey { .. } => "foreign key",
    };
    format!("{what} {} of {}", rule.name, table.name)
}
