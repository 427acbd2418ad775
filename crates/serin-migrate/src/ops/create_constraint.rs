//! `create_constraint`, and the constraints that other operations bring along.

use super::copy::{Change, is_needed, make};
use super::indexes;
use crate::shape::{End, Far, Rule, RuleKind, Shape, Text, Unique, short};
use crate::{
    ConstraintKind, CreateConstraint, Deferral, Flaw, ForeignKey, Ident, IndexParameters,
    TableForeignKey,
};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Notes a constraint of a table that is there.
pub fn create(shape: &mut Shape<'_>, create: &CreateConstraint) {
    let Some(table) = shape.table("table", &create.table) else { return };
    let named: Vec<Ident> = named(&create.constraint.kind).to_vec();
    let columns = shape.columns("columns", table, &named);
    let strange = !values_fit(shape, &named, create);
    let Some(columns) = columns.filter(|_| !strange) else { return };
    for (at, name) in columns.iter().zip(&named) {
        let value = |map: &BTreeMap<Ident, String>| map.get(name).cloned();
        copied(shape, (table, *at), [value(&create.up), value(&create.down)]);
    }
    rule(shape, table, &columns, create);
}

fn named(kind: &ConstraintKind) -> &[Ident] {
    match kind {
        ConstraintKind::Unique { columns, .. }
        | ConstraintKind::PrimaryKey { columns, .. }
        | ConstraintKind::Check { columns, .. }
        | ConstraintKind::ForeignKey { columns, .. } => columns,
        ConstraintKind::Exclude(_) => &[],
    }
}

/// `up` and `down` speak of columns of the constraint only.
fn values_fit(shape: &mut Shape<'_>, named: &[Ident], create: &CreateConstraint) -> bool {
    let before = shape.flaws.len();
    for (key, map) in [("up", &create.up), ("down", &create.down)] {
        for column in map.keys().filter(|column| !named.contains(column)) {
            let message = format!("{column} is no column of the constraint");
            let path = format!("{}.{}", shape.path(key), column.as_str());
            let known = named.iter().map(Ident::as_str);
            shape.flaws.push(Flaw::new(path, message).nearest(column.as_str(), known));
        }
    }
    shape.flaws.len() == before
}

/// A column of the constraint whose values become others.
pub fn copied(shape: &mut Shape<'_>, place: (usize, usize), [up, down]: [Option<String>; 2]) {
    let change = Change { up: up.as_deref(), down: down.as_deref(), ..Change::default() };
    if is_needed(&shape.tables[place.0], place.1, change) {
        make(shape, place, change, ["columns", "up", "down"]);
    }
}

fn rule(shape: &mut Shape<'_>, table: usize, columns: &[usize], create: &CreateConstraint) {
    let constraint = &create.constraint;
    let name = &constraint.name;
    let kind = match &constraint.kind {
        ConstraintKind::Check { condition, no_inherit, .. } => {
            return check(shape, table, ("check", name), condition, *no_inherit);
        }
        ConstraintKind::Unique { nulls_not_distinct, index, .. } => {
            unique_kind(shape, table, columns, (false, *nulls_not_distinct, index))
        }
        ConstraintKind::PrimaryKey { index, .. } => {
            if !is_keyless(shape, table) {
                return;
            }
            unique_kind(shape, table, columns, (true, false, index))
        }
        ConstraintKind::ForeignKey { references, .. } => {
            let Some(far) = far(shape, "references", (table, columns), references) else { return };
            Some(RuleKind::ForeignKey { columns: columns.to_vec(), far })
        }
        ConstraintKind::Exclude(_) => {
            let message = "an exclusion constraint cannot be added without stopping all writers";
            shape.flaw_with("type", message, "make it with create_table, or with `sql`");
            return;
        }
    };
    if let Some(kind) = kind {
        push(shape, table, "name", name, (kind, constraint.deferral));
    }
}

fn is_keyless(shape: &mut Shape<'_>, table: usize) -> bool {
    let of = &shape.tables[table];
    let old = of.old.and_then(crate::catalog::Table::primary_key);
    let kept = old.filter(|key| !of.dropped_rules.contains(&key.name));
    let Some(key) = kept else { return true };
    let message = format!("table {} has a primary key already, {}", of.name, key.name);
    shape.flaw_with("type", message, "drop it first with drop_multicolumn_constraint");
    false
}

