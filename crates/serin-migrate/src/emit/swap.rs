//! The end of the old shape: one short transaction that changes the catalogue and no row. What
//! went is only hidden, and dropped when its time of grace is over.

use super::{Context, numbers, parts, publish, settings, transaction};
use crate::shape::{Column, Rule, RuleKind, Table, gone_column, gone_table, short};
use crate::{Action, Ident, Stage, Step, catalog, literal};

/// The swap, and the drops after the time of grace.
pub fn steps(context: &Context<'_>) -> Vec<Step> {
    let mut steps =
        vec![transaction(Stage::Swap, "the old shape goes", all(context), locked(context))];
    steps.extend(grace(context));
    steps
}

/// Physical tables whose locks it takes.
pub fn locked(context: &Context<'_>) -> Vec<Ident> {
    let mut tables: Vec<Ident> =
        super::touched(context.shape).map(|table| table.physical.clone()).collect();
    // Who drops a reference locks both of its tables.
    for table in super::touched(context.shape) {
        let old = table.old.into_iter().flat_map(|old| &old.constraints);
        let goes =
            |rule: &&catalog::Constraint| !table.live || table.dropped_rules.contains(&rule.name);
        let far = old.filter(goes).filter_map(|rule| rule.references.as_ref());
        let here = far.filter(|far| far.schema == *context.schema());
        for far in here {
            if !tables.contains(&far.table) {
                tables.push(far.table.clone());
            }
        }
    }
    tables
}

