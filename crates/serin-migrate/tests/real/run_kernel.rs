//! From start to the end, there and back.

use crate::run_kit::*;
use serde_json::json;
use serin_migrate::{Action, Error, Say, Stage, State, Step};

#[test]
fn both_shapes_then_only_the_new_one() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let status = start(&lab, &plan_of(&cents())).unwrap();
    assert_eq!((status.state, status.error.as_deref(), status.waiting), (State::Dual, None, None));
    lab.new_client(
        "UPDATE orders SET total = 950 WHERE id = 9; INSERT INTO orders VALUES (2000, 777)",
    );
    lab.sql("UPDATE orders SET total = 11 WHERE id = 10; INSERT INTO orders VALUES (2001, 8)");
    let both = "SELECT id, total FROM orders WHERE id IN (9, 10, 11, 2000, 2001) ORDER BY id";
    assert_eq!(lab.sql(both), "9|9\n10|11\n11|11\n2000|7\n2001|8");
    let new = lab.new_client(both);
    assert_eq!(new, "9|950\n10|1100\n11|1100\n2000|777\n2001|800");
    let status = block(lab.runner().contract(&sure())).unwrap();
    assert_eq!((status.state, status.hidden), (State::Done, 0));
    assert_eq!(lab.sql(both), new);
    assert_eq!(lab.new_client(both), new);
    let shape = lab.shape();
    assert!(!shape.contains("serin_"), "{shape}");
}

#[test]
fn the_way_back_leaves_nothing_and_the_next_start_gives_back_what_only_the_new_shape_held() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let before = lab.shape();
    let plan = plan_of(&cents());
    start(&lab, &plan).unwrap();
    lab.new_client(
        "UPDATE orders SET total = 950 WHERE id = 9; UPDATE orders SET total = 1055 WHERE id = 10",
    );
    let status = block(lab.runner().revert(&Say::default())).unwrap();
    assert_eq!(status.state, State::Reverted);
    assert_eq!(lab.shape(), before);
    assert_eq!(lab.sql("SELECT count(*) FROM serin.salvage_1_0"), "2");
    // The old version goes on with one of them.
    lab.sql("UPDATE orders SET total = 20 WHERE id = 10");
    assert_eq!(start(&lab, &plan).unwrap().state, State::Dual);
    let totals = "SELECT total FROM orders WHERE id IN (8, 9, 10) ORDER BY id";
    assert_eq!(lab.new_client(totals), "800\n950\n2000");
    assert_eq!(lab.sql(totals), "8\n9\n20");
}

#[test]
fn one_migration_at_a_time_and_each_once() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let plan = plan_of(&cents());
    start(&lab, &plan).unwrap();
    let mut other = plan.clone();
    other.migration.name = "03".into();
    let error = start(&lab, &other).unwrap_err();
    assert!(matches!(&error, Error::Open { name, .. } if name == "02"), "{error}");
    assert_eq!(start(&lab, &plan).unwrap().state, State::Dual);
    block(lab.runner().contract(&sure())).unwrap();
    assert!(matches!(start(&lab, &plan), Err(Error::Applied(_))));
    let past = block(lab.runner().history()).unwrap();
    assert_eq!((past.len(), past[0].state, past[0].who.as_str()), (1, State::Done, "tester"));
    let deeds = block(lab.runner().deeds(past[0].id)).unwrap();
    assert!(deeds.iter().any(|deed| deed.what == "backup"));
    assert!(deeds.iter().any(|deed| deed.detail == "trigger on orders"));
}

#[test]
fn a_contract_that_drops_data_asks_for_a_backup_and_can_be_overridden_by_name() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    start(&lab, &plan_of(&cents())).unwrap();
    let error = block(lab.runner().contract(&Say::default())).unwrap_err();
    assert!(error.to_string().contains("backup"), "{error}");
    lab.sql("DELETE FROM orders WHERE id > 500");
    let error = block(lab.runner().contract(&sure())).unwrap_err();
    assert!(error.to_string().contains("had 1000 rows and has 500"), "{error}");
    let say = Say { override_reason: Some("old orders were archived".into()), ..sure() };
    assert_eq!(block(lab.runner().contract(&say)).unwrap().state, State::Done);
    let deeds = block(lab.runner().deeds(1)).unwrap();
    assert!(deeds.iter().any(|deed| deed.detail == "old orders were archived"));
}

#[test]
fn what_is_hidden_goes_after_the_grace_time() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let hidden = cents();
    let hidden = Shape { serin: json!({"contract": {"grace": "1h"}}), ..hidden };
    start(&lab, &plan_of(&hidden)).unwrap();
    let status = block(lab.runner().contract(&sure())).unwrap();
    assert_eq!((status.state, status.hidden), (State::Done, 1));
    assert!(lab.shape().contains("_serin_gone_total"));
    assert_eq!(block(lab.runner().clean()).unwrap(), 0);
    lab.sql("UPDATE serin.migration SET ended_at = now() - interval '2 hours'");
    assert_eq!(block(lab.runner().clean()).unwrap(), 1);
    assert!(!lab.shape().contains("_serin_gone_total"));
    assert_eq!(block(lab.runner().clean()).unwrap(), 0);
}

