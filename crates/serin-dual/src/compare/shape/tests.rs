//! Pairs of tables.

use super::*;

fn column(name: &str, base: &str) -> Column {
    let collation = if TEXTS.contains(&base) { "C" } else { "" };
    Column {
        name: name.into(),
        base: base.into(),
        full: base.into(),
        is_enum: false,
        not_null: true,
        collation: collation.into(),
        is_deterministic: true,
    }
}

fn table(columns: &[(&str, &str)], key: &[&str]) -> Table {
    Table {
        name: "public.t".into(),
        columns: columns.iter().map(|(name, base)| column(name, base)).collect(),
        key: key.iter().map(ToString::to_string).collect(),
        estimate: 0,
    }
}

fn request() -> Request {
    Request::new("t")
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn all_columns_in_the_order_of_the_first_table() {
    let from = table(&[("id", "int4"), ("b", "text"), ("a", "text")], &["id"]);
    let to = table(&[("a", "text"), ("id", "int8"), ("b", "text")], &["id"]);
    let shape = Shape::agree(&from, &to, &request()).unwrap();
    let found: Vec<_> = shape.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(found, ["b", "a"]);
    assert_eq!(shape.key[0].order, Order::Native("int8".into()));
    assert_eq!(shape.notes, Vec::<String>::new());
}

#[test]
fn columns_of_one_side_are_an_error_until_they_are_left_out() {
    let from = table(&[("id", "int4"), ("a", "text")], &["id"]);
    let to = table(&[("id", "int4"), ("b", "text")], &["id"]);
    let error = Shape::agree(&from, &to, &request()).unwrap_err().to_string();
    assert!(error.contains("a, b"), "{error}");
    let request = Request { except: names(&["a", "b"]), ..request() };
    assert_eq!(Shape::agree(&from, &to, &request).unwrap().columns, []);
}

#[test]
fn what_does_not_exist_is_named() {
    let both = table(&[("id", "int4")], &["id"]);
    for request in [
        Request { columns: names(&["x"]), ..request() },
        Request { except: names(&["x"]), ..request() },
        Request { key: names(&["x"]), ..request() },
    ] {
        let error = Shape::agree(&both, &both, &request).unwrap_err();
        assert!(matches!(&error, Error::NoColumn { column, .. } if column == "x"), "{error}");
    }
    let keyless = table(&[("id", "int4")], &[]);
    assert!(matches!(Shape::agree(&keyless, &keyless, &request()), Err(Error::NoKey)));
}

#[test]
fn orders() {
    let text = |collation: &str| Column { collation: collation.into(), ..column("k", "text") };
    let loose = Column { is_deterministic: false, ..text("C") };
    let native = |name: &str| Order::Native(name.into());
    let rows = [
        (column("k", "int4"), column("k", "int8"), native("int8")),
        (column("k", "uuid"), column("k", "uuid"), native("uuid")),
        (column("k", "timestamptz"), column("k", "timestamptz"), native("timestamptz")),
        (column("k", "varchar"), column("k", "text"), native("text")),
        (column("k", "bpchar"), column("k", "bpchar"), native("bpchar")),
        (column("k", "bpchar"), column("k", "text"), Order::Text),
        (text("en 1"), text("en 1"), native("text")),
        (text("en 1"), text("en 2"), Order::Text),
        (loose.clone(), loose, Order::Text),
        (column("k", "uuid"), column("k", "text"), Order::Text),
        (column("k", "timestamp"), column("k", "timestamptz"), Order::Text),
        (column("k", "public.mood"), column("k", "public.mood"), Order::Text),
    ];
    for (left, right, expected) in rows {
        assert_eq!(order(&left, &right), expected, "{} {}", left.base, right.base);
    }
}

#[test]
fn forms() {
    let rows = [
        ("int4", "int8", Form::Plain),
        ("numeric", "int4", Form::Numeric),
        ("numeric", "float8", Form::Plain),
        ("float4", "float4", Form::Float4),
        ("float4", "float8", Form::Float8),
        ("json", "jsonb", Form::Jsonb),
        ("json", "json", Form::Plain),
    ];
    for (left, right, expected) in rows {
        assert_eq!(form(left, right), expected, "{left} {right}");
    }
}

#[test]
fn other_types_are_noted() {
    let from = table(&[("id", "int4"), ("a", "timestamp")], &["id"]);
    let to = table(&[("id", "int4"), ("a", "timestamptz")], &["id"]);
    let shape = Shape::agree(&from, &to, &request()).unwrap();
    assert_eq!(shape.notes.len(), 1);
    assert!(shape.notes[0].contains("column a is timestamp on one side"), "{:?}", shape.notes);
}
