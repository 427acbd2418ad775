//! The statements of the backfill, as text.

use crate::trigger::{row, value};
use crate::{Fill, Ident, Key, TableSync, literal};

/// Statements for one table that holds rows of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub sync: &'a TableSync,
    /// Quoted, with its schema.
    pub leaf: &'a str,
    /// What is set instead of new values and flag, and where.
    pub instead: Option<&'a Fill>,
}

/// From after one row to another, both as text of their keys; pages for a table without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    /// The last row that is done; `None` at the beginning.
    pub after: Option<Vec<String>>,
    /// The last row of the range; of pages the first that is not in it.
    pub to: Vec<String>,
}

impl<'a> Text<'a> {
    pub fn of(sync: &'a TableSync, leaf: &'a str) -> Self {
        Self { sync, leaf, instead: None }
    }

    /// The condition that a row is not filled in.
    fn open(&self) -> String {
        match self.instead {
            None => format!("{}.{} IS NOT TRUE", self.alias(), self.sync.done),
            Some(fill) => format!("({})", fill.filter.as_deref().unwrap_or("true")),
        }
    }

    /// What the statements call the table: the name by which expressions may qualify columns.
    pub fn alias(&self) -> &'a Ident {
        self.sync.up.first().map_or(&self.sync.table, |derive| &derive.scope)
    }

    fn columns(&self) -> Vec<&'a Ident> {
        match &self.sync.key {
            Key::Columns { columns } => columns.iter().map(|(name, _)| name).collect(),
            Key::Place => Vec::new(),
        }
    }

    fn key(&self) -> String {
        row(self.columns(), &format!("{}.", self.alias()))
    }

    fn key_as_text(&self) -> String {
        let alias = self.alias();
        let one = |name: &&Ident| format!("{alias}.{name}::text");
        self.columns().iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn order(&self, direction: &str) -> String {
        let alias = self.alias();
        let one = |name: &&Ident| format!("{alias}.{name}{direction}");
        self.columns().iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// A key as literals of its types.
    fn literals(&self, key: &[String]) -> String {
        let Key::Columns { columns } = &self.sync.key else { return String::new() };
        let typed =
            |(value, (_, of)): (&String, &(Ident, String))| format!("{}::{of}", literal(value));
        let all: Vec<String> = key.iter().zip(columns).map(typed).collect();
        format!("({})", all.join(", "))
    }

    /// The last key there is.
    pub fn high(&self) -> String {
        format!(
            "SELECT {} FROM ONLY {} AS {} ORDER BY {} LIMIT 1",
            self.key_as_text(),
            self.leaf,
            self.alias(),
            self.order(" DESC"),
        )
    }

    /// The last key of a batch of `size` rows; no row when fewer are left.
    pub fn boundary(&self, range: &Range, size: u32) -> String {
        format!(
            "SET LOCAL enable_seqscan = off; SELECT {} FROM ONLY {} AS {} WHERE {} ORDER BY {} \
             OFFSET {} LIMIT 1",
            self.key_as_text(),
            self.leaf,
            self.alias(),
            self.within(range),
            self.order(""),
            size.saturating_sub(1),
        )
    }

    /// The condition that a row is in a range.
    pub fn within(&self, range: &Range) -> String {
        let alias = self.alias();
        if self.sync.key == Key::Place {
            let page = |page: &str| literal(&format!("({page},0)"));
            let from = range.after.as_ref().and_then(|key| key.first()).map_or("0", |page| page);
            let to = range.to.first().map_or("0", |page| page);
            return format!(
                "{alias}.ctid >= {}::tid AND {alias}.ctid < {}::tid",
                page(from),
                page(to)
            );
        }
        let key = self.key();
        let to = format!("{key} <= {}", self.literals(&range.to));
        match &range.after {
            Some(after) => format!("{key} > {} AND {to}", self.literals(after)),
            None => to,
        }
    }

    /// `SET` with all new values and the flag.
    fn values(&self) -> String {
        if let Some(fill) = self.instead {
            return fill.set.clone();
        }
        let up = &self.sync.up;
        let mut set: Vec<String> = (0..up.len())
            .map(|at| format!("{} = {}", up[at].target, value(up, at, self.alias())))
            .collect();
        set.push(format!("{} = true", self.sync.done));
        set.join(", ")
    }

    /// Fills in the rows of a range.
    pub fn fill(&self, range: &Range) -> String {
        let alias = self.alias();
        format!(
            "UPDATE ONLY {} AS {alias} SET {} WHERE {} AND {} RETURNING 1",
            self.leaf,
            self.values(),
            self.within(range),
            self.open(),
        )
    }

    /// Fills in those rows of a range that nobody else holds.
    pub fn fill_free(&self, range: &Range) -> String {
        let alias = self.alias();
        self.fill_places(&format!(
            "SELECT {alias}.ctid FROM ONLY {} AS {alias} WHERE {} AND {} \
             FOR NO KEY UPDATE SKIP LOCKED",
            self.leaf,
            self.within(range),
            self.open(),
        ))
    }

    /// Fills in rows that are not, wherever they are, but for some places.
    pub fn fill_any(&self, but: &[String], size: u32) -> String {
        let places = self.unfilled(but);
        self.fill_places(&format!("{places} LIMIT {size} FOR NO KEY UPDATE"))
    }

    fn fill_places(&self, places: &str) -> String {
        let alias = self.alias();
        // The names cannot be taken for those of columns in the expressions.
        format!(
            "UPDATE ONLY {} AS {alias} SET {} FROM ({places}) AS _serin_free(_serin_place) \
             WHERE {alias}.ctid = _serin_free._serin_place RETURNING 1",
            self.leaf,
            self.values(),
        )
    }

    /// Rows that are not filled in, but for some places.
    fn unfilled(&self, but: &[String]) -> String {
        let (alias, done) = (self.alias(), &self.sync.done);
        let but = but.iter().map(|place| literal(place)).collect::<Vec<_>>().join(", ");
        format!(
            "SELECT {alias}.ctid FROM ONLY {} AS {alias} WHERE {alias}.{done} IS NOT TRUE AND \
             {alias}.ctid <> ALL (ARRAY[{but}]::tid[])",
            self.leaf,
        )
    }

    /// The place of the first row that is not filled in, and how it is told.
    pub fn first_unfilled(&self, but: &[String]) -> String {
        let alias = self.alias();
        let told = match &self.sync.key {
            Key::Place => format!("left(pg_catalog.to_jsonb({alias})::text, 200)"),
            Key::Columns { columns } => {
                let one = |(name, _): &(Ident, String)| {
                    format!("{} || {alias}.{name}::text", literal(&format!("{}=", name.as_str())))
                };
                columns.iter().map(one).collect::<Vec<_>>().join(" || ', ' || ")
            }
        };
        let inputs = self.sync.up.iter().flat_map(|derive| &derive.inputs);
        let values: Vec<String> = inputs
            .take(3)
            .map(|input| {
                format!(
                    " || {} || coalesce(left({alias}.{}::text, 60), 'NULL')",
                    literal(&format!(" ({}: ", input.logical.as_str())),
                    input.physical
                ) + " || ')'"
            })
            .collect();
        self.unfilled(but).replacen(
            &format!("SELECT {alias}.ctid"),
            &format!("SELECT {alias}.ctid::text, {told}{}", values.concat()),
            1,
        ) + " LIMIT 1"
    }
}

/// An array of text.
pub(crate) fn array(values: &[String]) -> String {
    let all: Vec<String> = values.iter().map(|value| literal(value)).collect();
    format!("ARRAY[{}]::text[]", all.join(", "))
}
