//! Columns numbered by a sequence: it goes on where it was, for both shapes and after the swap.

use super::Context;
use crate::catalog::{self, Grant, Sequence};
use crate::literal;
use crate::shape::{Column, Table};
use std::fmt::Write;

/// Where new clients get numbers from, when the column of the old shape does it itself: the same
/// sequence.
pub fn view_default(column: &Column<'_>) -> Option<String> {
    let old = column.old.filter(|old| column.is_moved() && !old.identity.is_empty())?;
    Some(format!("nextval({}::regclass)", literal(&name(old.sequence.as_ref()?))))
}

fn name(sequence: &Sequence) -> String {
    format!("{}.{}", sequence.schema, sequence.name)
}

/// Identities that moved, with their sequences.
fn identities<'t>(
    table: &'t Table<'_>,
) -> impl Iterator<Item = (&'t Column<'t>, &'t catalog::Column, &'t Sequence)> {
    table.live().filter(|column| column.is_moved()).filter_map(|column| {
        let old = column.old.filter(|old| !old.identity.is_empty())?;
        Some((column, old, old.sequence.as_ref()?))
    })
}

/// Whoever may insert gets numbers through the view; from an identity itself nobody needs leave.
fn missing<'t>(table: &'t Table<'_>) -> Vec<(String, &'t Grant)> {
    let inserts = |grant: &&Grant| grant.privilege == "INSERT";
    let mut grants = vec![];
    for (_, _, sequence) in identities(table) {
        let has = |grant: &Grant| {
            sequence.acl.iter().any(|of| of.grantee == grant.grantee && of.privilege == "USAGE")
        };
        let acl = table.old.into_iter().flat_map(|old| &old.acl).filter(inserts);
        grants.extend(acl.filter(|grant| !has(grant)).map(|grant| (name(sequence), grant)));
    }
    grants
}

/// Leave to use sequences, for the time in which both shapes are in use.
pub fn grants(context: &Context<'_>) -> Vec<String> {
    let all = context.kept().flat_map(|(table, _)| missing(table));
    all.map(|(sequence, grant)| {
        format!("GRANT USAGE ON SEQUENCE {sequence} {}", super::publish::to(grant))
    })
    .collect()
}

/// Takes that leave back.
pub fn revokes(context: &Context<'_>) -> Vec<String> {
    let all = context.kept().flat_map(|(table, _)| missing(table));
    all.map(|(sequence, grant)| {
        let from = grant.grantee.as_ref().map_or_else(|| "PUBLIC".into(), ToString::to_string);
        format!("REVOKE USAGE ON SEQUENCE {sequence} FROM {from}")
    })
    .collect()
}

/// Moves an identity to the column that took over; both are not yet renamed. Where it stands is
/// read in the same transaction, when nobody else can get a number.
pub fn move_identities(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let on = context.of(&table.physical);
    identities(table).map(|(column, old, sequence)| moved(&on, column, old, sequence)).collect()
}

fn moved(on: &str, column: &Column<'_>, old: &catalog::Column, sequence: &Sequence) -> String {
    let (name, new) = (name(sequence), column.physical());
    let when = if old.identity == "a" { "ALWAYS" } else { "BY DEFAULT" };
    let mut block = format!(
        "DECLARE at bigint; called boolean; BEGIN \
         SELECT last_value, is_called INTO at, called FROM {name}; \
         ALTER TABLE {on} ALTER COLUMN {} DROP IDENTITY; \
         ALTER TABLE {on} ALTER COLUMN {new} SET NOT NULL; \
         ALTER TABLE {on} ALTER COLUMN {new} ADD GENERATED {when} AS IDENTITY \
         (SEQUENCE NAME {name} {}); \
         PERFORM setval({}::regclass, at, called); ",
        old.name,
        options(sequence),
        literal(&name),
    );
    let owner = |grant: &&Grant| grant.privilege == "USAGE" || grant.privilege == "SELECT";
    for grant in sequence.acl.iter().filter(owner) {
        let to = super::publish::to(grant);
        let _ = write!(block, "GRANT {} ON SEQUENCE {name} {to}; ", grant.privilege);
    }
    format!("DO {}", crate::ident::block(&format!("{block}END")))
}

/// As they were; ends that only say how far the old type goes are left to the new one.
fn options(sequence: &Sequence) -> String {
    let mut text = format!(
        "START WITH {} INCREMENT BY {} CACHE {}",
        sequence.start, sequence.increment, sequence.cache
    );
    if !is_end(sequence.max) && sequence.increment > 0 || sequence.increment < 0 {
        let _ = write!(text, " MAXVALUE {}", sequence.max);
    }
    if !is_end(sequence.min) || sequence.increment > 0 {
        let _ = write!(text, " MINVALUE {}", sequence.min);
    }
    if sequence.cycle {
        text.push_str(" CYCLE");
    }
    text
}

fn is_end(value: i64) -> bool {
    [i64::from(i16::MAX), i64::from(i32::MAX), i64::MAX]
        .iter()
        .any(|end| value == *end || value == -end - 1)
}

/// Sequences of plain defaults belong to the column that took over, and reach as far as its type.
/// Columns have their names by now.
pub fn hand_over(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let on = context.of(&table.physical);
    let mut sql = vec![];
    for column in table.live().filter(|column| column.is_moved()) {
        let old = column.old.filter(|old| old.identity.is_empty());
        let Some(sequence) = old.and_then(|old| old.sequence.as_ref()) else { continue };
        let (name, own) = (name(sequence), &column.name);
        if wider(&sequence.data_type, &column.data_type) {
            sql.push(format!("ALTER SEQUENCE {name} AS {}", column.data_type));
        }
        sql.push(format!("ALTER SEQUENCE {name} OWNED BY {on}.{own}"));
    }
    sql
}

fn wider(sequence: &str, column: &str) -> bool {
    let size = |of: &str| ["smallint", "integer", "bigint"].iter().position(|word| *word == of);
    size(column) > size(sequence)
}