fn all(context: &Context<'_>) -> Vec<String> {
    let mut sql = publish::drop_old(context);
    let kept: Vec<(&Table<'_>, &catalog::Table)> = context.kept().collect();
    let each = |part: &dyn Fn(&Table<'_>, &catalog::Table) -> Vec<String>| -> Vec<String> {
        kept.iter().flat_map(|(table, old)| part(table, old)).collect()
    };
    sql.extend(context.viewed().filter_map(|table| publish::settled(context, table)));
    sql.extend(
        context
            .syncs
            .iter()
            .filter(|sync| !sync.passive)
            .flat_map(|sync| crate::trigger::drop(sync, context.schema())),
    );
    sql.extend(super::cross::drop(context));
    sql.extend(loose(context));
    sql.extend(each(&|table, _| numbers::move_identities(context, table)));
    sql.extend(each(&|table, _| hide(context, table)));
    sql.extend(each(&|table, old| take_over(context, table, old)));
    let live = || context.shape.tables.iter().filter(|table| table.live);
    sql.extend(live().flat_map(|table| rename_columns(context, table)));
    sql.extend(each(&|table, _| settings::columns(context, table)));
    sql.extend(each(&|table, _| numbers::hand_over(context, table)));
    sql.extend(live().flat_map(|table| rules(context, table)));
    sql.extend(each(&|table, old| renamed_rules(context, table, old)));
    sql.extend(settings::identities_at_swap(context));
    sql.extend(tables(context));
    let last = context.shape.sql.iter().filter(|sql| sql.on_complete);
    sql.extend(last.map(|sql| super::raw(&sql.up)));
    sql
}

/// Constraints and indexes that go, or whose place another takes; references first, as they need
/// the others.
fn loose(context: &Context<'_>) -> Vec<String> {
    let mut references = vec![];
    let mut others = vec![];
    for table in &context.shape.tables {
        let Some(old) = table.old else { continue };
        let on = context.of(&table.physical);
        for rule in &old.constraints {
            let replaced = table.rules.iter().any(|new| new.replaces.as_ref() == Some(&rule.name));
            let gone = table.dropped_rules.contains(&rule.name) || replaced;
            let sql = format!("ALTER TABLE {on} DROP CONSTRAINT {}", rule.name);
            match (rule.kind.as_str(), table.live) {
                ("f", false) => references.push(sql),
                ("f", true) if gone => references.push(sql),
                (_, true) if gone => others.push(sql),
                _ => {}
            }
        }
        let replaced = table.indexes.iter().filter_map(|index| index.replaces.as_ref());
        others.extend(replaced.map(|name| format!("DROP INDEX {}", context.of(name))));
    }
    let dropped = context.shape.dropped_indexes.iter();
    others.extend(dropped.map(|name| format!("DROP INDEX {}", context.of(name))));
    references.extend(others);
    references
}

/// Columns that nothing uses any more get a name that nobody knows; what was only on the way from
/// one value to another goes.
fn hide(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let on = context.of(&table.physical);
    let mut sql = vec![];
    for column in &table.columns {
        let kept = usize::from(column.live);
        let between = column.made.iter().rev().skip(kept);
        sql.extend(between.map(|made| format!("ALTER TABLE {on} DROP COLUMN {}", made.physical)));
        let Some(old) = column.left_behind() else { continue };
        let name = &old.name;
        if column.live || old.identity.is_empty() {
            if old.default.is_some() {
                sql.push(format!("ALTER TABLE {on} ALTER COLUMN {name} DROP DEFAULT"));
            }
        } else {
            sql.push(format!("ALTER TABLE {on} ALTER COLUMN {name} DROP IDENTITY"));
        }
        if old.not_null {
            sql.push(format!("ALTER TABLE {on} ALTER COLUMN {name} DROP NOT NULL"));
        }
        let gone = gone_column(&context.migration.name, &table.physical, name);
        sql.push(format!("ALTER TABLE {on} RENAME COLUMN {name} TO {gone}"));
    }
    sql
}

/// Columns that moved get the old name first, so that policies and triggers can be made anew by
/// the text they had.
fn take_over(context: &Context<'_>, table: &Table<'_>, old: &catalog::Table) -> Vec<String> {
    let on = context.of(&table.physical);
    let moved: Vec<(&Ident, &Ident)> = table
        .live()
        .filter_map(|column| Some((&column.made.last()?.physical, &column.old?.name)))
        .collect();
    let rename =
        |(from, to): &(&Ident, &Ident)| format!("ALTER TABLE {on} RENAME COLUMN {from} TO {to}");
    let mut sql: Vec<String> = moved.iter().map(rename).collect();
    let concerns = |columns: &[Ident]| moved.iter().any(|(_, name)| columns.contains(name));
    for policy in old.policies.iter().filter(|policy| concerns(&policy.columns)) {
        let using = policy.using.as_ref().map(|rows| format!(" USING ({rows})"));
        let check = policy.check.as_ref().map(|rows| format!(" WITH CHECK ({rows})"));
        let (using, check) = (using.unwrap_or_default(), check.unwrap_or_default());
        sql.push(format!("ALTER POLICY {} ON {on}{using}{check}", policy.name));
    }
    for trigger in old.triggers.iter().filter(|trigger| concerns(&trigger.columns)) {
        let name = &trigger.name;
        sql.push(format!("DROP TRIGGER {name} ON {on}"));
        sql.push(trigger.definition.clone());
        let how = match trigger.enabled.as_str() {
            "D" => "DISABLE",
            "R" => "ENABLE REPLICA",
            "A" => "ENABLE ALWAYS",
            _ => continue,
        };
        sql.push(format!("ALTER TABLE {on} {how} TRIGGER {name}"));
    }
    for statistics in old.statistics.iter().filter(|of| concerns(&of.columns)) {
        sql.push(format!("DROP STATISTICS {}", context.of(&statistics.name)));
        sql.extend(statistics.using.clone());
    }
    sql
}

/// The last names, over names that no column has where two change places.
fn rename_columns(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let on = context.of(&table.physical);
    let now = |column: &Column<'_>| {
        column.old.map_or_else(|| column.physical().clone(), |old| old.name.clone())
    };
    let pairs: Vec<(Ident, Ident)> =
        table.live().map(|column| (now(column), column.name.clone())).collect();
    let between = |at: usize| short("_serin_between_", &[&at.to_string()]);
    let rename =
        |from: &Ident, to: &Ident| format!("ALTER TABLE {on} RENAME COLUMN {from} TO {to}");
    renames(&pairs, between, rename)
}

