//! Both shapes are compared while both are in use: who writes past the views is noticed in the
//! middle of a rollout.

use crate::contains;
use crate::service::{HELD, ROLLING, Shop, total};

/// Writes as no client does: the trigger looks away.
const PAST: &str = "SET serin.backfill = 'on'; UPDATE users SET total = total + 1 WHERE id > 19990";

#[test]
fn a_rollout_is_held_when_both_shapes_do_not_say_the_same() {
    let Some(shop) = Shop::new() else { return };
    shop.lab.write("01_total.yaml", &total("  contract: {after: 0s}\n"));
    shop.begin("v2", HELD);
    shop.server.ok(&["wait", "shop", "--for", "step=3"]);
    shop.lab.sql(PAST);
    let told =
        shop.server.journal_until(0, "do not say the same in both shapes (users: id=").join("\n");
    contains(&told, &["migration 01_total", "rows looked at"]);
    let status = shop.server.ok(&["status", "shop"]).out;
    contains(&status, &["a person: migration 01_total", "do not say the same in both shapes"]);
    // A controller that takes over knows it.
    shop.kill_control();
    contains(&shop.server.ok(&["status", "shop"]).out, &["do not say the same in both shapes"]);
    let before = shop.line();
    shop.server.ok(&["abort", "shop"]);
    shop.server.journal_until(before, "migration 01_total is taken back");
}

#[test]
fn a_trigger_that_is_gone_is_told_after_the_promotion_too() {
    let Some(shop) = Shop::new() else { return };
    shop.lab.write("01_total.yaml", &total("  contract: {after: 24h}\n"));
    assert_eq!(shop.bring("v2", ROLLING).code, Some(0));
    let before = shop.line();
    shop.lab.sql("ALTER TABLE users DISABLE TRIGGER USER");
    let gone = "the trigger that keeps both shapes in step is gone or off in users";
    shop.server.journal_until(before, gone);
    contains(&shop.server.ok(&["status", "shop"]).out, &["01_total: both shapes are in use", gone]);
    contains(&shop.lab.migrate(&["status"]).out, &[gone]);
}

#[test]
fn a_migration_that_somebody_ended_past_the_server_is_noticed() {
    let Some(shop) = Shop::new() else { return };
    shop.lab.write("01_total.yaml", &total("  contract: {after: 24h}\n"));
    assert_eq!(shop.bring("v2", ROLLING).code, Some(0));
    let before = shop.line();
    let past = ["contract", "--backup", "none: a test", "--override", "I know better"];
    assert_eq!(shop.lab.migrate(&past).code, Some(0));
    shop.server.journal_until(before, "somebody ended the migration past this server");
    contains(&shop.server.ok(&["status", "shop"]).out, &["the database has only one of them"]);
    // What it advises does take note.
    let said = shop.server.run(&["migrate", "contract", "shop", "--override", "it is done"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    shop.server.journal_until(before, "only the new shape is left");
}

#[test]
fn one_that_was_taken_back_past_the_server_is_over_with_a_way_back() {
    let Some(shop) = Shop::new() else { return };
    shop.lab.write("01_total.yaml", &total("  contract: {after: 24h}\n"));
    assert_eq!(shop.bring("v2", ROLLING).code, Some(0));
    let before = shop.line();
    assert_eq!(shop.lab.migrate(&["rollback", "--override", "I know better"]).code, Some(0));
    shop.server.journal_until(before, "somebody ended the migration past this server");
    shop.server.ok(&["rollback", "shop"]);
    shop.server.journal_until(before, "migration 01_total is taken back");
    let status = shop.server.json(&["status", "shop"]);
    assert!(status["stable"].as_str().unwrap().starts_with("v1@"), "{status}");
}
