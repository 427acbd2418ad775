//! Traces on a real Postgres: which locks statements take, and what they do to rows.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use serin_connect::Address;
use serin_lint::{
    Copy, LockMode, Sizes, Speed, Trace, Where, against_declared, clear, inspect, lint_phased,
    rehearse, trace, weigh,
};
use serin_migrate::{
    Action, Alone, Database, Ident, PhasedSet, Plan, Runner, Stage, Step, phased, phased_plan,
};
use serin_postgres::{Cluster, shared};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_postgres::{Client, NoTls};

const SCHEMA: &str = "\
    CREATE TABLE parents (id integer PRIMARY KEY);
    CREATE TABLE items (id integer PRIMARY KEY, parent integer, name varchar(10), \
                        price numeric(8,2), note text);
    CREATE INDEX items_name ON items (name);
    ALTER TABLE items ADD CONSTRAINT filled CHECK (note IS NOT NULL) NOT VALID;
    ALTER TABLE items VALIDATE CONSTRAINT filled;
    ALTER TABLE items ADD CONSTRAINT short CHECK (length(name) < 9) NOT VALID;
    CREATE VIEW cheap AS SELECT id FROM items WHERE price < 10;
    INSERT INTO items SELECT g, NULL, 'n' || g, g, 'x' FROM generate_series(1, 100) g;";

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A database with the schema, its address and a session; `None` without Postgres.
async fn database() -> Option<(&'static Cluster, String, Client)> {
    let cluster = shared()?;
    let name = cluster.database().unwrap();
    cluster.sql(&name, SCHEMA).unwrap();
    let url = cluster.url(&name);
    let client = connect(&url).await;
    Some((cluster, url, client))
}

fn step(sql: &str) -> Step {
    let action = Action::transaction(vec![sql.to_owned()], Vec::new());
    Step { stage: Stage::Expand, title: "one".into(), action }
}

async fn traced(client: &Client, sql: &str, limit_ms: u32) -> Trace {
    trace(client, &[step(sql)], Where::Live { limit_ms }).await.unwrap()
}

/// What a statement did to `items`: its lock, and `rewrite`, `index`, `scan` or nothing.
async fn seen(client: &Client, sql: &str) -> (Option<LockMode>, &'static str) {
    let trace = traced(client, sql, 60_000).await;
    assert_eq!(trace.failure, None, "{sql}");
    let one = &trace.statements[0];
    let items = |list: &[String]| list.iter().any(|table| table == "public.items");
    let work = match () {
        () if items(&one.rewrites) => "rewrite",
        () if items(&one.indexes) => "index",
        () if items(&one.scans) => "scan",
        () => "",
    };
    let lock = one.locks.iter().find(|lock| lock.table == "public.items");
    (lock.map(|lock| lock.mode), work)
}

