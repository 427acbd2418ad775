//! After the last operation: what the old shape has and the new one keeps is made anew on columns
//! that moved, and what cannot be kept is told.

use super::{Column, End, Far, NewIndex, Rule, RuleKind, Shape, Text, Unique, short};
use crate::{Deferral, Flaw, Ident, catalog};

/// Notes constraints and indexes that columns take along, and what stands in the way.
pub fn settle(shape: &mut Shape<'_>) {
    for at in 0..shape.tables.len() {
        let Some(old) = shape.tables[at].old.filter(|_| shape.tables[at].live) else { continue };
        for rule in old.constraints.iter().filter(|rule| !rule.inherited) {
            constraint(shape, at, rule);
        }
        for index in old.indexes.iter().filter(|index| !index.inherited) {
            self::index(shape, at, index);
        }
        obstacles(shape, at, old);
    }
    far_partitions(shape);
}

/// A partitioned table has the whole of a new unique index only at the swap, too late for what
/// refers to it.
fn far_partitions(shape: &mut Shape<'_>) {
    let mut flaws = vec![];
    for (table, rule) in
        shape.tables.iter().flat_map(|of| of.rules.iter().map(move |rule| (of, rule)))
    {
        let RuleKind::ForeignKey { far, .. } = &rule.kind else { continue };
        let End::Here { table: place, columns } = &far.end else { continue };
        let of = &shape.tables[*place];
        let moved = columns.iter().any(|at| of.columns[*at].is_moved());
        if of.is_partitioned() && moved {
            let message = format!(
                "{} of {} refers to partitioned table {} by a column that is made anew",
                rule.name, table.name, of.name
            );
            let hint = "drop that constraint in the same migration, and make it anew in the next";
            flaws.push(Flaw::new(&rule.path, message).hint(hint));
        }
    }
    shape.flaws.extend(flaws);
}

/// What became of the columns that something uses.
enum Fate {
    /// They are where they were.
    Same,
    /// One of them has its values elsewhere now.
    Moved(Vec<usize>),
    /// This one is gone.
    Gone(usize),
}

fn fate(shape: &Shape<'_>, table: usize, columns: &[Ident]) -> Fate {
    let of = &shape.tables[table];
    let places: Vec<usize> = columns.iter().filter_map(|name| of.became(name)).collect();
    match places.iter().find(|at| !of.columns[**at].live) {
        Some(at) => Fate::Gone(*at),
        None if places.iter().any(|at| of.columns[*at].is_moved()) => Fate::Moved(places),
        None => Fate::Same,
    }
}

fn constraint(shape: &mut Shape<'_>, table: usize, old: &catalog::Constraint) {
    if shape.tables[table].dropped_rules.contains(&old.name) {
        return;
    }
    let near = fate(shape, table, &old.columns);
    let far = far(shape, old);
    match (near, far) {
        // It goes with its column.
        (Fate::Gone(_), _) => {
            shape.tables[table].dropped_rules.insert(old.name.clone());
        }
        (_, Some((far, Fate::Gone(at)))) => refers_to_gone(shape, (table, old), far, Some(at)),
        (_, Some((far, _))) if !shape.tables[far].live => {
            refers_to_gone(shape, (table, old), far, None);
        }
        (Fate::Same, None | Some((_, Fate::Same))) => {}
        (Fate::Moved(_) | Fate::Same, _) => anew(shape, table, old),
    }
}

/// The far side of a foreign key within the schema.
fn far(shape: &Shape<'_>, old: &catalog::Constraint) -> Option<(usize, Fate)> {
    let side = old.references.as_ref().filter(|far| far.schema == shape.catalog.schema)?;
    let table =
        shape.tables.iter().position(|of| of.old.is_some_and(|old| old.name == side.table))?;
    Some((table, fate(shape, table, &side.columns)))
}

fn refers_to_gone(
    shape: &mut Shape<'_>,
    (table, old): (usize, &catalog::Constraint),
    far: usize,
    column: Option<usize>,
) {
    let at = column.or(Some(0)).map(|at| shape.tables[far].columns[at].at.clone());
    let (near, name) = (&shape.tables[table].name, &old.name);
    let message = format!("constraint {name} of table {near} refers to it");
    shape.flaws.push(
        Flaw::new(at.unwrap_or_default(), message)
            .hint("drop that constraint in the same migration"),
    );
}

