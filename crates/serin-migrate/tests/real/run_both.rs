//! Both versions write the same rows.

use crate::run_kit::*;
use serde_json::json;
use serin_migrate::{Say, State};

fn dual(setup: &str, shape: &Shape) -> Option<Lab> {
    let lab = Lab::new(setup)?;
    start(&lab, &plan_of(shape)).unwrap();
    Some(lab)
}

fn both(lab: &Lab, id: u32) -> (String, String) {
    let sql = format!("SELECT total FROM orders WHERE id = {id}");
    (lab.sql(&sql), lab.new_client(&sql))
}

fn pair(old: &str, new: &str) -> (String, String) {
    (old.into(), new.into())
}

#[test]
fn a_write_of_something_else_does_not_undo_what_the_other_version_wrote() {
    let Some(lab) = dual(ORDERS, &cents()) else { return };
    lab.new_client("UPDATE orders SET total = 950 WHERE id = 9");
    for unrelated in [
        "UPDATE orders SET note = 'seen' WHERE id = 9",
        "UPDATE orders SET note = 'seen', total = total WHERE id = 9",
        "INSERT INTO orders VALUES (9, 1, 'x') ON CONFLICT (id) DO UPDATE SET note = 'again'",
        "BEGIN; UPDATE orders SET total = 3 WHERE id = 9; ROLLBACK",
        "BEGIN; SAVEPOINT a; UPDATE orders SET total = 3 WHERE id = 9; ROLLBACK TO a; COMMIT",
    ] {
        lab.sql(unrelated);
        assert_eq!(both(&lab, 9), pair("9", "950"), "{unrelated}");
    }
    lab.sql("UPDATE orders SET total = 12 WHERE id = 9");
    lab.new_client("UPDATE orders SET note = 'new', total = total WHERE id = 9");
    assert_eq!(both(&lab, 9), pair("12", "1200"));
    lab.sql("COPY orders (id, total, note) FROM stdin;\n3000\t4\tcopied\n\\.\n");
    assert_eq!(both(&lab, 3000), pair("4", "400"));
    lab.new_client("UPDATE orders SET total = NULL WHERE id = 9");
    assert_eq!(both(&lab, 9), pair("", ""));
}

#[test]
fn the_version_is_found_as_postgres_resolves_the_path() {
    let Some(lab) = dual(ORDERS, &cents()) else { return };
    let cases = [
        ("SET search_path = public_02", "500", true),
        ("SET search_path = \"$user\", public_02", "501", true),
        ("SET search_path = public_02, public", "502", true),
        ("SET search_path = 'public_02', pg_catalog, public", "503", true),
        ("SET search_path = public", "504", false),
        ("SET search_path = \"$user\", public", "505", false),
        ("SET search_path = public, public_02", "506", false),
        ("SET search_path = nothing_there, public_02", "507", true),
    ];
    for (path, total, is_new) in cases {
        lab.sql(&format!("{path}; UPDATE orders SET total = {total} WHERE id = 7"));
        let hundredth = &total[..1];
        let expected =
            if is_new { pair(hundredth, total) } else { pair(total, &format!("{total}00")) };
        assert_eq!(both(&lab, 7), expected, "{path}");
    }
    // Who names the schema can say so.
    lab.sql("SET serin.version = public_02; UPDATE public_02.orders SET total = 990 WHERE id = 7");
    assert_eq!(both(&lab, 7), pair("9", "990"));
    lab.new_client(
        "SET serin.version = 'public_01'; UPDATE public.orders SET total = 6 WHERE id = 7",
    );
    assert_eq!(both(&lab, 7), pair("6", "600"));
}

