//! `rename_table`, `drop_table` and `set_replica_identity`.

use crate::shape::Shape;
use crate::{Ident, ReplicaIdentity};

/// Gives a table a new name.
pub fn rename(shape: &mut Shape<'_>, from: &Ident, to: &Ident) {
    let Some(table) = shape.table("from", from) else { return };
    if !shape.free("to", to) {
        return;
    }
    shape.names.free(from);
    shape.names.take(to);
    shape.tables[table].name = to.clone();
}

/// Drops a table.
pub fn drop(shape: &mut Shape<'_>, name: &Ident) {
    let Some(at) = shape.table("name", name) else { return };
    let (operation, old_view) = (shape.path("name"), shape.old_view);
    let read = shape.tables[at].old.into_iter().flat_map(|old| &old.dependents);
    let readers: Vec<String> = read
        .filter(|view| Some(&view.schema) != old_view)
        .map(|view| format!("{}.{}", view.schema, view.name))
        .collect();
    if !readers.is_empty() {
        let message = format!("table {name} is read by {}", readers.join(", "));
        shape.flaws.push(crate::Flaw::new(operation, message).hint("drop those first"));
        return;
    }
    if let Some(old) = shape.tables[at].old.filter(|old| !old.partitioned && !old.leaves.is_empty())
    {
        let children = old.leaves.iter().map(|leaf| leaf.name.to_string());
        let children = children.collect::<Vec<_>>().join(", ");
        let message = format!("{children} inherit from table {name}");
        return shape.flaw_with("name", message, "drop those first, or end the inheritance");
    }
    shape.names.free(name);
    shape.tables[at].live = false;
    let at_operation = shape.at.clone();
    for column in &mut shape.tables[at].columns {
        column.at.clone_from(&at_operation);
    }
}

/// Sets what the write-ahead log holds of rows that change.
pub fn identity(shape: &mut Shape<'_>, table: &Ident, identity: &ReplicaIdentity) {
    let Some(at) = shape.table("table", table) else { return };
    if let ReplicaIdentity::Index(index) = identity {
        let table = &shape.tables[at];
        let old = table.old.into_iter().flat_map(|old| &old.indexes).map(|old| &old.name);
        let new = table.indexes.iter().map(|new| &new.name);
        let known: Vec<Ident> = old.chain(new).cloned().collect();
        if !known.contains(index) {
            let message = format!("table {} has no index {index}", table.name);
            let flaw = crate::Flaw::new(shape.path("identity.index"), message)
                .nearest(index.as_str(), known.iter().map(Ident::as_str));
            shape.flaws.push(flaw);
            return;
        }
    }
    shape.identities.push((at, identity.clone()));
}
