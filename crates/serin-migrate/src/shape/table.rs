//! One table of a shape.

use super::{Column, NewIndex, Rule};
use crate::{Catalog, Flaw, Ident, catalog};
use std::collections::{BTreeMap, BTreeSet};

/// A table, which keeps its place through renames.
#[derive(Debug, Clone)]
pub struct Table<'c> {
    /// Its name now.
    pub name: Ident,
    /// Its name while both shapes are in use.
    pub physical: Ident,
    /// It is part of the new shape.
    pub live: bool,
    /// An operation changes it.
    pub touched: bool,
    /// What it was; `None` for a new one.
    pub old: Option<&'c catalog::Table>,
    /// Its columns, those that went too.
    pub columns: Vec<Column<'c>>,
    /// New constraints.
    pub rules: Vec<Rule>,
    /// New indexes.
    pub indexes: Vec<NewIndex>,
    /// Values to be worked out, in the order of the operations.
    pub derives: Vec<Pending>,
    /// Constraints that go, by their names in the catalogue.
    pub dropped_rules: BTreeSet<Ident>,
    /// New names of constraints, by their names in the catalogue.
    pub renamed_rules: BTreeMap<Ident, Ident>,
    /// Its comment.
    pub comment: Option<String>,
}

/// A column as an expression sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// Its name there.
    pub name: Ident,
    /// Where its values are.
    pub physical: Ident,
    /// Its type, as SQL.
    pub data_type: String,
    /// It is worked out by the server when the row is written, too late for a trigger.
    pub generated: bool,
}

/// A value to be worked out from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Where the document says it.
    pub path: String,
    /// The new shape's value from the old one's; else the other way round.
    pub up: bool,
    /// The column that gets it.
    pub target: Ident,
    /// Its type, as SQL.
    pub data_type: String,
    /// How.
    pub expression: String,
    /// The table's name as the expression sees it.
    pub scope: Ident,
    /// What the expression sees.
    pub visible: Vec<Visible>,
    /// It is needed only if its value is another each time.
    pub if_volatile: bool,
    /// The server's answer.
    pub answer: Option<crate::Derive>,
}

impl<'c> Table<'c> {
    /// One of the old shape, its columns in the order in which clients see them.
    pub fn existing(old: &'c catalog::Table, order: &[Ident]) -> Self {
        let mut columns: Vec<Column<'c>> = old.user_columns().map(Column::existing).collect();
        let place = |column: &Column<'_>| {
            order.iter().position(|name| *name == column.name).unwrap_or(order.len())
        };
        columns.sort_by_key(place);
        Self {
            columns,
            comment: old.comment.clone(),
            old: Some(old),
            ..Self::new(&old.name, &old.name)
        }
    }

    /// A new one without columns.
    pub fn new(name: &Ident, physical: &Ident) -> Self {
        Self {
            name: name.clone(),
            physical: physical.clone(),
            live: true,
            touched: false,
            old: None,
            columns: vec![],
            rules: vec![],
            indexes: vec![],
            derives: vec![],
            dropped_rules: BTreeSet::new(),
            renamed_rules: BTreeMap::new(),
            comment: None,
        }
    }

    /// The place of a column.
    pub fn find(&self, name: &Ident) -> Option<usize> {
        self.columns.iter().position(|column| column.live && column.name == *name)
    }

    /// Columns of the new shape.
    pub fn live(&self) -> impl Iterator<Item = &Column<'c>> {
        self.columns.iter().filter(|column| column.live)
    }

    /// Names and places of the columns of the new shape.
    pub fn scope(&self) -> Vec<(Ident, usize)> {
        let live = self.columns.iter().enumerate().filter(|(_, column)| column.live);
        live.map(|(at, column)| (column.name.clone(), at)).collect()
    }

    /// Names and places of the columns of the old shape.
    pub fn old_scope(&self) -> Vec<(Ident, usize)> {
        let old = |(at, column): (usize, &Column<'c>)| Some((column.old?.name.clone(), at));
        self.columns.iter().enumerate().filter_map(old).collect()
    }

    /// What an expression sees at this point.
    pub fn visible(&self) -> Vec<Visible> {
        let seen = |column: &Column<'_>| Visible {
            name: column.name.clone(),
            physical: column.physical().clone(),
            data_type: column.data_type.clone(),
            generated: column.is_generated(),
        };
        self.live().map(seen).collect()
    }

    /// The place of the column that a column of the old shape became.
    pub fn became(&self, old: &Ident) -> Option<usize> {
        self.columns.iter().position(|column| column.old.is_some_and(|of| of.name == *old))
    }

    /// A constraint of the old shape that is still there, by its name now.
    pub fn old_rule(&self, name: &Ident) -> Option<&'c catalog::Constraint> {
        self.old?.constraints.iter().find(|rule| {
            !self.dropped_rules.contains(&rule.name) && self.rule_name(&rule.name) == name
        })
    }

    /// The name now of a constraint of the old shape.
    pub fn rule_name<'a>(&'a self, old: &'a Ident) -> &'a Ident {
        self.renamed_rules.get(old).unwrap_or(old)
    }

    /// Whether a constraint of that name is there.
    pub fn has_rule(&self, name: &Ident) -> bool {
        self.old_rule(name).is_some() || self.rules.iter().any(|rule| rule.name == *name)
    }

    /// Names of all constraints.
    pub fn rule_names(&self) -> Vec<Ident> {
        let old = self.old.into_iter().flat_map(|old| &old.constraints);
        let old = old.filter(|rule| !self.dropped_rules.contains(&rule.name));
        let old = old.map(|rule| self.rule_name(&rule.name).clone());
        old.chain(self.rules.iter().map(|rule| rule.name.clone())).collect()
    }

    /// It is partitioned.
    pub fn is_partitioned(&self) -> bool {
        self.old.is_some_and(|old| old.partitioned)
    }

    /// Why it cannot be changed at all.
    pub fn unfit(&self, catalog: &Catalog, path: &str) -> Option<Flaw> {
        let old = self.old?;
        let (name, user) = (&self.name, &catalog.server.user);
        if !old.owned {
            let message =
                format!("role {user} may not change table {name}, which is {}'s", old.owner);
            let hint = format!("connect as {}, or GRANT {} TO {user}", old.owner, old.owner);
            return Some(Flaw::new(path, message).hint(hint));
        }
        if old.is_partition {
            let parent = old.parents.first().map(ToString::to_string).unwrap_or_default();
            let message = format!("table {name} is a partition");
            return Some(Flaw::new(path, message).hint(format!("change {parent} instead")));
        }
        let elsewhere = old.leaves.iter().find(|leaf| leaf.schema != catalog.schema)?;
        let message = format!(
            "rows of table {name} are in {}.{}, outside schema {}",
            elsewhere.schema, elsewhere.name, catalog.schema
        );
        Some(Flaw::new(path, message).hint("move that table into the schema"))
    }
}