#[test]
fn a_part_without_steps_ends_all_the_same() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let mut plan = plan_of(&cents());
    (plan.forward, plan.contract, plan.back) = (Vec::new(), Vec::new(), Vec::new());
    assert_eq!(start(&lab, &plan).unwrap().state, State::Dual);
    assert_eq!(block(lab.runner().revert(&Say::default())).unwrap().state, State::Reverted);
    assert_eq!(start(&lab, &plan).unwrap().state, State::Dual);
    assert_eq!(block(lab.runner().contract(&sure())).unwrap().state, State::Done);
    assert_eq!(block(lab.runner().clean()).unwrap(), 0);
}

#[test]
fn checks_must_answer_with_true() {
    let cases = [
        ("SELECT true", None),
        ("SELECT 1 = 1, 'more'", None),
        ("SELECT false", Some("`f`")),
        ("SELECT NULL::boolean", Some("NULL")),
        ("SELECT true WHERE false", Some("with no row")),
        ("SELECT true FROM generate_series(1, 2)", Some("with 2 rows")),
        ("DELETE FROM orders RETURNING true", Some("read-only")),
        ("SELECT nonsense", Some("nonsense")),
    ];
    let Some(lab) = Lab::new(ORDERS) else { return };
    for (sql, answer) in cases {
        let mut plan = plan_of(&cents());
        let check = Action::Check { sql: sql.into() };
        plan.forward.insert(0, Step { stage: Stage::Expand, title: "check".into(), action: check });
        match (start(&lab, &plan), answer) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{error}"),
            (done, _) => panic!("{sql}: {done:?}"),
        }
        block(lab.runner().revert(&Say::default())).unwrap();
    }
    assert_eq!(lab.sql("SELECT count(*) FROM orders"), "1000");
}

#[test]
fn rows_that_break_a_rule_are_told() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let mut plan = plan_of(&cents());
    let query = "SELECT 'id=' || id FROM public.orders WHERE total < 3 ORDER BY id".to_owned();
    let violations = Action::Violations { rule: "CHECK of orders.total".into(), query };
    let at = plan.forward.len() - 1;
    let step = Step { stage: Stage::Verify, title: "look".into(), action: violations };
    plan.forward.insert(at, step);
    let error = start(&lab, &plan).unwrap_err().to_string();
    assert!(error.contains("CHECK of orders.total") && error.contains("id=1 | id=2"), "{error}");
    let status = block(lab.runner().status()).unwrap().unwrap();
    assert_eq!((status.state, status.error), (State::Verifying, Some(error)));
    lab.sql("UPDATE orders SET total = total + 5 WHERE total < 3");
    assert_eq!(block(lab.runner().resume(&Say::default())).unwrap().state, State::Dual);
}

#[test]
fn servers_and_roles_that_will_not_do_are_refused() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let plan = plan_of(&cents());
    let refused = |user: &str, options: &str| {
        let url = lab.url().replace("postgres@", &format!("{user}@")) + options;
        let database = serin_migrate::Database::new(&url, ident("public")).unwrap();
        let runner = serin_migrate::Runner::new(
            database,
            std::sync::Arc::new(serin_migrate::Alone),
            "tester",
        );
        block(runner.patience(patience()).start(&plan)).unwrap_err().to_string()
    };
    let read_only = refused("postgres", "?options=-cdefault_transaction_read_only%3Don");
    assert!(read_only.contains("only reads"), "{read_only}");
    let role = serin_postgres::unique_name("role");
    lab.sql(&format!("CREATE ROLE {role} LOGIN"));
    assert!(refused(&role, "").contains("GRANT CREATE ON DATABASE"));
    lab.sql(&format!("GRANT CREATE ON DATABASE {} TO {role}", lab.database));
    let other = refused(&role, "");
    assert!(other.contains("belongs to role postgres"), "{other}");
    assert!(refused("nobody_at_all", "").contains("does not exist"));
}

#[test]
fn nothing_is_known_before_the_first_migration() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    assert!(block(lab.runner().status()).unwrap().is_none());
    assert!(block(lab.runner().history()).unwrap().is_empty());
    assert!(matches!(block(lab.runner().pause()), Err(Error::None(_))));
    assert!(matches!(block(lab.runner().resume(&Say::default())), Err(Error::None(_))));
    let gone = serin_migrate::Database::new("postgres://127.0.0.1:1/x", ident("public")).unwrap();
    assert!(!format!("{gone:?}").contains("password"));
    let error = serin_migrate::Database::new("mysql://x", ident("public")).unwrap_err();
    assert!(error.to_string().contains("postgres://"), "{error}");
}
