//! `drop_constraint`, `drop_multicolumn_constraint` and `rename_constraint`.

use super::create_constraint::copied;
use crate::shape::Shape;
use crate::{Flaw, Ident, catalog};

/// Values of columns, as SQL; without a name, of the only one.
type Values = Vec<(Option<Ident>, String)>;

/// Notes a constraint that goes. Columns whose values become others have one of their own, which
/// is free of it at once; the old one keeps it.
pub fn drop(shape: &mut Shape<'_>, table: &Ident, name: &Ident, values: [&Values; 2]) {
    let Some(table) = shape.table("table", table) else { return };
    let made = shape.tables[table].rules.iter().position(|rule| rule.name == *name);
    if let Some(at) = made {
        shape.tables[table].rules.remove(at);
        return;
    }
    let Some(old) = shape.tables[table].old_rule(name) else { return unknown(shape, table, name) };
    if old.inherited {
        let message = format!("constraint {name} comes from a table above");
        return shape.flaw_with("name", message, "drop it there");
    }
    let places: Vec<Option<usize>> =
        old.columns.iter().map(|column| shape.tables[table].became(column)).collect();
    let places: Vec<usize> = places.into_iter().flatten().collect();
    if !values_fit(shape, table, &places, values) || is_referred_to(shape, table, old) {
        return;
    }
    shape.tables[table].dropped_rules.insert(old.name.clone());
    if let Some(index) = &old.index {
        shape.names.free(index);
    }
    for at in &places {
        let column = shape.tables[table].columns[*at].name.clone();
        let value = |list: &Values| {
            list.iter()
                .find(|(of, _)| of.as_ref().is_none_or(|of| *of == column))
                .map(|of| of.1.clone())
        };
        copied(shape, (table, *at), values.map(value));
    }
}

fn unknown(shape: &mut Shape<'_>, table: usize, name: &Ident) {
    let message = format!("table {} has no constraint {name}", shape.tables[table].name);
    let known = shape.tables[table].rule_names();
    let known = known.iter().map(Ident::as_str);
    let flaw = Flaw::new(shape.path("name"), message).nearest(name.as_str(), known);
    shape.flaws.push(flaw);
}

fn values_fit(shape: &mut Shape<'_>, table: usize, places: &[usize], values: [&Values; 2]) -> bool {
    let before = shape.flaws.len();
    let names: Vec<Ident> =
        places.iter().map(|at| shape.tables[table].columns[*at].name.clone()).collect();
    for (key, list) in ["up", "down"].into_iter().zip(values) {
        for (column, _) in list {
            match column {
                None if names.len() != 1 => {
                    let message = format!("the constraint has {} columns, not one", names.len());
                    shape.flaw_with(key, message, "use drop_multicolumn_constraint");
                }
                Some(column) if !names.contains(column) => {
                    let message = format!("{column} is no column of the constraint");
                    let path = format!("{}.{}", shape.path(key), column.as_str());
                    let known = names.iter().map(Ident::as_str);
                    shape.flaws.push(Flaw::new(path, message).nearest(column.as_str(), known));
                }
                _ => {}
            }
        }
    }
    shape.flaws.len() == before
}

/// Whether foreign keys that stay need it.
fn is_referred_to(shape: &mut Shape<'_>, table: usize, rule: &catalog::Constraint) -> bool {
    let name = shape.tables[table].old.map(|old| old.name.clone());
    if !matches!(rule.kind.as_str(), "p" | "u") {
        return false;
    }
    let refers = |of: &catalog::Constraint| {
        of.references.as_ref().is_some_and(|far| {
            far.schema == shape.catalog.schema
                && Some(&far.table) == name.as_ref()
                && far.columns == rule.columns
        })
    };
    let found = shape.tables.iter().filter(|of| of.live).find_map(|of| {
        let old = of.old?;
        let rules =
            old.constraints.iter().filter(|of_old| !of.dropped_rules.contains(&of_old.name));
        rules.filter(|rule| refers(rule)).map(|rule| (of.name.clone(), rule.name.clone())).next()
    });
    let Some((other, foreign)) = found else { return false };
    let message = format!("constraint {foreign} of {other} refers to it");
    shape.flaw_with("name", message, "drop that one first");
    true
}

/// Gives a constraint a new name.
pub fn rename(shape: &mut Shape<'_>, table: &Ident, from: &Ident, to: &Ident) {
    let Some(table) = shape.table("table", table) else { return };
    let Some(old) = shape.tables[table].old_rule(from) else {
        if let Some(rule) = shape.tables[table].rules.iter_mut().find(|rule| rule.name == *from) {
            rule.name = to.clone();
            return;
        }
        let message = format!("table {} has no constraint {from}", shape.tables[table].name);
        let known = shape.tables[table].rule_names();
        let known = known.iter().map(Ident::as_str);
        let flaw = Flaw::new(shape.path("from"), message).nearest(from.as_str(), known);
        return shape.flaws.push(flaw);
    };
    if !shape.usable("to", to) {
        return;
    }
    let indexed = old.index.is_some();
    if shape.tables[table].has_rule(to) || indexed && shape.names.is_taken(to) {
        let message = format!("table {} has {to} already", shape.tables[table].name);
        return shape.flaw_with("to", message, "choose another name");
    }
    if let Some(index) = &old.index {
        shape.names.free(index);
        shape.names.take(to);
    }
    shape.tables[table].renamed_rules.insert(old.name.clone(), to.clone());
}