fn renames(
    pairs: &[(Ident, Ident)],
    between: impl Fn(usize) -> Ident,
    rename: impl Fn(&Ident, &Ident) -> String,
) -> Vec<String> {
    let changed: Vec<&(Ident, Ident)> = pairs.iter().filter(|(from, to)| from != to).collect();
    let cross = changed.iter().any(|(_, to)| changed.iter().any(|(from, _)| from == to));
    if !cross {
        return changed.iter().map(|(from, to)| rename(from, to)).collect();
    }
    let away = changed.iter().enumerate().map(|(at, (from, _))| rename(from, &between(at)));
    let back = changed.iter().enumerate().map(|(at, (_, to))| rename(&between(at), to));
    away.chain(back).collect()
}

/// New constraints get their names; unique indexes become constraints.
fn rules(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let on = context.of(&table.physical);
    let mut sql = vec![];
    for rule in &table.rules {
        let (held, name) = (&rule.held, &rule.name);
        match &rule.kind {
            RuleKind::Unique(unique) => {
                sql.extend(super::unique::attach(context, table, rule, unique));
            }
            RuleKind::ForeignKey { .. } if table.is_partitioned() => {
                sql.extend(joined(context, table, rule));
            }
            _ if held != name => {
                sql.push(format!("ALTER TABLE {on} RENAME CONSTRAINT {held} TO {name}"));
            }
            _ => {}
        }
        if let Some(comment) = &rule.comment {
            let text = literal(comment);
            sql.push(format!("COMMENT ON CONSTRAINT {name} ON {on} IS {text}"));
        }
    }
    for index in &table.indexes {
        if index.held != index.name {
            let held = context.of(&index.held);
            sql.push(format!("ALTER INDEX {held} RENAME TO {}", index.name));
        }
        if let Some(comment) = &index.comment {
            let text = literal(comment);
            sql.push(format!("COMMENT ON INDEX {} IS {text}", context.of(&index.name)));
        }
    }
    sql
}

/// A reference of a partitioned table: the parts get its name, and the whole finds them and looks
/// at no row.
fn joined(context: &Context<'_>, table: &Table<'_>, rule: &Rule) -> Vec<String> {
    let (held, name) = (&rule.held, &rule.name);
    let holders = super::verify::holders(table).into_iter().filter(|_| held != name);
    let parts = holders.map(|part| {
        format!("ALTER TABLE {} RENAME CONSTRAINT {held} TO {name}", context.of(&part))
    });
    let definition = super::constraints::last_definition(context, table, rule);
    let whole = definition.map(|definition| {
        format!("ALTER TABLE {} ADD CONSTRAINT {name} {definition}", context.of(&table.physical))
    });
    parts.chain(whole).collect()
}

fn renamed_rules(context: &Context<'_>, table: &Table<'_>, old: &catalog::Table) -> Vec<String> {
    let on = context.of(&table.physical);
    let replaced =
        |name: &Ident| table.rules.iter().any(|rule| rule.replaces.as_ref() == Some(name));
    let kept = old
        .constraints
        .iter()
        .filter(|rule| !table.dropped_rules.contains(&rule.name) && !replaced(&rule.name));
    let pairs: Vec<(Ident, Ident)> =
        kept.map(|rule| (rule.name.clone(), table.rule_name(&rule.name).clone())).collect();
    let between = |at: usize| short("_serin_between_", &[table.physical.as_str(), &at.to_string()]);
    renames(&pairs, between, |from, to| {
        format!("ALTER TABLE {on} RENAME CONSTRAINT {from} TO {to}")
    })
}

