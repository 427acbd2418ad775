//! From a shape to the steps that lead there, and back. No database: all answers are in the shape.

mod back;
mod constraints;
mod create;
mod cross;
mod expand;
pub mod extra;
mod indexes;
mod numbers;
mod parts;
mod publish;
pub mod sequences;
mod settings;
mod swap;
mod unique;
mod validate;
mod verify;

use crate::catalog;
use crate::shape::{Column, Shape, Table, short};
use crate::{Action, Flaw, Ident, Migration, Plan, Stage, Step, TableSync};

/// The flag column: a row's new values are there.
const DONE: &str = "_serin_done";

/// What all steps are made from.
pub struct Context<'a> {
    /// The shape.
    pub shape: &'a Shape<'a>,
    /// The migration.
    pub migration: &'a Migration,
    /// The views of new clients.
    pub new_view: Ident,
    /// What is held in step.
    pub syncs: Vec<TableSync>,
}

/// All steps of a migration.
pub fn plan(shape: &Shape<'_>, migration: &Migration, new_view: Ident) -> Plan {
    let syncs = syncs(shape, migration);
    let context = Context { shape, migration, new_view, syncs };
    let forward = [expand::steps(&context), verify::steps(&context), publish::steps(&context)];
    let contract = [validate::steps(&context), swap::steps(&context)];
    Plan {
        migration: migration.clone(),
        schema: shape.catalog.schema.clone(),
        old_view: shape.old_view.cloned(),
        new_view: context.new_view.clone(),
        tables: touched(shape).filter_map(|table| table.old).map(|old| old.name.clone()).collect(),
        forward: forward.concat(),
        contract: contract.concat(),
        back: back::steps(&context),
        warnings: warnings(shape),
        syncs: context.syncs,
    }
    .with_backup_noted()
}

/// SQL of a migration as one statement, which cannot end the transaction it is run in, nor change
/// where the statements after it look names up.
pub fn raw(sql: &str) -> String {
    let text = crate::literal(sql);
    let body = format!(
        "DECLARE path text := pg_catalog.current_setting('search_path'); BEGIN EXECUTE {text}; \
         IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) path THEN \
         PERFORM pg_catalog.set_config('search_path', path, false); END IF; END"
    );
    format!("DO {}", crate::ident::block(&body))
}

/// What is worth knowing, with what only the steps show.
fn warnings(shape: &Shape<'_>) -> Vec<Flaw> {
    let mut warnings = shape.warnings.clone();
    for table in shape.tables.iter().filter(|table| table.live) {
        if publish::has_column_acl(table) && table.old.is_some_and(|old| old.row_security) {
            let message = format!(
                "table {} has row level security and privileges on single columns: who has only \
                 those cannot read it through a view",
                table.name
            );
            warnings.push(Flaw::new("", message).hint("grant them the whole table"));
        }
    }
    warnings
}

/// Tables that the migration changes, or whose constraints it needs.
fn touched<'s, 'c>(shape: &'s Shape<'c>) -> impl Iterator<Item = &'s Table<'c>> {
    shape.tables.iter().filter(|table| table.touched || !table.rules.is_empty())
}

fn syncs(shape: &Shape<'_>, migration: &Migration) -> Vec<TableSync> {
    let live = || shape.tables.iter().filter(|table| table.live);
    let one = |table: &Table<'_>, (up, down, passive)| {
        let old = table.old?;
        let parts = [shape.catalog.schema.as_str(), table.physical.as_str()];
        let sync = TableSync {
            table: table.physical.clone(),
            leaves: leaves(old),
            key: old.key(),
            up,
            down,
            done: done(),
            trigger: short("zzz_serin_", &parts),
            every_update: old.triggers.iter().any(|of| of.before_row && of.enabled != "D"),
            always: old.subscribed,
            lossy: migration.settings.on_down_error,
            passive,
        };
        (!sync.up.is_empty() || !sync.down.is_empty()).then_some(sync)
    };
    let active = live().filter_map(|table| {
        let (up, down) = derives(table);
        one(table, (up, down, false))
    });
    let passive = live().filter_map(|table| one(table, (defaults(table), vec![], true)));
    active.chain(passive).collect()
}

/// Columns that have their defaults from the start: only what new clients write there is new.
fn defaults(table: &Table<'_>) -> Vec<crate::Derive> {
    let instant = table
        .live()
        .filter(|column| column.old.is_none() && column.made.iter().all(|made| made.instant));
    let derive = |column: &Column<'_>| crate::Derive {
        target: column.physical().clone(),
        data_type: column.data_type.clone(),
        expression: column.default.clone().unwrap_or_else(|| "NULL".into()),
        scope: table.name.clone(),
        inputs: vec![],
        volatile: false,
        reads_others: false,
        path: None,
    };
    instant.filter(|_| table.old.is_some()).map(derive).collect()
}