#[test]
fn triggers_of_the_user_come_first() {
    let setup = format!(
        "{ORDERS} CREATE FUNCTION round_up() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN NEW.total := ceil(NEW.total / 10.0) * 10; RETURN NEW; END $$; \
         CREATE TRIGGER zz_round_up BEFORE INSERT OR UPDATE ON orders FOR EACH ROW \
         EXECUTE FUNCTION round_up();"
    );
    let Some(lab) = Lab::new(&setup) else { return };
    let mut plan = plan_of(&cents());
    plan.syncs[0].every_update = true;
    let sides = serin_migrate::trigger::Sides::of(&plan);
    let created = serin_migrate::trigger::create(&plan.syncs[0], sides);
    plan.forward[1].action = serin_migrate::Action::transaction(created, vec![ident("orders")]);
    start(&lab, &plan).unwrap();
    lab.sql("UPDATE orders SET total = 41 WHERE id = 9; INSERT INTO orders VALUES (5000, 1)");
    assert_eq!(both(&lab, 9), pair("50", "5000"));
    assert_eq!(both(&lab, 5000), pair("10", "1000"));
    // A write that names none of its columns changes one all the same.
    lab.sql(
        "ALTER TABLE orders DISABLE TRIGGER zz_round_up; \
             UPDATE orders SET total = 43 WHERE id = 9; \
             ALTER TABLE orders ENABLE TRIGGER zz_round_up; \
             UPDATE orders SET note = 'x' WHERE id = 9",
    );
    assert_eq!(both(&lab, 9), pair("50", "5000"));
}

#[test]
fn names_that_mean_something_else_are_only_names() {
    let setup = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text, \"new\" \
                 integer, \"old\" integer, orders integer, tg_op integer);
                 INSERT INTO orders SELECT n, n, '', n, n, n, n FROM generate_series(1, 50) n;";
    let Some(lab) = Lab::new(setup) else { return };
    let mut plan = plan_of(&cents());
    let sync = &mut plan.syncs[0];
    let input = |name: &str| serin_migrate::Input {
        logical: ident(name),
        physical: ident(name),
        data_type: "integer".into(),
    };
    sync.up[0].expression =
        "total + orders.\"new\" + \"old\" + orders.orders + tg_op -- all of them".into();
    sync.up[0].inputs.extend(["new", "old", "orders", "tg_op"].map(input));
    let created =
        serin_migrate::trigger::create(&plan.syncs[0], serin_migrate::trigger::Sides::of(&plan));
    plan.forward[1].action = serin_migrate::Action::transaction(created, vec![ident("orders")]);
    start(&lab, &plan).unwrap();
    lab.sql("UPDATE orders SET \"new\" = 100 WHERE id = 9; INSERT INTO orders VALUES (99, 1, '', 1, 1, 1, 1)");
    let totals = "SELECT total FROM orders WHERE id IN (8, 9, 99) ORDER BY id";
    assert_eq!(lab.new_client(totals), "40\n136\n5");
}

#[test]
fn what_the_old_shape_cannot_hold_is_refused_or_noted() {
    let reject = Shape { up: "total", down: "total", ..cents() };
    let Some(lab) = dual(ORDERS, &reject) else { return };
    let huge = "SET search_path = public_02; UPDATE orders SET total = 3000000000 WHERE id = 9";
    let error = lab.cluster.sql(&lab.database, huge).unwrap_err().to_string();
    assert!(error.contains("integer out of range"), "{error}");
    let serin = json!({"on_down_error": "quarantine", "backfill": {"duty": 1}});
    let quarantine = Shape { up: "total", down: "total", serin, ..cents() };
    let Some(lab) = dual(ORDERS, &quarantine) else { return };
    let role = serin_postgres::unique_name("app");
    lab.sql(&format!(
        "CREATE ROLE {role}; GRANT USAGE ON SCHEMA public, public_02 TO {role}; \
         GRANT ALL ON public.orders, public_02.orders TO {role}; SET ROLE {role}; {huge}"
    ));
    assert_eq!(both(&lab, 9), pair("9", "3000000000"));
    let status = block(lab.runner().status()).unwrap().unwrap();
    assert_eq!(status.irreversible, 1);
    let noted = lab.sql("SELECT key, target, inputs, said FROM serin.irreversible");
    assert_eq!(noted, "{\"id\": 9}|total|{\"total\": 3000000000}|integer out of range");
    assert_eq!(block(lab.runner().revert(&Say::default())).unwrap().state, State::Reverted);
    assert_eq!(lab.sql("SELECT n0 FROM serin.salvage_1_0"), "3000000000");
}