/// Makes a constraint anew where the values are now.
fn anew(shape: &mut Shape<'_>, table: usize, old: &catalog::Constraint) {
    let of = &shape.tables[table];
    let places: Vec<usize> = old.columns.iter().filter_map(|name| of.became(name)).collect();
    let held = |prefix: &str| short(prefix, &[of.physical.as_str(), old.name.as_str()]);
    let text = |sql: &str| Text::new(sql, &of.physical, of.old_scope());
    let kind = match old.kind.as_str() {
        "c" => RuleKind::Check {
            condition: text(old.condition.as_deref().unwrap_or_default()),
            no_inherit: old.no_inherit,
        },
        "u" | "p" => {
            let indexes = of.old.into_iter().flat_map(|table| &table.indexes);
            let index = indexes.into_iter().find(|index| Some(&index.name) == old.index.as_ref());
            RuleKind::Unique(Unique {
                columns: places.clone(),
                primary: old.kind == "p",
                tail: text(index.map_or("", |index| index.tail.as_str())),
                tablespace: None,
            })
        }
        "f" => match far_anew(shape, table, old) {
            Some(far) => RuleKind::ForeignKey { columns: places.clone(), far },
            None => return,
        },
        _ => return exclusion(shape, table, old, &places),
    };
    let prefix = if matches!(kind, RuleKind::Unique(_)) { "_serin_ix_" } else { "_serin_c_" };
    let rule = Rule {
        path: moved_at(of, &places),
        name: of.rule_name(&old.name).clone(),
        held: held(prefix),
        replaces: Some(old.name.clone()),
        kind,
        deferral: deferral(old),
        comment: old.comment.clone(),
    };
    shape.tables[table].rules.push(rule);
}

fn deferral(old: &catalog::Constraint) -> Deferral {
    match (old.deferrable, old.deferred) {
        (_, true) => Deferral::Initially,
        (true, false) => Deferral::Possible,
        (false, false) => Deferral::Never,
    }
}

/// The operation that moved one of the columns.
fn moved_at(table: &super::Table<'_>, places: &[usize]) -> String {
    let moved = places.iter().map(|at| &table.columns[*at]).find(|column| column.is_moved());
    moved.map_or_else(String::new, |column| column.at.clone())
}

fn exclusion(shape: &mut Shape<'_>, table: usize, old: &catalog::Constraint, places: &[usize]) {
    let path = moved_at(&shape.tables[table], places);
    let message = format!(
        "exclusion constraint {} uses the column; it cannot be made anew without stopping all writers",
        old.name
    );
    shape.flaws.push(Flaw::new(path, message).hint("drop it in a migration before this one"));
}

fn far_anew(shape: &Shape<'_>, table: usize, old: &catalog::Constraint) -> Option<Far> {
    let side = old.references.as_ref()?;
    let here = shape
        .tables
        .iter()
        .position(|of| of.old.is_some_and(|old| old.name == side.table))
        .filter(|_| side.schema == shape.catalog.schema);
    let end = if let Some(place) = here {
        let of = &shape.tables[place];
        let columns = side.columns.iter().filter_map(|name| of.became(name)).collect();
        End::Here { table: place, columns }
    } else {
        let columns: Vec<String> = side.columns.iter().map(ToString::to_string).collect();
        End::Elsewhere(format!("{}.{} ({})", side.schema, side.table, columns.join(", ")))
    };
    let of = &shape.tables[table];
    let update = format!(" ON UPDATE {}", action(&side.on_update));
    let full = if side.match_type == "f" { " MATCH FULL" } else { "" };
    Some(Far {
        end,
        actions: format!("{full}{update}"),
        set_on_delete: side.on_delete_set.iter().filter_map(|name| of.became(name)).collect(),
        on_delete: Some(action(&side.on_delete).to_owned()),
    })
}

