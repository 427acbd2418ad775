//! Values outside the trigger: the same expressions in a query or an update.

use crate::{Derive, Ident};

/// Types whose values are the same exactly when they are equal. For all others bytes are
/// compared: `citext` finds `A` equal to `a`, `numeric` 1.0 to 1.00, and `json` cannot tell.
const PLAIN: [&str; 14] = [
    "smallint",
    "integer",
    "int",
    "bigint",
    "int2",
    "int4",
    "int8",
    "boolean",
    "bool",
    "date",
    "uuid",
    "oid",
    "timestamp without time zone",
    "timestamp with time zone",
];

/// Whether two values of a type are not the same, NULL being the same as NULL.
pub fn differs(left: &str, right: &str, data_type: &str) -> String {
    if PLAIN.contains(&data_type.to_ascii_lowercase().as_str()) {
        return format!("{left} IS DISTINCT FROM {right}");
    }
    // Without the casts each column would be compared, and few types have the operator.
    format!("ROW({left})::record OPERATOR(pg_catalog.*<>) ROW({right})::record")
}

/// The value of `derives[at]` for a row of the table that the query calls `alias`. What it reads
/// of values worked out before it is worked out in it, for a statement sees only the old row.
pub fn value(derives: &[Derive], at: usize, alias: &Ident) -> String {
    let derive = &derives[at];
    let earlier = &derives[..at];
    let is_derived = |column: &Ident| earlier.iter().rposition(|before| before.target == *column);
    let is_direct = derive
        .inputs
        .iter()
        .all(|input| input.logical == input.physical && is_derived(&input.physical).is_none());
    if is_direct && (derive.inputs.is_empty() || derive.scope == *alias) {
        return format!("({}\n)", derive.expression);
    }
    let column = |input: &crate::Input| {
        let value = match is_derived(&input.physical) {
            Some(before) => value(derives, before, alias),
            None => format!("{alias}.{}", input.physical),
        };
        format!("{value} AS {}", input.logical)
    };
    let columns: Vec<String> = derive.inputs.iter().map(column).collect();
    format!(
        "(SELECT ({}\n) FROM (SELECT {}) AS {})",
        derive.expression,
        columns.join(", "),
        derive.scope,
    )
}

/// `("a", "b")`, with what comes before each name.
pub fn row<'a>(names: impl IntoIterator<Item = &'a Ident>, before: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("{before}{name}")).collect();
    format!("({})", names.join(", "))
}
