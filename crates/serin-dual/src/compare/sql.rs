//! The statements of one side.

use super::Hash;
use super::shape::{Compared, Form, KeyPart, Order, Shape};

/// Rows read at most at once: a key that stands for many rows is an error anyway.
const ROWS: u32 = 100_000;

/// A row's place in the walk: the texts of its key.
pub(super) type Key = Vec<String>;

/// Rows after one key, up to and with another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub after: Option<Key>,
    pub up_to: Option<Key>,
}

impl Range {
    /// The parameters, in the order of the statement's.
    pub(super) fn parameters(&self) -> Vec<&str> {
        self.after.iter().chain(&self.up_to).flatten().map(String::as_str).collect()
    }
}

/// The statements of one side.
#[derive(Debug, Clone)]
pub(super) struct Statements {
    table: String,
    key: Vec<KeyPart>,
    columns: Vec<Compared>,
    hash: Hash,
}

/// A name, quoted.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Statements {
    pub(super) fn new(table: &str, shape: &Shape, hash: Hash) -> Self {
        let (key, columns) = (shape.key.clone(), shape.columns.clone());
        Self { table: table.to_owned(), key, columns, hash }
    }

    /// How many rows a range has, and the sum of each half of their hashes. A sum, unlike an
    /// exclusive or, does not lose what is there twice, and needs no order.
    pub(super) fn sum(&self, range: &Range) -> String {
        format!(
            "SELECT count(*), coalesce(sum(('x' || left(h, 16))::bit(64)::int8), 0)::text, \
             coalesce(sum(('x' || right(h, 16))::bit(64)::int8), 0)::text \
             FROM (SELECT {} AS h FROM {} AS t{}) AS r",
            self.row_hash(),
            self.table,
            self.filter(range)
        )
    }

    /// The key of the row after so many, in the order of the walk.
    /// How many is the last parameter.
    pub(super) fn key_after(&self, range: &Range) -> String {
        let last = range.parameters().len() + 1;
        let order: Vec<String> = self.key.iter().map(ordered).collect();
        format!(
            "SELECT {} FROM {} AS t{} ORDER BY {} OFFSET ${last}::text::int8 LIMIT 1",
            self.key_texts(),
            self.table,
            self.filter(range),
            order.join(", ")
        )
    }

    /// The key and the hash of each row of a range.
    pub(super) fn rows(&self, range: &Range) -> String {
        format!(
            "SELECT {}, {} FROM {} AS t{} LIMIT {ROWS}",
            self.key_texts(),
            self.row_hash(),
            self.table,
            self.filter(range)
        )
    }

    /// The same of the rows with these keys; each parameter is the list of one column of the keys.
    pub(super) fn rows_of_keys(&self) -> String {
        format!("SELECT {}, {} {}", self.key_texts(), self.row_hash(), self.with_keys())
    }

    /// The key, and of each column its hash, or its text cut to `chars`.
    pub(super) fn columns_of_keys(&self, chars: Option<u32>) -> String {
        let shown = |column: &Compared| {
            let text = form(column);
            match chars {
                Some(chars) => format!("left({text}, {chars})"),
                None => self.hashed(&text),
            }
        };
        let columns: Vec<String> = self.columns.iter().map(shown).collect();
        let columns = columns.join(", ");
        format!("SELECT {}, ARRAY[{columns}]::text[] {}", self.key_texts(), self.with_keys())
    }

    /// Whether the first key comes no later than the second, in the order of the walk.
    pub(super) fn is_first(&self) -> String {
        let (one, other) = (self.placeholders(0), self.placeholders(self.key.len()));
        format!("SELECT ({one}) <= ({other})")
    }

    /// Whether a column has nulls.
    pub(super) fn has_null(&self, column: &str) -> String {
        format!(
            "SELECT EXISTS (SELECT FROM {} AS t WHERE t.{} IS NULL)",
            self.table,
            quoted(column)
        )
    }

    fn with_keys(&self) -> String {
        let count = self.key.len();
        let names: Vec<String> = (1..=count).map(|n| format!("k{n}")).collect();
        let lists: Vec<String> = (1..=count).map(|n| format!("${n}::text[]")).collect();
        let keys: Vec<String> = self.key.iter().map(ordered).collect();
        let wanted = self.key.iter().zip(&names).map(|(part, name)| cast(part, name));
        format!(
            "FROM {} AS t WHERE ({}) IN (SELECT {} FROM unnest({}) AS k({}))",
            self.table,
            keys.join(", "),
            wanted.collect::<Vec<_>>().join(", "),
            lists.join(", "),
            names.join(", ")
        )
    }

    fn filter(&self, range: &Range) -> String {
        let keys: Vec<String> = self.key.iter().map(ordered).collect();
        let keys = keys.join(", ");
        let after = range.after.as_ref().map(|_| format!("({keys}) > ({})", self.placeholders(0)));
        let used = if range.after.is_some() { self.key.len() } else { 0 };
        let up_to =
            range.up_to.as_ref().map(|_| format!("({keys}) <= ({})", self.placeholders(used)));
        let conditions: Vec<String> = after.into_iter().chain(up_to).collect();
        if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        }
    }

    fn placeholders(&self, used: usize) -> String {
        let numbered = self.key.iter().zip(used + 1..);
        let casts: Vec<String> =
            numbered.map(|(part, n)| cast(part, &format!("${n}::text"))).collect();
        casts.join(", ")
    }

    /// An array, so that one column of the answer holds all.
    fn key_texts(&self) -> String {
        let texts: Vec<String> =
            self.key.iter().map(|part| format!("t.{}::text", quoted(&part.name))).collect();
        format!("ARRAY[{}]", texts.join(", "))
    }

    /// The text of a record quotes what is in it, so different rows have different texts. Hashed
    /// as UTF-8, whatever the database's own encoding is.
    fn row_hash(&self) -> String {
        let keys = self.key.iter().map(|part| format!("t.{}::text", quoted(&part.name)));
        let columns = self.columns.iter().map(form);
        let all: Vec<String> = keys.chain(columns).collect();
        self.hashed(&format!("ROW({})::text", all.join(", ")))
    }

    fn hashed(&self, text: &str) -> String {
        match self.hash {
            Hash::Md5 => format!("md5(convert_to({text}, 'UTF8'))"),
            Hash::Sha256 => format!("encode(sha256(convert_to({text}, 'UTF8')), 'hex')"),
        }
    }
}

/// A column of the key as it is compared.
fn ordered(part: &KeyPart) -> String {
    let name = quoted(&part.name);
    match part.order {
        Order::Native(_) => format!("t.{name}"),
        Order::Text => format!("t.{name}::text COLLATE \"C\""),
    }
}

/// A text as it is compared with that column.
fn cast(part: &KeyPart, text: &str) -> String {
    match &part.order {
        Order::Native(name) => format!("{text}::{name}"),
        Order::Text => format!("{text} COLLATE \"C\""),
    }
}

/// A column's value as text.
fn form(column: &Compared) -> String {
    let name = format!("t.{}", quoted(&column.name));
    match column.form {
        Form::Plain => format!("{name}::text"),
        Form::Numeric => format!("trim_scale({name}::numeric)::text"),
        Form::Float4 => format!("({name} + 0::float4)::text"),
        Form::Float8 => format!("({name} + 0::float8)::text"),
        Form::Jsonb => format!("{name}::jsonb::text"),
    }
}

#[cfg(test)]
mod tests;
