//! Indexes, built while others write. A partitioned table's are built one partition at a time and
//! joined at the end.

use super::{Context, transaction, unique};
use crate::shape::{RuleKind, Table, hashed};
use crate::{Action, Ident, Stage, Step};

/// Names tried for the index of a partition.
const TRIES: u32 = 50;

/// One index to be built.
pub struct Build<'a> {
    /// Its name while both shapes are in use.
    pub held: &'a Ident,
    /// No two rows have the same values.
    pub unique: bool,
    /// It becomes a constraint.
    pub constraint: bool,
    /// Its columns, by their places in the table.
    pub columns: &'a [usize],
    /// All of it behind the table's name.
    pub tail: String,
}

/// All indexes of a table that are to be built, unique ones first.
pub fn builds<'a>(table: &'a Table<'_>) -> Vec<Build<'a>> {
    let rules = table.rules.iter().filter_map(|rule| match &rule.kind {
        RuleKind::Unique(unique) => {
            let space = unique.tablespace.as_ref();
            let space = space.map(|name| format!(" TABLESPACE {name}")).unwrap_or_default();
            Some(Build {
                held: &rule.held,
                unique: true,
                constraint: true,
                columns: &unique.columns,
                tail: format!("{}{space}", unique.tail.as_run()),
            })
        }
        _ => None,
    });
    let indexes = table.indexes.iter().map(|index| Build {
        held: &index.held,
        unique: index.unique,
        constraint: false,
        columns: &index.columns,
        tail: index.tail.as_run().to_owned(),
    });
    rules.chain(indexes).collect()
}

/// Builds them all.
pub fn steps(context: &Context<'_>) -> Vec<Step> {
    let live = context.shape.tables.iter().filter(|table| table.live);
    live.flat_map(|table| {
        builds(table).into_iter().flat_map(move |build| one(context, table, &build))
    })
    .collect()
}

fn one(context: &Context<'_>, table: &Table<'_>, build: &Build<'_>) -> Vec<Step> {
    if table.old.is_none() {
        // A table that was put aside has it already.
        let sql = vec![create(context, build, "IF NOT EXISTS ", (build.held, &table.physical))];
        let title = format!("build index {} of {}", build.held, table.name);
        return vec![transaction(Stage::Verify, title, sql, vec![])];
    }
    if !table.is_partitioned() {
        return vec![concurrently(context, table, build, (build.held, &table.physical))];
    }
    let leaves = leaves(context, table, build.held);
    let built =
        leaves.iter().map(|(index, leaf)| concurrently(context, table, build, (index, leaf)));
    let mut steps: Vec<Step> = built.collect();
    // A constraint joins its parts itself, at the swap.
    if !build.constraint {
        let sql = vec![create(context, build, "", (build.held, &table.physical))];
        let title = format!("join the parts of index {} of {}", build.held, table.name);
        let tables = vec![table.physical.clone()];
        steps.push(transaction(Stage::Verify, title, sql, tables));
    }
    steps
}

fn create(
    context: &Context<'_>,
    build: &Build<'_>,
    how: &str,
    (index, table): (&Ident, &Ident),
) -> String {
    let unique = if build.unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}INDEX {how}{index} ON {}{}", context.of(table), build.tail)
}

fn concurrently(
    context: &Context<'_>,
    of: &Table<'_>,
    build: &Build<'_>,
    (index, table): (&Ident, &Ident),
) -> Step {
    let same = build.unique && !build.columns.is_empty();
    let action = Action::IndexConcurrently {
        create: create(context, build, "CONCURRENTLY ", (index, table)),
        index: index.clone(),
        table: table.clone(),
        same: same.then(|| unique::same(context, of, build.columns, table)),
    };
    Step { stage: Stage::Verify, title: format!("build index {index} of {table}"), action }
}

/// The index of each partition, and the partition.
pub fn leaves(context: &Context<'_>, table: &Table<'_>, held: &Ident) -> Vec<(Ident, Ident)> {
    let leaves = table.old.into_iter().flat_map(|old| &old.leaves);
    leaves.map(|leaf| (leaf_index(context, &leaf.name, held), leaf.name.clone())).collect()
}

/// A name that can stay, as nobody renames it: the first that is free.
fn leaf_index(context: &Context<'_>, leaf: &Ident, held: &Ident) -> Ident {
    let base = held.as_str().trim_start_matches(crate::catalog::OURS);
    let name = |number: u32| {
        let count = if number < 2 { String::new() } else { format!("_{number}") };
        let parts = [leaf.as_str(), held.as_str(), &count];
        hashed("", &format!("{}_{base}{count}", leaf.as_str()), &parts)
    };
    let free = (1..TRIES).map(name).find(|name| !context.shape.catalog.is_taken(name));
    free.unwrap_or_else(|| name(TRIES))
}
