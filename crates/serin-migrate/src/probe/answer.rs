//! All questions of a shape, asked and answered into it.

use super::session::{Changes, ProbeError, Probed, Session, UNKNOWN};
use super::text::Kind;
use crate::shape::{Pending, RuleKind, Shape, Table, Text, Visible};
use crate::{Derive, Flaw, Ident, Input};
use std::collections::BTreeMap;

/// Asks the server everything that the shape leaves open. What it refuses is a flaw.
pub async fn answer(shape: &mut Shape<'_>, session: &Session<'_>) -> Result<(), ProbeError> {
    let mut types = Types::default();
    for at in 0..shape.tables.len() {
        let mut table = shape.tables[at].clone();
        let bad = self::types(&mut table, session, &mut types, &mut shape.flaws).await?;
        let mut flaws = vec![];
        defaults(&mut table, session, &mut flaws).await?;
        derives(&mut table, session, &mut flaws).await?;
        let moved: Vec<&Ident> = shape.crosses.iter().map(|cross| &cross.new).collect();
        let others = table.derives.iter().filter(|of| {
            of.answer.as_ref().is_some_and(|answer| answer.reads_others)
                && !moved.contains(&&of.target)
        });
        shape.warnings.extend(others.map(|of| {
            let message = "reads other tables: a change there does not come here";
            Flaw::new(&of.path, message).hint("run x_move_column, or write both in one transaction")
        }));
        texts(&mut table, session, &mut flaws).await?;
        // What hangs on a type that is none would only be told twice.
        let hangs = |flaw: &Flaw| bad.iter().any(|name| flaw.message.contains(name));
        shape.flaws.extend(flaws.into_iter().filter(|flaw| !hangs(flaw)));
        shape.tables[at] = table;
    }
    Ok(())
}

/// Types that were asked for, and what they are called.
type Types = BTreeMap<String, String>;