#[test]
fn drift_is_seen_and_what_the_versions_wrote_is_none() {
    let Some(lab) = dual(ORDERS, &cents()) else { return };
    lab.new_client("UPDATE orders SET total = total + 7 WHERE id % 3 = 0");
    lab.sql("UPDATE orders SET total = total + 1 WHERE id % 5 = 0");
    let drift = block(lab.runner().drift(10_000)).unwrap();
    assert_eq!((drift.looked_at, drift.apart), (1000, 0), "{drift:?}");
    lab.sql("SET serin.backfill = 'on'; UPDATE orders SET total = 1 WHERE id IN (500, 501)");
    let mut drift = block(lab.runner().drift(10_000)).unwrap();
    drift.rows.sort();
    assert_eq!(drift.apart, 2);
    assert_eq!(drift.rows, ["orders: id=500", "orders: id=501"]);
    assert!(drift.to_string().starts_with("2 of 1000 rows looked at do not say"), "{drift}");
}

#[test]
fn what_was_written_last_is_looked_at_first() {
    let rows = "INSERT INTO orders SELECT n, n, repeat('x', 100) FROM generate_series(2000, 40000) n; \
                ANALYZE orders;";
    let Some(lab) = dual(&format!("{ORDERS} {rows}"), &cents()) else { return };
    lab.sql(
        "SET serin.backfill = 'on'; INSERT INTO orders (id, total, note) VALUES (90000, 7, 'x')",
    );
    lab.sql("SET serin.backfill = 'on'; UPDATE orders SET _serin_done = true WHERE id = 90000");
    let drift = block(lab.runner().drift(10)).unwrap();
    assert_eq!(drift.rows, ["orders: id=90000"]);
    assert!(drift.looked_at < 10_000, "{drift:?}");
}

#[test]
fn a_trigger_that_does_not_fire_is_noticed() {
    let Some(lab) = dual(ORDERS, &cents()) else { return };
    let drift = || block(lab.runner().drift(1_000)).unwrap();
    assert!(drift().is_none());
    lab.sql("ALTER TABLE orders DISABLE TRIGGER USER");
    assert_eq!(drift().loose, ["orders"]);
    lab.sql("ALTER TABLE orders ENABLE TRIGGER USER");
    assert!(drift().is_none());
}

#[test]
fn a_row_moved_to_another_partition_keeps_what_the_new_version_wrote() {
    let setup = "CREATE TABLE orders (id integer, total integer, note text, PRIMARY KEY (id, note)) \
                 PARTITION BY LIST (note); CREATE TABLE a PARTITION OF orders FOR VALUES IN ('a'); \
                 CREATE TABLE b PARTITION OF orders FOR VALUES IN ('b'); \
                 INSERT INTO orders SELECT n, n, 'a' FROM generate_series(1, 100) n;";
    let key = serin_migrate::Key::Columns {
        columns: vec![(ident("id"), "integer".into()), (ident("note"), "text".into())],
    };
    let Some(lab) = Lab::new(setup) else { return };
    let mut plan = plan_of(&Shape { key, ..cents() });
    plan.forward.retain(|step| !step.title.contains("index"));
    start(&lab, &plan).unwrap();
    lab.new_client("UPDATE orders SET total = 950 WHERE id = 9");
    lab.sql("UPDATE orders SET note = 'b' WHERE id = 9");
    assert_eq!(both(&lab, 9), pair("9", "950"));
    lab.sql("INSERT INTO orders VALUES (7000, 3, 'b')");
    assert_eq!(both(&lab, 7000), pair("3", "300"));
}
