//! What comes late: rows that break a new rule after it was looked for them, a way back while the
//! new version still writes, a clock that goes backwards.

use crate::clients::{ORDERS, cents};
use crate::kit::*;
use serde_json::json;
use serin_migrate::{Alone, Error, Patience, Say, State};
use std::sync::Arc;
use std::sync::mpsc::channel;

#[test]
fn a_row_that_breaks_the_rule_after_the_look_is_told_before_the_contract() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let document = json!({"operations": [{"alter_column": {"table": "orders", "column": "note",
        "nullable": false, "check": {"name": "noted", "constraint": "length(note) > 1"},
        "up": "note", "down": "note"}}], "serin": {"backfill": {"duty": 1}}});
    let plan = lab.planned("01", &document);
    let bind = plan.forward.iter().position(|step| step.title.starts_with("new rules of"));
    let point = format!("forward/{}/before", bind.unwrap());
    let there = lab.clone();
    let world = Points(move |at: &str| {
        if at == point {
            there.sql("INSERT INTO orders VALUES (7001, 1, NULL), (7002, 1, 'n')");
        }
    });
    assert_eq!(block(lab.runner_in(Arc::new(world)).start(&plan)).unwrap().state, State::Dual);
    // From then on nobody writes another one.
    for bad in ["(7003, 1, NULL)", "(7004, 1, 'n')"] {
        let said = lab.error(&format!("INSERT INTO public_01.orders VALUES {bad}"));
        assert!(said.contains("violates check constraint"), "{said}");
    }
    let told = |said: &Error| matches!(said, Error::Rows { rows, .. } if rows.len() == 1);
    let error = block(lab.runner().contract(&sure())).unwrap_err();
    assert!(told(&error) && error.to_string().contains("7001"), "{error}");
    lab.sql("UPDATE orders SET note = 'late' WHERE id = 7001");
    let error = block(lab.runner().contract(&sure())).unwrap_err();
    assert!(told(&error) && error.to_string().contains("7002"), "{error}");
    // Both shapes are whole, and the way back is open.
    assert_eq!(lab.sql("SELECT count(*) FROM public_01.orders"), "3002");
    lab.sql("UPDATE orders SET note = 'late' WHERE id = 7002");
    lab.contract();
    let said = lab.error("INSERT INTO orders VALUES (7005, 1, NULL)");
    assert!(said.contains("violates not-null constraint"), "{said}");
}

#[test]
fn the_first_rows_of_many_with_one_value_are_told() {
    let tables = "CREATE TABLE \"Who\" (a int, b text, mail text, PRIMARY KEY (a, b)); \
        CREATE TABLE keyless (x int); INSERT INTO keyless VALUES (7), (8), (7); \
        INSERT INTO \"Who\" SELECT g, 'k', CASE WHEN g > 4 THEN 'same' ELSE 'm' || g END \
        FROM generate_series(1, 9) g";
    let cases = [
        ("Who", "mail", "Who: a=5 b=k, a=6 b=k, a=7 b=k and 2 more: mail=same"),
        ("keyless", "x", "keyless: place=(0,1), place=(0,3): x=7"),
    ];
    for (table, column, wanted) in cases {
        let Some(lab) = Lab::new(tables) else { return };
        let document = json!({"operations": [{"create_constraint": {"table": table,
            "name": "one", "type": "unique", "columns": [column], "up": {}, "down": {}}}]});
        let error = block(lab.runner().start(&lab.planned("01", &document))).unwrap_err();
        let Error::Rows { rows, .. } = &error else { panic!("{error}") };
        assert_eq!(rows, &[wanted]);
    }
}

#[test]
fn values_that_come_twice_are_told_and_leave_no_index() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    lab.sql("UPDATE orders SET note = 'twice' WHERE id IN (5, 2005)");
    let document = json!({"operations": [{"alter_column": {"table": "orders", "column": "note",
        "unique": {"name": "one_note"}, "up": "note", "down": "note"}}],
        "serin": {"backfill": {"duty": 1}}});
    let plan = lab.planned("01", &document);
    let error = block(lab.runner().start(&plan)).unwrap_err();
    let Error::Rows { rows, .. } = &error else { panic!("{error}") };
    assert_eq!(rows, &["orders: id=5, id=2005: note=twice"]);
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(lab.sql(invalid), "0");
    assert_eq!(lab.sql("SELECT count(*) FROM orders WHERE note = 'twice'"), "2");
    lab.sql("UPDATE orders SET note = 'once' WHERE id = 2005");
    assert_eq!(block(lab.runner().resume(&Say::default())).unwrap().state, State::Dual);
    let said = lab.error("UPDATE orders SET note = 'twice' WHERE id = 6");
    assert!(said.contains("duplicate key"), "{said}");
    lab.revert();
    lab.sql("UPDATE orders SET note = 'twice' WHERE id = 6");
    assert_eq!(lab.sql(&invalid.replace("NOT ", "")), lab.sql("SELECT count(*) FROM pg_index"));
}