#[tokio::test]
async fn locks_and_work_are_as_documented() {
    use LockMode::{
        AccessExclusive, AccessShare, RowExclusive, Share, ShareRowExclusive, ShareUpdateExclusive,
    };
    let Some((_, _, client)) = database().await else { return };
    let cases = [
        ("ALTER TABLE items ADD c integer", Some(AccessExclusive), ""),
        ("ALTER TABLE items ADD c integer NOT NULL DEFAULT 5", Some(AccessExclusive), ""),
        (
            "ALTER TABLE items ADD c timestamptz DEFAULT clock_timestamp()",
            Some(AccessExclusive),
            "rewrite",
        ),
        (
            "ALTER TABLE items ADD c integer GENERATED ALWAYS AS IDENTITY",
            Some(AccessExclusive),
            "rewrite",
        ),
        ("ALTER TABLE items ALTER name TYPE varchar(20)", Some(AccessExclusive), ""),
        ("ALTER TABLE items ALTER name TYPE text", Some(AccessExclusive), ""),
        ("ALTER TABLE items ALTER name TYPE varchar(5)", Some(AccessExclusive), "rewrite"),
        ("ALTER TABLE items ALTER parent TYPE bigint", Some(AccessExclusive), "rewrite"),
        ("ALTER TABLE items ALTER name SET NOT NULL", Some(AccessExclusive), "scan"),
        ("ALTER TABLE items ALTER note SET NOT NULL", Some(AccessExclusive), ""),
        ("ALTER TABLE items ADD CHECK (id > 0)", Some(AccessExclusive), "scan"),
        ("ALTER TABLE items ADD CHECK (id > 0) NOT VALID", Some(AccessExclusive), ""),
        ("ALTER TABLE items VALIDATE CONSTRAINT short", Some(ShareUpdateExclusive), "scan"),
        (
            "ALTER TABLE items ADD FOREIGN KEY (parent) REFERENCES parents NOT VALID",
            Some(ShareRowExclusive),
            "",
        ),
        ("ALTER TABLE items ADD UNIQUE (name)", Some(AccessExclusive), "index"),
        ("CREATE INDEX ON items (price)", Some(Share), "index"),
        ("DROP INDEX items_name", Some(AccessExclusive), ""),
        ("ALTER TABLE items RENAME note TO remark", Some(AccessExclusive), ""),
        ("ALTER TABLE items ALTER note SET DEFAULT 'y'", Some(AccessExclusive), ""),
        ("ALTER TABLE items ENABLE ROW LEVEL SECURITY", Some(AccessExclusive), ""),
        ("COMMENT ON TABLE items IS 'x'", Some(ShareUpdateExclusive), ""),
        ("CREATE VIEW v AS SELECT id FROM items", Some(AccessShare), ""),
        ("UPDATE items SET note = 'z'", Some(RowExclusive), "scan"),
    ];
    for (sql, lock, work) in cases {
        assert_eq!(seen(&client, sql).await, (lock, work), "{sql}");
    }
    // Everything was rolled back.
    let row = client.query_one("SELECT count(*) FROM items WHERE note = 'z'", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_trace_of_the_real_database_waits_for_nobody() {
    let Some((_, url, client)) = database().await else { return };
    let other = connect(&url).await;
    other.batch_execute("BEGIN; LOCK TABLE items IN ACCESS SHARE MODE").await.unwrap();
    let trace = traced(&client, "ALTER TABLE items ADD c integer", 50).await;
    let (step, sql, said) = trace.failure.unwrap();
    assert_eq!((step.as_str(), sql.as_str()), ("one", "ALTER TABLE items ADD c integer"));
    assert!(said.contains("lock timeout"), "{said}");
}

async fn set(client: &Client, document: &Value) -> (PhasedSet, Plan) {
    let set = phased("set", document).unwrap();
    let plan = phased_plan(client, &set, Ident::new("public").unwrap()).await.unwrap();
    (set, plan)
}

fn has_dump(cluster: &Cluster) -> bool {
    let has = cluster.client("pg_dump").is_file()
        || std::process::Command::new("pg_dump").arg("-V").output().is_ok();
    if !has {
        eprintln!("SKIPPED: no pg_dump");
    }
    has
}

#[tokio::test]
async fn a_copy_has_the_schema_and_goes_away() {
    let Some((cluster, url, client)) = database().await else { return };
    if !has_dump(cluster) {
        return;
    }
    let copy = Copy::make(&Address::parse(&url).unwrap()).await.unwrap();
    let session = copy.session().await.unwrap();
    let row = session.query_one("SELECT count(*) FROM items", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    let (_, plan) = set(&client, &json!({"migrations": [
        {"version": "1", "name": "add", "phase": "expand", "up_sql": "ALTER TABLE items ADD c integer",
         "down_sql": "ALTER TABLE items DROP COLUMN IF EXISTS c", "post_check_sql": "SELECT count(*) > 5 FROM items"},
        {"version": "2", "name": "fill", "phase": "migrate",
         "batch": {"table": "items", "key": "id", "set": "c = length(name)", "where": "c IS NULL"}},
        {"version": "3", "name": "index", "phase": "migrate", "up_sql": "CREATE INDEX CONCURRENTLY items_c ON items (c)",
         "down_sql": "DROP INDEX CONCURRENTLY IF EXISTS items_c"}
    ]})).await;
    let rehearsal = rehearse(&session, &plan).await.unwrap();
    assert_eq!((rehearsal.left, rehearsal.failure), (Vec::new(), None));
    assert_eq!(rehearsal.forward.failure, None);
    let speed = Speed::measure(&session).await.unwrap();
    assert!(speed.scan > 0.0 && speed.rewrite > 0.0 && speed.index > 0.0 && speed.fill > 0.0);
    drop(session);
    copy.close().await;
    let left =
        client.query("SELECT FROM pg_database WHERE datname LIKE 'serin\\_scratch%'", &[]).await;
    assert!(left.unwrap().is_empty());
}

#[tokio::test]
async fn a_way_back_that_leaves_something_is_found() {
    let Some((_, _, client)) = database().await else { return };
    let part = |up: &str, down: &str| json!({"migrations": [{"version": "1", "name": "a", "phase": "expand", "up_sql": up, "down_sql": down}]});
    let (_, plan) = set(
        &client,
        &part(
            "ALTER TABLE items ADD c integer; CREATE TABLE extra (id integer)",
            "ALTER TABLE items DROP COLUMN IF EXISTS c",
        ),
    )
    .await;
    let failure = rehearse(&client, &plan).await.unwrap().failure.unwrap();
    assert!(failure.2.contains("already exists"), "{failure:?}");
    let (_, plan) =
        set(&client, &part("CREATE TABLE IF NOT EXISTS more (id integer)", "SELECT 1")).await;
    let left = rehearse(&client, &plan).await.unwrap().left;
    assert!(
        left.iter().any(|line| line.starts_with("left behind: column public.more.id")),
        "{left:?}"
    );
    let (_, plan) =
        set(&client, &part("ALTER TABLE items ADD d integer", "ALTER TABLE items DROP COLUMN d"))
            .await;
    let failure = rehearse(&client, &plan).await.unwrap().failure.unwrap();
    assert!(failure.1.contains("DROP COLUMN d"), "taking back twice: {failure:?}");
}

async fn planned(url: &str, name: &str, operations: &Value) -> Plan {
    let written = serin_migrate::migration(name, &json!({ "operations": operations })).unwrap();
    let database = Database::new(url, Ident::new("public").unwrap()).unwrap();
    Runner::new(database, Arc::new(Alone), "test").plan(&written).await.unwrap()
}

#[tokio::test]
async fn sql_of_an_operation_is_taken_back_once() {
    let Some((_, url, client)) = database().await else { return };
    let (up, down) = ("CREATE TABLE plain (id int)", "DROP TABLE plain");
    let plan = planned(&url, "01", &json!([{"sql": {"up": up, "down": down}}])).await;
    assert_eq!(plan.without_way_back(), Vec::<String>::new());
    let rehearsal = rehearse(&client, &plan).await.unwrap();
    assert_eq!((rehearsal.left, rehearsal.failure), (Vec::new(), None));
    assert!(client.execute("SELECT FROM plain", &[]).await.is_ok(), "as after forward");
    // A way back that is none is still found.
    let made = "CREATE TABLE IF NOT EXISTS b (id int)";
    let plan = planned(&url, "02", &json!([{"sql": {"up": made, "down": "SELECT 1"}}])).await;
    let left = rehearse(&client, &plan).await.unwrap().left;
    assert_eq!(left, ["left behind: column public.b.id integer"]);
    let plan = planned(&url, "03", &json!([{"sql": {"up": "CREATE TABLE c (id int)"}}])).await;
    assert_eq!(plan.without_way_back(), ["operations[0].sql"]);
    let rehearsal = rehearse(&client, &plan).await.unwrap();
    assert_eq!((rehearsal.left, rehearsal.failure), (Vec::new(), None));
}

#[tokio::test]
async fn sql_without_a_way_back_only_informs() {
    let Some((cluster, url, client)) = database().await else { return };
    if !has_dump(cluster) {
        return;
    }
    let plan = planned(&url, "04", &json!([{"sql": {"up": "CREATE TABLE c (id int)"}}])).await;
    let address = Address::parse(&url).unwrap();
    let seen = inspect(&address, &client, &plan, None, Vec::new(), Where::Copy).await.unwrap();
    let found: Vec<(&str, &str, bool)> =
        seen.findings.iter().map(|f| (f.rule.as_str(), f.path.as_str(), f.blocks())).collect();
    assert_eq!(found, [("no-way-back", "operations[0].sql", false)]);
}

#[tokio::test]
async fn a_search_path_that_is_changed_changes_nothing() {
    let Some((_, url, client)) = database().await else { return };
    let path = "SET search_path = pg_catalog";
    let plan = planned(&url, "05", &json!([{"sql": {"up": path, "down": "SELECT 1"}}])).await;
    let rehearsal = rehearse(&client, &plan).await.unwrap();
    assert_eq!((rehearsal.left, rehearsal.failure), (Vec::new(), None));
    let row = client.query_one("SHOW search_path", &[]).await.unwrap();
    assert_ne!(row.get::<_, String>(0), "pg_catalog");
    let (_, plan) = set(
        &client,
        &json!({"migrations": [{"version": "1", "name": "a",
        "phase": "expand", "up_sql": path, "down_sql": "SELECT 1"}]}),
    )
    .await;
    let rehearsal = rehearse(&client, &plan).await.unwrap();
    assert_eq!((rehearsal.left, rehearsal.failure), (Vec::new(), None));
}

#[tokio::test]
async fn a_value_of_an_enumeration_may_stay() {
    let Some((_, _, client)) = database().await else { return };
    client.batch_execute("CREATE TYPE mood AS ENUM ('low', 'high')").await.unwrap();
    let grow = json!([{"x_add_enum_value": {"name": "mood", "value": "mid", "before": "high"}}]);
    let grow = serin_migrate::migration("02", &json!({ "operations": grow })).unwrap();
    let (_, mut plan) = set(
        &client,
        &json!({"migrations": [{"version": "1", "name": "grow",
        "phase": "expand", "down_sql": "SELECT 1",
        "up_sql": "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'mid' BEFORE 'high'"}]}),
    )
    .await;
    plan.migration.operations = grow.operations;
    assert_eq!(rehearse(&client, &plan).await.unwrap().left, Vec::<String>::new());
    let row = client.query_one("SELECT count(*) FROM pg_enum", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 3);
    // Nobody said so of this one.
    client
        .batch_execute("ALTER TYPE mood RENAME TO other; CREATE TYPE mood AS ENUM ('low', 'high')")
        .await
        .unwrap();
    plan.migration.operations.clear();
    let left = rehearse(&client, &plan).await.unwrap().left;
    assert_eq!(left, ["left behind: value mid of type public.mood"]);
}

#[tokio::test]
async fn what_is_declared_is_held_against_the_trace() {
    let Some((_, _, client)) = database().await else { return };
    let (set, plan) = set(&client, &json!({"migrations": [
        {"version": "1", "name": "type", "phase": "expand", "estimated_duration": "2s",
         "up_sql": "ALTER TABLE items ALTER parent TYPE bigint", "down_sql": "SELECT 1"},
        {"version": "2", "name": "index", "phase": "expand", "up_sql": "CREATE INDEX i ON items (note)",
         "down_sql": "DROP INDEX IF EXISTS i"},
        {"version": "3", "name": "proven", "phase": "expand", "up_sql": "ALTER TABLE items ALTER note SET NOT NULL",
         "down_sql": "ALTER TABLE items ALTER note DROP NOT NULL"}
    ]})).await;
    let sizes = Sizes::read(&client).await.unwrap();
    // Nobody has analysed it yet.
    assert!(sizes.rows()["items"] > 0, "{sizes:?}");
    assert!(sizes.indexes.contains(&("items".into(), "name".into())), "{sizes:?}");
    // A server that writes a kilobyte a second.
    let speed = Speed { scan: 1.0, rewrite: 0.001, index: 1.0, fill: 1.0 };
    let trace = trace(&client, &plan.forward, Where::Copy).await.unwrap();
    assert_eq!(trace.failure, None);
    let rules = |found: Vec<serin_lint::Finding>| {
        found.into_iter().map(|finding| (finding.path, finding.rule)).collect::<BTreeSet<_>>()
    };
    let found = rules(against_declared(&set, &trace, &sizes, Some(&speed)));
    let wanted = [
        ("migrations[0]", "lock-not-declared"),
        ("migrations[0]", "longer-than-declared"),
        ("migrations[1]", "writes-not-declared"),
    ];
    assert_eq!(
        found,
        wanted.map(|(path, rule)| (path.to_owned(), rule.to_owned())).into_iter().collect()
    );
    let (weighed, findings) = weigh(&trace, &sizes, Some(&speed));
    assert!(weighed[0].seconds.unwrap() > 0.0);
    assert!(findings.iter().any(|finding| finding.rule == "rewrite-under-lock"));
    let mut linted = lint_phased(&set, Some(&sizes));
    let weight = |linted: &[serin_lint::Finding]| {
        let rule = linted.iter().find(|finding| finding.rule == "adding-not-nullable-field");
        rule.unwrap().severity
    };
    assert_eq!(weight(&linted), serin_lint::Severity::Block);
    clear(&mut linted, &trace);
    assert_eq!(weight(&linted), serin_lint::Severity::Info);
}

#[tokio::test]
async fn a_table_that_somebody_has_locked_holds_up_nobody() {
    let Some((_, url, client)) = database().await else { return };
    client.batch_execute("ANALYZE items").await.unwrap();
    let exact = Sizes::read(&client).await.unwrap().of("public.items");
    let other = connect(&url).await;
    other.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let known = Sizes::read(&client).await.unwrap().of("public.items");
    assert_eq!((known.rows, known.bytes), (100, 8192));
    assert!(exact.bytes >= known.bytes && known.index_bytes > 0, "{exact:?} {known:?}");
}