fn action(word: &str) -> &'static str {
    match word {
        "r" => "RESTRICT",
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        _ => "NO ACTION",
    }
}

fn index(shape: &mut Shape<'_>, table: usize, old: &catalog::Index) {
    if old.constraint.is_some() || shape.dropped_indexes.contains(&old.name) {
        return;
    }
    let places = match fate(shape, table, &old.uses) {
        Fate::Same => return,
        // It goes with its column.
        Fate::Gone(at) => {
            let column = &shape.tables[table].columns[at];
            let message = format!("index {} goes with column {}", old.name, column.name);
            shape.warnings.push(Flaw::new(&column.at, message));
            shape.dropped_indexes.insert(old.name.clone());
            return;
        }
        Fate::Moved(places) => places,
    };
    let of = &shape.tables[table];
    let keys = old.keys.iter().flatten().filter_map(|name| of.became(name));
    let new = NewIndex {
        path: moved_at(of, &places),
        name: old.name.clone(),
        held: short("_serin_ix_", &[old.name.as_str()]),
        replaces: Some(old.name.clone()),
        unique: old.unique,
        columns: keys.collect(),
        tail: Text::new(&old.tail, &of.physical, of.old_scope()),
        comment: old.comment.clone(),
    };
    shape.tables[table].indexes.push(new);
}

/// What uses a column that moved or went and cannot be made anew.
fn obstacles(shape: &mut Shape<'_>, table: usize, old: &catalog::Table) {
    let of = &shape.tables[table];
    let left: Vec<&Column<'_>> =
        of.columns.iter().filter(|column| column.left_behind().is_some()).collect();
    let mut flaws = vec![];
    for column in left {
        let Some(was) = column.old else { continue };
        let mut told = |what: String, hint: &str| {
            flaws.push(Flaw::new(&column.at, what).hint(hint));
        };
        if old.partition_columns.contains(&was.name) {
            let message = format!("{} says which partition a row of {} is in", was.name, old.name);
            told(message, "make a new table and move the rows");
        }
        if was.inherited {
            let message = format!("{} of {} comes from a table above", was.name, old.name);
            told(message, "change it there");
        }
        for view in readers(shape, old, &was.name) {
            told(
                format!("{view} reads {} of {}", was.name, old.name),
                "drop it first, and make it anew after the contract",
            );
        }
        if !column.live {
            for what in named_by(old, &was.name) {
                told(
                    format!("{what} names {} of {}", was.name, old.name),
                    "drop it first with `sql`",
                );
            }
        }
        for from in readers_in_table(of, &was.name) {
            told(
                format!("generated column {from} is worked out from {}", was.name),
                "drop that one in the same migration",
            );
        }
        for from in &old.referenced {
            if from.columns.contains(&was.name) {
                told(
                    format!("{} of {} refers to it from another schema", from.name, from.table),
                    "drop that constraint first",
                );
            }
        }
    }
    shape.flaws.extend(flaws);
}

fn readers(shape: &Shape<'_>, table: &catalog::Table, column: &Ident) -> Vec<String> {
    let others = table.dependents.iter().filter(|view| Some(&view.schema) != shape.old_view);
    let reading = others.filter(|view| view.columns.contains(column));
    let kind =
        |view: &catalog::Dependent| if view.kind == "m" { "materialised view" } else { "view" };
    reading.map(|view| format!("{} {}.{}", kind(view), view.schema, view.name)).collect()
}

/// Policies and triggers that name a column.
fn named_by(table: &catalog::Table, column: &Ident) -> Vec<String> {
    let policies = table.policies.iter().filter(|of| of.columns.contains(column));
    let triggers = table.triggers.iter().filter(|of| of.columns.contains(column));
    let policies = policies.map(|of| format!("policy {}", of.name));
    policies.chain(triggers.map(|of| format!("trigger {}", of.name))).collect()
}

fn readers_in_table(table: &super::Table<'_>, column: &Ident) -> Vec<Ident> {
    let live = table.columns.iter().filter(|of| of.live);
    let reading = live.filter(|of| of.old.is_some_and(|old| old.reads.contains(column)));
    reading.map(|of| of.name.clone()).collect()
}
