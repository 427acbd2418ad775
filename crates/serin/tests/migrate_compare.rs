//! `serin migrate compare` on two databases of a real server.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use serde_json::Value;
use serin_postgres::{Cluster, shared};
use support::{Said, said, serin};

struct Two {
    cluster: &'static Cluster,
    from: String,
    to: String,
}

impl Two {
    /// Both with the same 500 orders.
    fn make() -> Option<Self> {
        let cluster = shared()?;
        let two =
            Self { cluster, from: cluster.database().unwrap(), to: cluster.database().unwrap() };
        let sql = "CREATE TABLE orders (id int PRIMARY KEY, cents int); \
            INSERT INTO orders SELECT i, i FROM generate_series(1, 500) AS i";
        for database in [&two.from, &two.to] {
            cluster.sql(database, sql).unwrap();
        }
        Some(two)
    }

    fn to(&self, sql: &str) {
        self.cluster.sql(&self.to, sql).unwrap();
    }

    fn run(&self, words: &[&str]) -> Said {
        let all = [&["migrate", "compare", "--again", "0s"], words].concat();
        let mut command = serin(&all);
        command.env("SERIN_COMPARE_FROM", self.cluster.url(&self.from));
        command.env("SERIN_COMPARE_TO", self.cluster.url(&self.to));
        said(command)
    }
}

#[test]
fn equal_tables_end_with_0() {
    let Some(two) = Two::make() else { return };
    let said = two.run(&["--table", "orders"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("equal  orders") && said.out.contains("500 rows"), "{said:?}");
}

#[test]
fn what_is_no_table_ends_with_2() {
    let Some(two) = Two::make() else { return };
    for table in ["users; drop table orders", "nothing", "a.b.c.d", "\"", ""] {
        let said = two.run(&["--table", table]);
        assert_eq!(said.code, Some(2), "{said:?}");
    }
    assert_eq!(two.run(&["--table", "orders"]).code, Some(0));
}

#[test]
fn rows_that_differ_are_named_and_end_with_3() {
    let Some(two) = Two::make() else { return };
    two.to("DELETE FROM orders WHERE id = 7; UPDATE orders SET cents = NULL WHERE id = 8; \
        INSERT INTO orders VALUES (501, 1)");
    let said = two.run(&["--table", "public.orders"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    for part in ["missing    id=7", "different  id=8  cents", "extra      id=501"] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    assert!(!said.out.contains("became"), "values were not asked for: {said:?}");
    let said = two.run(&["--table", "orders", "--values", "--hash", "sha256"]);
    assert!(said.out.contains("cents: \"8\" became null"), "{said:?}");
    let said = two.run(&["--table", "orders", "--limit", "1", "--json"]);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said.code, Some(3));
    assert_eq!(document["schema"], "serin.migrate.compare/v1");
    assert_eq!(document["verdict"], "different");
    assert_eq!(document["differences"][0]["key"]["id"], "7");
    assert_eq!(document["differences"].as_array().unwrap().len(), 1);
    assert_eq!((&document["missing"], &document["rows_to"]), (&1.into(), &500.into()));
}

#[test]
fn what_cannot_be_compared_is_said_with_its_code() {
    let Some(two) = Two::make() else { return };
    let said = two.run(&["--table", "ordres"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("`from` has no table `ordres`"), "{said:?}");
    two.to("ALTER TABLE orders ADD more int");
    assert_eq!(two.run(&["--table", "orders"]).code, Some(2));
    assert_eq!(two.run(&["--table", "orders", "--except", "more"]).code, Some(0));
    assert_eq!(two.run(&["--table", "orders", "--columns", "cents", "--key", "id"]).code, Some(0));
    let gone = "postgres://someone:s3cret@127.0.0.1:1/none";
    let said = two.run(&["--table", "orders", "--to", gone]);
    assert_eq!(said.code, Some(7), "{said:?}");
    assert!(!said.err.contains("s3cret"), "{said:?}");
    assert_eq!(two.run(&["--table", "orders", "--duty", "2"]).code, Some(2));
}

#[test]
fn help_shows_no_address_of_the_environment() {
    let mut command = serin(&["migrate", "compare", "--help"]);
    command.env("SERIN_COMPARE_FROM", "postgres://someone:s3cret@host/db");
    let said = said(command);
    assert!(said.out.contains("SERIN_COMPARE_FROM") && !said.out.contains("s3cret"), "{said:?}");
}