/// Notes a condition. `key` is where the document says it.
pub fn check(
    shape: &mut Shape<'_>,
    table: usize,
    (key, name): (&str, &Ident),
    condition: &str,
    no_inherit: bool,
) {
    let of = &shape.tables[table];
    let condition = Text::new(condition, &of.name, of.scope());
    push(shape, table, key, name, (RuleKind::Check { condition, no_inherit }, Deferral::Never));
}

/// Notes that no value comes twice.
pub fn unique(shape: &mut Shape<'_>, table: usize, (key, name): (&str, &Ident), columns: &[usize]) {
    let index = IndexParameters::default();
    let kind = unique_kind(shape, table, columns, (false, false, &index));
    if let Some(kind) = kind {
        push(shape, table, key, name, (kind, Deferral::Never));
    }
}

fn unique_kind(
    shape: &mut Shape<'_>,
    table: usize,
    columns: &[usize],
    (primary, nulls_not_distinct, index): (bool, bool, &IndexParameters),
) -> Option<RuleKind> {
    if nulls_not_distinct && shape.catalog.major() < 15 {
        shape.flaw("nulls_not_distinct", "needs Postgres 15 or later");
        return None;
    }
    shape.columns("index_parameters.include_columns", table, &index.include)?;
    let of = &mut shape.tables[table];
    let names: Vec<String> = columns.iter().map(|at| of.columns[*at].name.to_string()).collect();
    let mut tail = format!(" USING btree ({})", names.join(", "));
    let include: Vec<String> = index.include.iter().map(ToString::to_string).collect();
    if !include.is_empty() {
        let _ = write!(tail, " INCLUDE ({})", include.join(", "));
    }
    if nulls_not_distinct {
        tail.push_str(" NULLS NOT DISTINCT");
    }
    if let Some(storage) = &index.storage {
        let _ = write!(tail, " WITH ({storage}\n)");
    }
    if primary {
        for at in columns {
            of.columns[*at].nullable = false;
        }
    }
    let tail = Text::new(tail, &of.name, of.scope());
    let tablespace = index.tablespace.clone();
    Some(RuleKind::Unique(Unique { columns: columns.to_vec(), primary, tail, tablespace }))
}

/// Notes a reference of one column.
pub fn references(
    shape: &mut Shape<'_>,
    (table, column): (usize, usize),
    (key, of): (&str, &ForeignKey),
) {
    let Some(far) = far(shape, key, (table, &[column]), &of.target) else { return };
    let kind = RuleKind::ForeignKey { columns: vec![column], far };
    push(shape, table, &format!("{key}.name"), &of.name, (kind, of.deferral));
}

/// What a reference refers to; flaws when it cannot.
pub fn far(
    shape: &mut Shape<'_>,
    key: &str,
    (near, columns): (usize, &[usize]),
    target: &TableForeignKey,
) -> Option<Far> {
    let table = shape.known_table(&format!("{key}.table"), &target.table)?;
    if let Some(flaw) = may_refer(shape, key, table) {
        shape.flaws.push(flaw);
        return None;
    }
    let names =
        if target.columns.is_empty() { key_of(shape, key, table)? } else { target.columns.clone() };
    let places = shape.columns(&format!("{key}.column"), table, &names)?;
    if places.len() != columns.len() {
        let message = format!("{} columns refer to {}", columns.len(), places.len());
        shape.flaw(key, message);
        return None;
    }
    if !is_unique(shape, table, &places) {
        let told: Vec<String> = names.iter().map(ToString::to_string).collect();
        let message = format!("{} of table {} is not unique", told.join(", "), target.table);
        shape.flaw_with(key, message, "refer to a primary key, or make it unique first");
        return None;
    }
    let set_on_delete = shape.columns("on_delete_set_columns", near, &target.on_delete_set)?;
    shape.tables[table].touched = true;
    let word = |before: &str, word: &Option<String>| {
        word.as_ref().map_or_else(String::new, |word| format!(" {before} {word}"))
    };
    let actions = word("MATCH", &target.match_type) + &word("ON UPDATE", &target.on_update);
    let end = End::Here { table, columns: places };
    Some(Far { end, actions, set_on_delete, on_delete: target.on_delete.clone() })
}

