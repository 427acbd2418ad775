//! Ways back that something is in the way of.

use crate::support::{said, serin};
use crate::{Lab, TOTAL, USERS, contains};
use std::process::{Child, Command, Stdio};

/// A reader that keeps its transaction open, ended with its child.
fn reader(lab: &Lab) -> Child {
    let mut psql = Command::new(lab.cluster.client("psql"));
    let sql = "BEGIN; SELECT count(*) FROM users; SELECT pg_sleep(3600)";
    psql.args(["-X", "-q", "-d", &lab.cluster.url(&lab.database), "-c", sql]);
    psql.env("PGAPPNAME", "shop/v1/7");
    let child = psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until(
        lab,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = \
                current_database()",
    );
    child
}

fn end(lab: &Lab, mut reader: Child) {
    lab.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
             AND datname = current_database()",
    );
    reader.wait().unwrap();
}

fn until(lab: &Lab, question: &str) {
    while lab.sql(question) != "t" {}
}

#[test]
fn a_contract_in_another_terminal_is_ended_by_a_way_back() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("01_total.yaml", TOTAL);
    assert_eq!(lab.on(&["start", "--no-trace"], &lab.path()).code, Some(0));
    let reader = reader(&lab);
    let mut contract = serin(&["migrate", "contract", "--backup", "none: a test"]);
    contract.env("SERIN_DATABASE_URL", lab.cluster.url(&lab.database));
    let contract = std::thread::spawn(move || said(contract));
    until(&lab, "SELECT state = 'contracting' AND waiting LIKE '%before%' FROM serin.migration");
    // Held up by the reader it has dropped nothing; the way back waits for the same reader.
    let mut back = serin(&["migrate", "rollback"]);
    back.env("SERIN_DATABASE_URL", lab.cluster.url(&lab.database));
    let back = std::thread::spawn(move || said(back));
    until(&lab, "SELECT state = 'reverting' FROM serin.migration");
    end(&lab, reader);
    let (contract, back) = (contract.join().unwrap(), back.join().unwrap());
    assert_eq!(back.code, Some(0), "{back:?}");
    contains(&back.out, &["01_total  reverted"]);
    assert_ne!(contract.code, Some(0), "{contract:?}");
    contains(&contract.err, &["another runner took over", "ask for the status"]);
    assert_eq!(lab.sql("SELECT sum(total), pg_typeof(min(total)) FROM users"), "125250|integer");
    assert_eq!(lab.sql("SELECT count(*) FROM serin.deed WHERE what = 'halt'"), "1");
    // Once it is done, there is nothing to go back to, and it says so.
    assert_eq!(lab.on(&["start", "--no-trace"], &lab.path()).code, Some(0));
    assert_eq!(lab.migrate(&["contract", "--backup", "none: a test"]).code, Some(0));
    let said = lab.migrate(&["rollback"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["it is done: the old shape is gone", "_serin_gone_"]);
}

#[test]
fn applications_that_are_named_have_to_be_gone() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("01_total.yaml", TOTAL);
    assert_eq!(lab.on(&["start", "--no-trace"], &lab.path()).code, Some(0));
    let reader = reader(&lab);
    let contract =
        ["contract", "--backup", "none: a test", "--app", "shop/v0/", "--app", "shop/v1/"];
    let said = lab.migrate(&contract);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["clients of the old version are connected (shop/v1/7): end them first"]);
    let said = lab.migrate(&["rollback", "--app", "shop/v1/"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["clients of the new version are connected (shop/v1/7): end them first"]);
    end(&lab, reader);
    let said = lab.migrate(&contract);
    assert_eq!(said.code, Some(0), "{said:?}");
}

const ADD: &str = "\
-- serin:set full-name
-- serin:migration version=001 name=add phase=expand
-- serin:up
ALTER TABLE users ADD COLUMN full_name text;
-- serin:down
ALTER TABLE users DROP COLUMN IF EXISTS full_name;
";

#[test]
fn sql_that_fails_on_the_way_back_is_passed_over_for_a_reason() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("names.sql", ADD);
    let said = lab.on(&["start", "--no-trace"], &lab.path().join("names.sql"));
    assert_eq!(said.code, Some(0), "{said:?}");
    lab.sql("CREATE VIEW named AS SELECT full_name FROM users");
    let said = lab.migrate(&["rollback"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    contains(
        &said.err,
        &["other objects depend on it", "correct what is in its way", "--override REASON"],
    );
    assert_eq!(lab.sql("SELECT state FROM serin.migration"), "reverting");
    let said = lab.migrate(&["rollback", "--override", "the report keeps the column"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.out, &["full-name  reverted"]);
    let deed = lab.sql("SELECT detail FROM serin.deed WHERE what = 'passed over'");
    contains(&deed, &["take back 001 add", "depend on it"]);
    assert_eq!(lab.sql("SELECT count(full_name) FROM users"), "0");
}