fn done() -> Ident {
    Ident::new(DONE).unwrap_or_else(|_| Ident::unread())
}

/// New values in the order of the operations, old ones in the other order: what an operation
/// reads is what the ones before it, or after it, have made.
fn derives(table: &Table<'_>) -> (Vec<crate::Derive>, Vec<crate::Derive>) {
    let side = |up: bool| {
        let of = table.derives.iter().filter(move |pending| pending.up == up);
        of.filter_map(|pending| pending.answer.clone()).collect::<Vec<_>>()
    };
    let mut down = side(false);
    down.reverse();
    (side(true), down)
}

fn leaves(old: &catalog::Table) -> Vec<Ident> {
    let mut leaves = vec![old.name.clone()];
    leaves.extend(old.leaves.iter().map(|leaf| leaf.name.clone()));
    leaves
}

impl<'a> Context<'a> {
    /// The schema of the tables.
    pub fn schema(&self) -> &'a Ident {
        &self.shape.catalog.schema
    }

    /// A name of the schema, as SQL.
    pub fn of(&self, name: &Ident) -> String {
        format!("{}.{name}", self.schema())
    }

    /// A view of the new shape, as SQL.
    pub fn view(&self, name: &Ident) -> String {
        format!("{}.{name}", self.new_view)
    }

    /// Which client is which.
    pub fn sides(&self) -> crate::trigger::Sides<'_> {
        let schema = self.schema();
        let old = self.shape.old_view.unwrap_or(schema);
        crate::trigger::Sides { schema, old, new: &self.new_view }
    }

    /// Tables of the new shape that were there before.
    pub fn kept(&self) -> impl Iterator<Item = (&'a Table<'a>, &'a catalog::Table)> {
        let live = self.shape.tables.iter().filter(|table| table.live);
        live.filter_map(|table| Some((table, table.old?)))
    }

    /// Tables that have a view. Who reads a partition or a child reads the table itself.
    pub fn viewed(&self) -> impl Iterator<Item = &'a Table<'a>> {
        let live = self.shape.tables.iter().filter(|table| table.live);
        live.filter(|table| table.old.is_none_or(|old| old.parents.is_empty()))
    }

    /// Tables that are new.
    pub fn made(&self) -> impl Iterator<Item = &'a Table<'a>> {
        self.shape.tables.iter().filter(|table| table.live && table.old.is_none())
    }

    /// The place of a table in the list of what is held in step.
    pub fn sync(&self, table: &Table<'_>) -> Option<usize> {
        self.syncs.iter().position(|sync| sync.table == table.physical && !sync.passive)
    }
}

/// Which of a column's names: the one it has while both shapes are in use, or its last one.
type Named = for<'x> fn(&'x Column<'x>) -> &'x Ident;

/// The name while both shapes are in use.
fn now<'x>(column: &'x Column<'x>) -> &'x Ident {
    column.physical()
}

/// The name once the old shape is gone.
fn then<'x>(column: &'x Column<'x>) -> &'x Ident {
    &column.name
}

/// Names of columns, as a list in SQL.
fn columns(table: &Table<'_>, places: &[usize], named: Named) -> String {
    list(places.iter().map(|at| named(&table.columns[*at])))
}

/// Names as a list in SQL.
fn list<'i>(names: impl IntoIterator<Item = &'i Ident>) -> String {
    names.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A step that is one transaction.
fn transaction(
    stage: Stage,
    title: impl Into<String>,
    sql: Vec<String>,
    tables: Vec<Ident>,
) -> Step {
    Step { stage, title: title.into(), action: Action::transaction(sql, tables) }
}

/// Whether the new shape says NOT NULL of a column that does not have it yet: rows are looked at
/// beforehand, so that saying it costs nothing.
fn needs_proof(table: &Table<'_>, column: &Column<'_>) -> bool {
    let at_once = column.made.last().is_some_and(|made| made.instant && column.default.is_some());
    let already = !column.is_moved() && column.old.is_some_and(|old| old.not_null);
    table.old.is_some() && column.live && !column.nullable && !at_once && !already
}

/// The name of the constraint that proves it.
fn proof(table: &Table<'_>, column: &Column<'_>) -> Ident {
    short("_serin_nn_", &[table.physical.as_str(), column.physical().as_str()])
}