/// Writes cents until the views are gone; the rows that were written, with their cents. Every other
/// one has cents that whole coins cannot hold.
async fn newer(lab: Lab, ready: std::sync::mpsc::Sender<()>, first: i32) -> Vec<(i32, i64)> {
    let client = client(&lab, "public_cents").await;
    let mut written = Vec::new();
    for id in first.. {
        let cents = i64::from(id) * 100 + i64::from(id % 2) * 50;
        let sql = format!("UPDATE orders SET total = {cents} WHERE id = {id}");
        match client.batch_execute(&sql).await {
            Ok(()) => written.push((id, cents)),
            Err(error) => {
                let code = error.code().map_or("", |code| code.code());
                assert!(["42P01", "3F000"].contains(&code), "{error:?}");
                return written;
            }
        }
        if written.len() == 20 {
            ready.send(()).unwrap();
        }
    }
    written
}

#[test]
fn a_way_back_while_the_new_version_writes_loses_nothing_the_old_one_can_hold() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    lab.sql(
        "UPDATE orders SET total = 0; \
             INSERT INTO orders SELECT n, 0 FROM generate_series(3001, 60000) n",
    );
    lab.start("01", &cents());
    let written = block(async {
        let (ready, begun) = channel();
        let writers =
            [1, 20_000].map(|first| tokio::spawn(newer(lab.clone(), ready.clone(), first)));
        tokio::task::spawn_blocking(move || (begun.recv().unwrap(), begun.recv().unwrap()))
            .await
            .unwrap();
        let status = lab.runner().revert(&Say::default()).await.unwrap();
        assert_eq!(status.state, State::Reverted);
        let mut written = Vec::new();
        for writer in writers {
            written.extend(writer.await.unwrap());
        }
        written
    });
    let list = |rows: &[(i32, i64)]| {
        let rows: Vec<String> = rows.iter().map(|(id, cents)| format!("({id}, {cents})")).collect();
        rows.join(", ")
    };
    let all = list(&written);
    let apart = format!(
        "SELECT count(*) FROM orders o LEFT JOIN (VALUES {all}) AS w(id, cents) USING (id) \
         WHERE o.total <> coalesce(w.cents / 100, 0)"
    );
    assert_eq!(lab.sql(&apart), "0", "what old clients see");
    // Aside is exactly what they cannot see.
    let only_new: Vec<_> = written.iter().copied().filter(|(_, cents)| cents % 100 != 0).collect();
    let aside = format!(
        "SELECT count(*) FROM serin.salvage_1_0 a FULL JOIN (VALUES {}) AS w(id, cents) \
         ON w.id = a.k0 AND w.cents = a.n0 WHERE a.k0 IS NULL OR w.id IS NULL",
        list(&only_new)
    );
    assert_eq!(lab.sql(&aside), "0");
    lab.start("01", &cents());
    let back = format!(
        "SELECT count(*) FROM public_cents.orders o JOIN (VALUES {all}) AS w(id, cents) USING (id) \
         WHERE o.total <> w.cents"
    );
    assert_eq!(lab.sql(&back), "0");
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_a_dead_runner_alive() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let plan = lab.planned("01", &cents());
    let (stands, has_come) = channel();
    let (let_go, release) = channel::<()>();
    let release = std::sync::Mutex::new(release);
    let world = Points(move |at: &str| {
        if at == "forward/1/begun" {
            stands.send(()).unwrap();
            release.lock().unwrap().recv().unwrap();
        }
    });
    let first = lab.runner_in(Arc::new(world));
    // On one thread, so that it stands still with all that it does.
    let first = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(first.start(&plan))
    });
    has_come.recv().unwrap();
    lab.sql("UPDATE serin.pulse SET seen_at = clock_timestamp() + interval '1 hour'");
    let hasty = Patience { lease_ms: 300, ..patience() };
    let second = runner_at(&lab.url(), Arc::new(Alone)).patience(hasty);
    let status = loop {
        match block(second.resume(&Say::default())) {
            Err(Error::Held { .. }) => {}
            other => break other.unwrap(),
        }
    };
    assert_eq!(status.state, State::Dual);
    let_go.send(()).unwrap();
    assert!(matches!(first.join().unwrap(), Err(Error::Fenced { .. })));
}
