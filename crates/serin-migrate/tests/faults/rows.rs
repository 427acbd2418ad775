//! Rows that are large, wide, many, or in a table that is mostly holes.

use crate::kit::*;
use serde_json::json;
use serin_migrate::{Error, State};

/// Bodies of 100 KB that do not get smaller.
const LARGE: &str = "CREATE TABLE pages (id integer PRIMARY KEY, body text); \
    ALTER TABLE pages ALTER body SET STORAGE EXTERNAL; \
    INSERT INTO pages SELECT n, (SELECT string_agg(md5(n * 3200 + i || ''), '') \
      FROM generate_series(1, 3200) i) FROM generate_series(1, 150) n;";

#[test]
fn values_beside_the_row_are_taken_over_and_come_back() {
    let Some(lab) = Lab::new(LARGE) else { return };
    let document = json!({"version_schema": "new", "operations": [
        {"alter_column": {"table": "pages", "column": "body", "type": "bytea",
            "up": "convert_to(body, 'UTF8')", "down": "convert_from(body, 'UTF8')"}},
        {"add_column": {"table": "pages", "up": "md5(body)",
            "column": {"name": "digest", "type": "text", "nullable": true}}}],
        "serin": {"backfill": {"duty": 1}, "contract": {"grace": "0s"}}});
    let apart = "SELECT count(*) FROM public.pages o JOIN public_new.pages n USING (id) \
        WHERE convert_to(o.body, 'UTF8') <> n.body OR n.digest IS DISTINCT FROM md5(n.body)";
    lab.start("01", &document);
    assert_eq!(lab.sql(apart), "0");
    // An update of something else leaves the value where it is, on both sides.
    lab.sql("UPDATE pages SET id = 1000 WHERE id = 1");
    lab.sql("SET search_path = public_new; UPDATE pages SET id = 1001 WHERE id = 2");
    lab.sql("UPDATE public.pages SET body = repeat(body, 2) WHERE id = 3");
    lab.sql("SET search_path = public_new; UPDATE pages SET body = body || body, digest = 'mine' WHERE id = 4");
    assert_eq!(lab.sql(apart), "1", "what a new client wrote into the digest stays");
    let held = "SELECT sum(length(body)) FROM pages WHERE id IN (3, 4, 1000, 1001)";
    assert_eq!(lab.sql(held), (102_400 * 6).to_string());
    lab.revert();
    assert_eq!(lab.sql(held), (102_400 * 6).to_string());
    lab.start("01", &document);
    assert_eq!(lab.sql("SELECT id || digest FROM public_new.pages WHERE digest = 'mine'"), "4mine");
    lab.contract();
    assert_eq!(lab.sql(held), (102_400 * 6).to_string());
}

/// Keys without an order, a third of the pages empty, and some values that are NULL.
const MANY: &str = "CREATE TABLE events (id uuid PRIMARY KEY, total integer, note text) WITH (fillfactor = 70); \
    INSERT INTO events SELECT md5(n || '')::uuid, nullif(n % 1000, 7), 'n' FROM generate_series(1, 150000) n; \
    DELETE FROM events WHERE total % 3 = 0; VACUUM events; \
    UPDATE events SET note = 'm' WHERE total % 7 = 1;";

#[test]
fn many_rows_with_keys_that_have_no_order() {
    let Some(lab) = Lab::new("SELECT 1") else { return };
    for statement in MANY.split("; ") {
        lab.sql(statement);
    }
    let rows = lab.sql("SELECT count(*), sum(total) FROM events");
    let document = json!({"version_schema": "new", "operations": [
        {"alter_column": {"table": "events", "column": "total", "type": "numeric(12, 2)",
            "up": "total + 0.5", "down": "trunc(total)::integer"}}],
        "serin": {"backfill": {"duty": 1}, "contract": {"grace": "0s"}}});
    lab.start("01", &document);
    let apart = "SELECT count(*) FROM public.events o FULL JOIN public_new.events n USING (id) \
        WHERE o.total + 0.5 IS DISTINCT FROM n.total";
    assert_eq!(lab.sql(apart), "0");
    assert_eq!(lab.sql("SELECT count(*), sum(total) FROM public.events"), rows);
    let done = lab.sql(
        "SELECT rows_done = rows_total, rows_changed = rows_total, finished FROM serin.progress",
    );
    assert_eq!(done, "t|t|t");
    lab.sql("UPDATE events SET total = total + 1");
    lab.sql("SET search_path = public_new; UPDATE events SET total = total - 1");
    assert_eq!(lab.sql(apart), "0");
    lab.contract();
    assert_eq!(lab.sql("SELECT count(*), sum(trunc(total)) FROM events"), rows);
}

/// So many columns.
fn wide(columns: u32) -> String {
    let all: Vec<String> = (1..columns).map(|n| format!("c{n} integer DEFAULT {n}")).collect();
    format!(
        "CREATE TABLE wide (id integer PRIMARY KEY, {}); INSERT INTO wide (id) SELECT n FROM \
         generate_series(1, 50) n",
        all.join(", ")
    )
}

#[test]
fn a_table_of_very_many_columns_has_room_or_it_is_told_before() {
    let document = json!({"version_schema": "new", "operations": [
        {"alter_column": {"table": "wide", "column": "c9", "type": "bigint", "up": "c9 * 2",
            "down": "c9 / 2"}}], "serin": {"contract": {"grace": "0s"}}});
    // One for the new values, one for the flag.
    let Some(lab) = Lab::new(&wide(1_598)) else { return };
    lab.start("01", &document);
    assert_eq!(lab.sql("SELECT sum(c9), sum(c1597) FROM public_new.wide"), "900|79850");
    lab.contract();
    // Columns that went count, too.
    let mut again = document;
    again["version_schema"] = json!("newer");
    let error = lab.plan("02", &again).map(|plan| plan.new_view).unwrap_err();
    let said = error.to_string();
    assert!(
        matches!(error, Error::Flaws(_)) && said.contains("needs 2 more for a while"),
        "{said}"
    );
    assert_eq!(lab.status().map(|status| status.state), Some(State::Done));
}
