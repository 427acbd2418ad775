//! The operations under `x_`.

use super::copy::{fresh, pending};
use crate::plan::MOVED;
use crate::shape::{Column, Cross, Made, NewView, Shape};
use crate::{EnumPlace, Extra, Flaw, Grant, Ident, MoveColumn};

/// Changes the shape by one of them.
pub fn apply(shape: &mut Shape<'_>, extra: &Extra) {
    match extra {
        Extra::CreateView { name, definition, comment } => {
            create_view(shape, name, definition, comment.as_ref());
        }
        Extra::DropView { name } => drop_view(shape, name),
        Extra::CreateEnum { name, values } => create_enum(shape, name, values),
        Extra::AddEnumValue { name, value, place } => {
            add_value(shape, (name, value), place.as_ref());
        }
        Extra::Grant(grant) => self::grant(shape, grant),
        Extra::MoveColumn(moved) => move_column(shape, moved),
    }
}

fn create_view(shape: &mut Shape<'_>, name: &Ident, definition: &str, comment: Option<&String>) {
    if !shape.usable("name", name) {
        return;
    }
    if shape.find(name).is_some() {
        return shape.flaw("name", format!("there is a table {name} already"));
    }
    let acl = shape.views.iter().find(|view| view.name == *name).map(|view| view.acl.clone());
    shape.views.retain(|view| view.name != *name);
    shape.views.push(NewView {
        path: shape.path("definition"),
        name: name.clone(),
        definition: definition.trim().trim_end_matches(';').to_owned(),
        comment: comment.cloned(),
        acl: acl.unwrap_or_default(),
    });
}

fn drop_view(shape: &mut Shape<'_>, name: &Ident) {
    let before = shape.views.len();
    let known: Vec<Ident> = shape.views.iter().map(|view| view.name.clone()).collect();
    shape.views.retain(|view| view.name != *name);
    if shape.views.len() == before {
        let message = format!("the version before has no view {name}");
        let known = known.iter().map(Ident::as_str);
        shape.flaws.push(Flaw::new(shape.path("name"), message).nearest(name.as_str(), known));
    }
}

fn create_enum(shape: &mut Shape<'_>, name: &Ident, values: &[String]) {
    let text = name.as_str();
    let there = shape.catalog.server.types.iter().any(|of| of == text)
        || shape.enums.iter().any(|(of, _)| of == name);
    if !shape.usable("name", name) {
        return;
    }
    if there {
        let message = format!("schema {} has a type {name} already", shape.catalog.schema);
        return shape.flaw_with("name", message, "choose another name");
    }
    shape.enums.push((name.clone(), values.to_vec()));
}

fn add_value(shape: &mut Shape<'_>, (name, value): (&Ident, &String), place: Option<&EnumPlace>) {
    let made = shape.enums.iter().find(|(of, _)| of == name).map(|(_, values)| values);
    let Some(values) = made.or_else(|| shape.catalog.server.enums.get(name.as_str())) else {
        let message = format!("schema {} has no enumeration {name}", shape.catalog.schema);
        let known = shape.catalog.server.enums.keys().map(String::as_str);
        let flaw = Flaw::new(shape.path("name"), message).nearest(name.as_str(), known);
        return shape.flaws.push(flaw);
    };
    let is_new = made.is_some();
    let earlier = shape.enum_values.iter().filter(|(of, ..)| of == name);
    let values: Vec<String> =
        values.iter().cloned().chain(earlier.map(|(_, value, _)| value.clone())).collect();
    if values.contains(value) {
        return shape.flaw("value", format!("enumeration {name} has `{value}` already"));
    }
    if let Some(EnumPlace::Before(other) | EnumPlace::After(other)) = place
        && !values.contains(other)
    {
        let message = format!("enumeration {name} has no `{other}`");
        let known = values.iter().map(String::as_str);
        let flaw = Flaw::new(shape.path("before"), message).nearest(other, known);
        return shape.flaws.push(flaw);
    }
    if is_new {
        return insert(shape, name, value, place);
    }
    let message = format!("`{value}` stays in enumeration {name} when the migration is taken back");
    shape.warnings.push(Flaw::new(shape.path("value"), message));
    shape.enum_values.push((name.clone(), value.clone(), place.cloned()));
}

/// A value of an enumeration that comes with this migration is there from its beginning.
fn insert(shape: &mut Shape<'_>, name: &Ident, value: &str, place: Option<&EnumPlace>) {
    let Some((_, values)) = shape.enums.iter_mut().find(|(of, _)| of == name) else { return };
    let of = |other: &String| values.iter().position(|value| value == other);
    let at = match place {
        Some(EnumPlace::Before(other)) => of(other),
        Some(EnumPlace::After(other)) => of(other).map(|at| at + 1),
        None => None,
    };
    values.insert(at.unwrap_or(values.len()), value.to_owned());
}