/// A flaw when the role may not refer to a table.
fn may_refer(shape: &Shape<'_>, key: &str, table: usize) -> Option<Flaw> {
    let old = shape.tables[table].old?;
    let user = &shape.catalog.server.user;
    let allowed = |grant: &crate::catalog::Grant| {
        grant.privilege == "REFERENCES" && grant.grantee.as_ref().is_none_or(|to| to == user)
    };
    if old.owned || old.acl.iter().any(allowed) {
        return None;
    }
    let message = format!("role {user} may not refer to table {}", old.name);
    let hint = format!("GRANT REFERENCES ON {}.{} TO {user}", shape.catalog.schema, old.name);
    Some(Flaw::new(shape.path(key), message).hint(hint))
}

fn key_of(shape: &mut Shape<'_>, key: &str, table: usize) -> Option<Vec<Ident>> {
    let of = &shape.tables[table];
    let old = of.old.and_then(crate::catalog::Table::primary_key);
    let old = old.map(|key| key.columns.iter().filter_map(|name| of.became(name)).collect());
    let new = of.rules.iter().find_map(|rule| match &rule.kind {
        RuleKind::Unique(unique) if unique.primary => Some(unique.columns.clone()),
        RuleKind::Inline { columns: Some((true, columns)), .. } => Some(columns.clone()),
        _ => None,
    });
    let inline = inline_key(of);
    let places: Option<Vec<usize>> = new.or(old).or(inline);
    let names = places.map(|at| at.iter().map(|at| of.columns[*at].name.clone()).collect());
    if names.is_none() {
        let message = format!("table {} has no primary key to refer to", of.name);
        shape.flaw_with(key, message, "say its `column`");
    }
    names
}

fn inline_key(table: &crate::shape::Table<'_>) -> Option<Vec<usize>> {
    let is_key = |at: &usize| table.columns[*at].spec.as_ref().is_some_and(|spec| spec.primary_key);
    let places: Vec<usize> = (0..table.columns.len()).filter(is_key).collect();
    (table.old.is_none() && !places.is_empty()).then_some(places)
}

/// Whether rows of the table are told apart by these columns, in the catalogue or by a rule of
/// the migration.
pub fn is_unique(shape: &Shape<'_>, table: usize, places: &[usize]) -> bool {
    let of = &shape.tables[table];
    let old: Vec<Ident> =
        places.iter().filter_map(|at| of.columns[*at].old.map(|old| old.name.clone())).collect();
    let sorted = |places: &[usize]| {
        let mut places = places.to_vec();
        places.sort_unstable();
        places
    };
    let by_rule = |rule: &Rule| match &rule.kind {
        RuleKind::Unique(Unique { columns, .. })
        | RuleKind::Inline { columns: Some((_, columns)), .. } => sorted(columns) == sorted(places),
        _ => false,
    };
    let alone = |at: &usize| of.columns[*at].spec.as_ref().is_some_and(|spec| spec.unique);
    old.len() == places.len() && of.old.is_some_and(|of| of.is_unique(&old))
        || of.rules.iter().any(by_rule)
        || inline_key(of).is_some_and(|key| sorted(&key) == sorted(places))
        || matches!(places, [one] if alone(one))
}

/// Notes a constraint under a name that the table does not have yet.
pub fn push(
    shape: &mut Shape<'_>,
    table: usize,
    key: &str,
    name: &Ident,
    (kind, deferral): (RuleKind, Deferral),
) {
    if shape.tables[table].has_rule(name) {
        let message = format!("table {} has a constraint {name} already", shape.tables[table].name);
        return shape.flaw_with(key, message, "choose another name, or drop that one first");
    }
    let indexed = matches!(kind, RuleKind::Unique(_) | RuleKind::Inline { .. });
    if indexed && !shape.free(key, name) || !indexed && !shape.usable(key, name) {
        return;
    }
    let held = if indexed { indexes::held(shape, name) } else { held(shape, table, name) };
    if indexed {
        shape.names.take(name);
    }
    let (path, name) = (shape.path(key), name.clone());
    let rule = Rule { path, name, held, replaces: None, kind, deferral, comment: None };
    shape.tables[table].rules.push(rule);
}

/// The name of a constraint while both shapes are in use: its own, unless the old shape has it.
fn held(shape: &Shape<'_>, table: usize, name: &Ident) -> Ident {
    let of = &shape.tables[table];
    match of.old.and_then(|old| old.constraint(name)) {
        Some(_) => short("_serin_c_", &[of.physical.as_str(), name.as_str()]),
        None => name.clone(),
    }
}
