//! The text of triggers and values.

use super::{Sides, create, value};
use crate::{Derive, Ident, Input, Key, LossyDown, TableSync};

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

fn derive(target: &str, expression: &str, inputs: &[(&str, &str)]) -> Derive {
    let input = |(logical, physical): &(&str, &str)| Input {
        logical: ident(logical),
        physical: ident(physical),
        data_type: "integer".into(),
    };
    Derive {
        target: ident(target),
        data_type: "integer".into(),
        expression: expression.into(),
        scope: ident("t"),
        inputs: inputs.iter().map(input).collect(),
        volatile: false,
        reads_others: false,
        path: None,
    }
}

fn sync(up: Vec<Derive>, down: Vec<Derive>) -> TableSync {
    TableSync {
        table: ident("t"),
        leaves: vec![ident("t")],
        key: Key::Columns { columns: vec![(ident("id"), "integer".into())] },
        up,
        down,
        done: ident("_serin_done"),
        trigger: ident("zzz_serin_t"),
        every_update: false,
        always: false,
        lossy: LossyDown::Reject,
        passive: false,
    }
}

fn created(sync: &TableSync) -> String {
    let (schema, new) = (ident("s"), ident("s_02"));
    create(sync, Sides { schema: &schema, old: &schema, new: &new }).join(";\n")
}

#[test]
fn an_update_of_other_columns_does_not_fire_it() {
    let mut sync = sync(
        vec![derive("new", "a + 1", &[("a", "a")])],
        vec![derive("a", "b - 1", &[("b", "new")])],
    );
    assert!(created(&sync).contains("UPDATE OF \"a\", \"new\" ON \"s\".\"t\""));
    sync.every_update = true;
    assert!(created(&sync).contains("INSERT OR UPDATE ON \"s\".\"t\""));
}

#[test]
fn an_expression_that_ends_a_quote_stays_inside() {
    let sync = sync(vec![derive("new", "$serin$ a $serin$ -- b", &[("a", "a")])], vec![]);
    let sql = created(&sync);
    assert!(sql.contains("AS $serin_$"), "{sql}");
    assert!(sql.contains("-- b\n        );"), "{sql}");
}

#[test]
fn a_value_stands_as_it_is_where_names_are_the_same() {
    let up = [
        derive("n1", "a + 1", &[("a", "a")]),
        derive("n2", "x * 2", &[("x", "n1")]),
        derive("n3", "now()", &[]),
    ];
    let alias = ident("t");
    assert_eq!(value(&up, 0, &alias), "(a + 1\n)");
    assert_eq!(
        value(&up, 1, &alias),
        "(SELECT (x * 2\n) FROM (SELECT (a + 1\n) AS \"x\") AS \"t\")"
    );
    assert_eq!(value(&up, 2, &ident("other")), "(now()\n)");
    assert_eq!(
        value(&up, 0, &ident("other")),
        "(SELECT (a + 1\n) FROM (SELECT \"other\".\"a\" AS \"a\") AS \"t\")"
    );
}
