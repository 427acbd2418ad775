//! The statements as text.

use super::*;

fn shape(key: &[(&str, Order)], columns: &[(&str, Form)]) -> Shape {
    let part =
        |(name, order): &(&str, Order)| KeyPart { name: (*name).into(), order: order.clone() };
    let column = |(name, form): &(&str, Form)| Compared { name: (*name).into(), form: *form };
    Shape {
        from_table: "public.t".into(),
        to_table: "public.t".into(),
        key: key.iter().map(part).collect(),
        from_nullable: Vec::new(),
        to_nullable: Vec::new(),
        columns: columns.iter().map(column).collect(),
        notes: Vec::new(),
    }
}

fn native(name: &str) -> Order {
    Order::Native(name.into())
}

fn key(texts: &[&str]) -> Key {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn a_range_of_a_composite_key() {
    let shape = shape(&[("a", native("int8")), ("b", Order::Text)], &[("n", Form::Numeric)]);
    let statements = Statements::new("public.t", &shape, Hash::Md5);
    let range = Range { after: Some(key(&["1", "x"])), up_to: Some(key(&["2", "y"])) };
    assert_eq!(range.parameters(), ["1", "x", "2", "y"]);
    let sql = statements.rows(&range);
    let expected = "SELECT ARRAY[t.\"a\"::text, t.\"b\"::text], \
        md5(convert_to(ROW(t.\"a\"::text, t.\"b\"::text, trim_scale(t.\"n\"::numeric)::text)::text, 'UTF8')) \
        FROM public.t AS t \
        WHERE (t.\"a\", t.\"b\"::text COLLATE \"C\") > ($1::text::int8, $2::text COLLATE \"C\") \
        AND (t.\"a\", t.\"b\"::text COLLATE \"C\") <= ($3::text::int8, $4::text COLLATE \"C\") LIMIT 100000";
    assert_eq!(sql, expected);
}

#[test]
fn the_ends_are_open() {
    let shape = shape(&[("id", native("int8"))], &[]);
    let statements = Statements::new("public.t", &shape, Hash::Sha256);
    let from_start = Range { after: None, up_to: Some(key(&["9"])) };
    assert!(statements.sum(&from_start).contains("WHERE (t.\"id\") <= ($1::text::int8)"));
    let to_end = Range { after: Some(key(&["9"])), up_to: None };
    let sql = statements.key_after(&to_end);
    let expected = "SELECT ARRAY[t.\"id\"::text] FROM public.t AS t WHERE (t.\"id\") > ($1::text::int8) \
        ORDER BY t.\"id\" OFFSET $2::text::int8 LIMIT 1";
    assert_eq!(sql, expected);
    assert!(!statements.sum(&Range::default()).contains("WHERE"));
    assert!(statements.sum(&Range::default()).contains("encode(sha256("));
}

#[test]
fn names_cannot_break_out() {
    let shape = shape(&[("a\"; DROP TABLE t; --", native("int8"))], &[("B c", Form::Plain)]);
    let sql = Statements::new("public.t", &shape, Hash::Md5).columns_of_keys(None);
    assert!(sql.contains("t.\"a\"\"; DROP TABLE t; --\""), "{sql}");
    assert!(sql.contains("t.\"B c\"::text"), "{sql}");
}