fn flaw<T>(
    flaws: &mut Vec<Flaw>,
    path: &str,
    answer: Result<T, ProbeError>,
) -> Result<Option<T>, ProbeError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(ProbeError::Refused(said)) => {
            flaws.push(Flaw::new(path, said));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What types that the document names are called by the server; those it does not know.
async fn types(
    table: &mut Table<'_>,
    session: &Session<'_>,
    types: &mut Types,
    flaws: &mut Vec<Flaw>,
) -> Result<Vec<String>, ProbeError> {
    let mut bad = vec![];
    let is_new = table.old.is_none();
    for at in 0..table.columns.len() {
        for made in 0..table.columns[at].made.len() {
            let of = &table.columns[at].made[made];
            let (written, path) = (of.data_type.clone(), of.path.clone());
            if is_new && crate::ops::is_serial(&written) {
                continue;
            }
            let known = match types.get(&written) {
                Some(known) => Some(known.clone()),
                None => flaw(flaws, &path, session.data_type(&written).await)?,
            };
            if let Some(known) = known {
                types.insert(written.clone(), known.clone());
                call(table, (at, made), &written, &known);
            } else {
                call(table, (at, made), &written, UNKNOWN);
                bad.push(table.columns[at].name.to_string());
                bad.push(UNKNOWN.to_owned());
            }
        }
    }
    Ok(bad)
}

/// Calls a type as the server does, everywhere in the table.
fn call(table: &mut Table<'_>, (at, made): (usize, usize), written: &str, known: &str) {
    let physical = table.columns[at].made[made].physical.clone();
    known.clone_into(&mut table.columns[at].made[made].data_type);
    if table.columns[at].data_type == written {
        known.clone_into(&mut table.columns[at].data_type);
    }
    for derive in &mut table.derives {
        if derive.target == physical {
            known.clone_into(&mut derive.data_type);
        }
        let seen = derive.visible.iter_mut().filter(|seen| seen.physical == physical);
        seen.for_each(|seen| known.clone_into(&mut seen.data_type));
    }
}

/// New defaults, as the server reads them.
async fn defaults(
    table: &mut Table<'_>,
    session: &Session<'_>,
    flaws: &mut Vec<Flaw>,
) -> Result<(), ProbeError> {
    for column in table.columns.iter_mut().filter(|column| column.live) {
        let was = column.old.and_then(|old| old.default.as_ref());
        let moved = column.is_moved();
        let Some(sql) = column.default.clone() else { continue };
        if was == Some(&sql) && !moved {
            continue;
        }
        let told = if column.default_at.is_empty() { &column.at } else { &column.default_at };
        let answer = session.default(&column.data_type, &sql).await;
        if let Some(read) = flaw(flaws, told, answer)? {
            column.set_default(&crate::Change::Set(read));
        }
    }
    Ok(())
}

async fn derives(
    table: &mut Table<'_>,
    session: &Session<'_>,
    flaws: &mut Vec<Flaw>,
) -> Result<(), ProbeError> {
    let mut kept = vec![];
    for mut pending in std::mem::take(&mut table.derives) {
        let asked = (&pending.scope, pending.expression.as_str());
        let answer = session.expression(asked, &pending.visible, &pending.data_type).await;
        let Some(probed) = flaw(flaws, &pending.path, answer)? else { continue };
        if pending.if_volatile {
            let made = table.columns.iter_mut().flat_map(|column| &mut column.made);
            let of = made.filter(|made| made.physical == pending.target);
            of.for_each(|made| made.instant = probed.changes != Changes::EachTime);
            if probed.changes != Changes::EachTime {
                continue;
            }
        }
        if let Some(flaw) = too_late(&pending, &probed) {
            flaws.push(flaw);
            continue;
        }
        pending.answer = Some(derive(&pending, &probed, session.path()));
        kept.push(pending);
    }
    table.derives = kept;
    Ok(())
}

/// A generated column has no value yet when a trigger looks at the row.
fn too_late(pending: &Pending, probed: &Probed) -> Option<Flaw> {
    let read = |of: &&Visible| of.generated && probed.reads.contains(of.name.as_str());
    let column = pending.visible.iter().find(read)?;
    let message = format!(
        "reads {}, a generated column, which has no value yet while a row is being written",
        column.name
    );
    Some(Flaw::new(&pending.path, message).hint("write its expression instead"))
}

fn derive(pending: &Pending, probed: &Probed, path: &str) -> Derive {
    let read = pending.visible.iter().filter(|of| probed.reads.contains(of.name.as_str()));
    let input = |of: &Visible| Input {
        logical: of.name.clone(),
        physical: of.physical.clone(),
        data_type: of.data_type.clone(),
    };
    Derive {
        target: pending.target.clone(),
        data_type: pending.data_type.clone(),
        expression: pending.expression.clone(),
        scope: pending.scope.clone(),
        inputs: read.map(input).collect(),
        volatile: probed.changes != Changes::Never,
        reads_others: probed.reads_others,
        path: probed.names_others.then(|| path.to_owned()),
    }
}

async fn texts(
    table: &mut Table<'_>,
    session: &Session<'_>,
    flaws: &mut Vec<Flaw>,
) -> Result<(), ProbeError> {
    let columns: Vec<Visible> = table.columns.iter().map(seen).collect();
    for rule in &mut table.rules {
        let (kind, text) = match &mut rule.kind {
            RuleKind::Check { condition, .. } => (Kind::Check, condition),
            RuleKind::Unique(unique) => (Kind::UniqueIndex, &mut unique.tail),
            RuleKind::ForeignKey { .. } | RuleKind::Inline { .. } => continue,
        };
        let answer = physical(session, kind, text, &columns).await;
        text.physical = flaw(flaws, &rule.path, told(answer, &rule.name, rule.replaces.as_ref()))?;
    }
    for index in &mut table.indexes {
        let kind = if index.unique { Kind::UniqueIndex } else { Kind::Index };
        let answer = physical(session, kind, &index.tail, &columns).await;
        let answer = told(answer, &index.name, index.replaces.as_ref());
        index.tail.physical = flaw(flaws, &index.path, answer)?;
    }
    Ok(())
}

/// A rule that cannot be taken along is named.
fn told(
    answer: Result<String, ProbeError>,
    name: &Ident,
    replaces: Option<&Ident>,
) -> Result<String, ProbeError> {
    match answer {
        Err(ProbeError::Refused(said)) if replaces.is_some() => {
            Err(ProbeError::Refused(format!("{name} cannot be kept: {said}")))
        }
        other => other,
    }
}

fn seen(column: &crate::shape::Column<'_>) -> Visible {
    Visible {
        name: column.name.clone(),
        physical: column.physical().clone(),
        data_type: plain(&column.data_type),
        generated: false,
    }
}

/// A type that makes a sequence would make one for the scratch table.
fn plain(data_type: &str) -> String {
    let lower = data_type.trim().to_ascii_lowercase();
    match lower.as_str() {
        "serial" | "serial4" => "integer".into(),
        "bigserial" | "serial8" => "bigint".into(),
        "smallserial" | "serial2" => "smallint".into(),
        _ => data_type.to_owned(),
    }
}

async fn physical(
    session: &Session<'_>,
    kind: Kind,
    text: &Text,
    columns: &[Visible],
) -> Result<String, ProbeError> {
    let named =
        |(name, at): &(Ident, usize)| Visible { name: name.clone(), ..columns[*at].clone() };
    let seen: Vec<Visible> = text.scope.iter().map(named).collect();
    session.text(kind, (&text.table, &text.sql), &seen).await
}