fn grant(shape: &mut Shape<'_>, grant: &Grant) {
    for role in &grant.to {
        if !shape.catalog.server.roles.contains(role) {
            let known = shape.catalog.server.roles.iter().map(Ident::as_str);
            let flaw = Flaw::new(shape.path("to"), format!("there is no role {role}"))
                .nearest(role.as_str(), known);
            shape.flaws.push(flaw);
        }
    }
    for name in &grant.on {
        if !shape.views.iter().any(|view| view.name == *name) {
            shape.table("on", name);
        }
    }
    shape.grants.push(grant.clone());
}

fn move_column(shape: &mut Shape<'_>, moved: &MoveColumn) {
    let (source, target) =
        (shape.table("table", &moved.table), shape.table("to_table", &moved.to_table));
    let (Some(source), Some(target)) = (source, target) else { return };
    let column = shape.column("column", source, &moved.column);
    let (here, there): (Vec<Ident>, Vec<Ident>) = moved.on.clone().into_iter().unzip();
    let (near, far) = (shape.columns("on", source, &here), shape.columns("on", target, &there));
    let (Some(column), Some(near), Some(far)) = (column, near, far) else { return };
    if !is_sound(shape, moved, (source, column, &near), (target, &far)) {
        return;
    }
    let operation = shape.at.clone();
    let of = &shape.tables[source];
    let pairs = near.iter().zip(&far);
    let keys: Vec<(Ident, Ident)> = pairs
        .map(|(near, far)| {
            let there = &shape.tables[target].columns[*far];
            (of.columns[*near].physical().clone(), there.physical().clone())
        })
        .collect();
    let (schema, scope) = (&shape.catalog.schema, &shape.tables[target].name);
    let same = moved.on.iter().zip(&keys);
    let same: Vec<String> = same
        .map(|((_, there), (near, _))| format!("_serin_from.{near} = {scope}.{there}"))
        .collect();
    let was = of.columns[column].physical().clone();
    let expression = format!(
        "{MOVED}{was} FROM {schema}.{} AS _serin_from WHERE {}",
        of.physical,
        same.join(" AND ")
    );
    let new = arrive(shape, (source, column), (target, &moved.to_column), expression);
    let data_type = shape.tables[source].columns[column].data_type.clone();
    let gone = &mut shape.tables[source].columns[column];
    gone.live = false;
    gone.at = operation;
    shape.crosses.push(Cross { source, target, was, new, data_type, keys });
}

fn is_sound(
    shape: &mut Shape<'_>,
    moved: &MoveColumn,
    (source, column, near): (usize, usize, &[usize]),
    (target, far): (usize, &[usize]),
) -> bool {
    let before = shape.flaws.len();
    shape.usable("to_column", &moved.to_column);
    if source == target {
        shape.flaw_with("to_table", "is the same table", "use rename_column");
    }
    if shape.tables[target].find(&moved.to_column).is_some() {
        let message = format!("table {} has a column {} already", moved.to_table, moved.to_column);
        shape.flaw("to_column", message);
    }
    for (table, places) in [(source, near), (target, far)] {
        if places.is_empty() || !super::create_constraint::is_unique(shape, table, places) {
            let name = shape.tables[table].name.clone();
            let message = format!("its columns of table {name} are not unique there");
            shape.flaw_with("on", message, "each row belongs to one row of the other table");
        }
    }
    let of = &shape.tables[source].columns[column];
    let fits = of.old.is_some() && !of.is_moved() && !of.is_generated() && !of.is_identity();
    if !fits || shape.tables[target].old.is_none() || shape.tables[source].old.is_none() {
        let message = "both tables are there already, and the column is a plain one";
        shape.flaw_with("column", message, "change it in a migration of its own");
    } else if !of.nullable && of.default.is_none() {
        let message =
            format!("{} cannot be empty, and new clients write rows without it", moved.column);
        shape.flaw_with("column", message, "let it be empty in a migration before this one");
    }
    shape.flaws.len() == before
}

/// The column in its new table, with everything it had but its rules.
fn arrive(
    shape: &mut Shape<'_>,
    (source, column): (usize, usize),
    (target, name): (usize, &Ident),
    expression: String,
) -> Ident {
    let (path, at) = (shape.path("column"), shape.at.clone());
    let from = shape.tables[source].columns[column].clone();
    let table = &mut shape.tables[target];
    let before = table.visible();
    let physical = fresh(table, name);
    let collation = from.old.and_then(|old| old.collation.clone());
    let (data_type, instant) = (from.data_type.clone(), false);
    let made =
        Made { physical: physical.clone(), data_type, collation, path: path.clone(), instant };
    let target = (physical.clone(), from.data_type.clone());
    table.derives.push(pending(&table.name, [path.clone(), expression], target, before, true));
    table.columns.push(Column {
        name: name.clone(),
        live: true,
        old: None,
        spec: None,
        nullable: true,
        made: vec![made],
        at,
        default_at: path,
        ..from
    });
    physical
}