/// Tables that go are hidden with their indexes, and the others get their last names.
fn tables(context: &Context<'_>) -> Vec<String> {
    let mut sql = vec![];
    let gone = |name: &Ident| gone_table(&context.migration.name, name);
    for table in context.shape.tables.iter().filter(|table| !table.live) {
        let Some(old) = table.old else { continue };
        for index in &old.indexes {
            let name = &index.name;
            sql.push(format!("ALTER INDEX {} RENAME TO {}", context.of(name), gone(name)));
        }
        let name = &old.name;
        sql.push(format!("ALTER TABLE {} RENAME TO {}", context.of(name), gone(name)));
    }
    let live = context.shape.tables.iter().filter(|table| table.live);
    let pairs: Vec<(Ident, Ident)> =
        live.map(|table| (table.physical.clone(), table.name.clone())).collect();
    let between = |at: usize| short("_serin_between_", &["table", &at.to_string()]);
    let rename =
        |from: &Ident, to: &Ident| format!("ALTER TABLE {} RENAME TO {to}", context.of(from));
    sql.extend(renames(&pairs, between, rename));
    sql.extend(context.made().filter_map(|table| parts::named_after_table(context, table)));
    sql.extend(
        super::touched(context.shape)
            .filter_map(|table| parts::named_after_columns(context, table)),
    );
    sql
}

/// What was hidden is dropped.
fn grace(context: &Context<'_>) -> Vec<Step> {
    let migration = &context.migration.name;
    let mut steps = vec![];
    let mut step = |title: String, sql: String, table: Ident| {
        let action = Action::transaction(vec![sql], vec![table]);
        steps.push(Step { stage: Stage::Grace, title, action });
    };
    for table in &context.shape.tables {
        let Some(old) = table.old else { continue };
        if !table.live {
            let gone = gone_table(migration, &old.name);
            let sql = format!("DROP TABLE IF EXISTS {}", context.of(&gone));
            step(format!("drop table {}", old.name), sql, gone);
            continue;
        }
        for was in table.columns.iter().filter_map(Column::left_behind) {
            let gone = gone_column(migration, &table.physical, &was.name);
            let sql = dropped(context, &gone);
            step(format!("drop column {} of {}", was.name, table.name), sql, table.name.clone());
        }
    }
    steps
}

/// Drops a hidden column of whatever table has it: later migrations may have given the table another
/// name.
fn dropped(context: &Context<'_>, gone: &Ident) -> String {
    let (schema, name) =
        (literal(&context.shape.catalog.schema.to_string()), literal(gone.as_str()));
    let body = format!(
        "DECLARE held regclass; BEGIN FOR held IN SELECT a.attrelid FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = {schema}::regnamespace \
         AND a.attname = {name} AND c.relkind IN ('r', 'p') AND a.attinhcount = 0 \
         AND NOT a.attisdropped LOOP EXECUTE pg_catalog.format('ALTER TABLE %s DROP COLUMN %I', held, \
         {name}); END LOOP; END",
    );
    format!("DO {}", literal(&body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn ident(name: &str) -> Ident {
        Ident::new(name).unwrap()
    }

    /// What is under which name after the renames, each of which must find its name free.
    fn after(pairs: &[(Ident, Ident)]) -> BTreeMap<String, usize> {
        let mut names: BTreeMap<String, usize> =
            pairs.iter().enumerate().map(|(at, (from, _))| (from.as_str().into(), at)).collect();
        let between = |at: usize| ident(&format!("between{at}"));
        let arrow = |from: &Ident, to: &Ident| format!("{} {}", from.as_str(), to.as_str());
        for step in renames(pairs, between, arrow) {
            let (from, to) = step.split_once(' ').unwrap();
            let what = names.remove(from).unwrap();
            assert_eq!(names.insert(to.to_owned(), what), None, "{to} is taken");
        }
        names
    }

    proptest! {
        #[test]
        fn names_change_places_in_any_way(to in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
            new in 0..8_usize) {
            let name = |at: usize| ident(&format!("n{at}"));
            let mut pairs: Vec<(Ident, Ident)> =
                to.iter().enumerate().map(|(at, to)| (name(at), name(*to))).collect();
            pairs[new].1 = ident("another");
            let names = after(&pairs);
            for (at, (_, to)) in pairs.iter().enumerate() {
                prop_assert_eq!(names.get(to.as_str()), Some(&at));
            }
        }
    }
}
