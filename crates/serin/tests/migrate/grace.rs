//! What a contract only hid, and when it goes.

use crate::{Lab, TOTAL, USERS, contains, document};
use std::process::{Child, Command, Stdio};

const OTHERS: &str = "CREATE TABLE others (id bigint PRIMARY KEY);";

/// A column more for a table.
fn note(table: &str) -> String {
    format!(
        "operations:\n  - add_column: {{table: {table}, column: {{name: note, type: text, nullable: \
         true}}}}\n"
    )
}

/// A database in which `01_total` has hidden a column for an hour.
fn hidden() -> Option<Lab> {
    let lab = Lab::new(&format!("{USERS} {OTHERS}"))?;
    lab.write("01_total.yaml", &format!("{TOTAL}  contract: {{ grace: 1h }}\n"));
    assert_eq!(lab.on(&["start", "--no-trace"], &lab.path()).code, Some(0));
    assert_eq!(lab.migrate(&["contract", "--backup", "a test"]).code, Some(0));
    Some(lab)
}

impl Lab {
    /// Two hours go by.
    fn later(&self) {
        self.sql("UPDATE serin.migration SET ended_at = ended_at - interval '2 hours'");
    }

    /// The name of the hidden column; empty when it is gone.
    fn hidden(&self) -> String {
        self.sql(
            "SELECT coalesce(max(attname::text), '') FROM pg_attribute WHERE attname LIKE \
             '\\_serin\\_gone\\_total%' AND NOT attisdropped",
        )
    }

    fn begin(&self, name: &str, text: &str) -> crate::Said {
        self.write(&format!("{name}.yaml"), text);
        self.on(&["start", "--no-trace"], &self.path())
    }

    /// Somebody who reads `users` in a transaction that stays open.
    fn reader(&self) -> Child {
        let mut psql = Command::new(self.cluster.client("psql"));
        let sql = "BEGIN; LOCK TABLE users IN ACCESS SHARE MODE; SELECT pg_sleep(3600)";
        psql.args(["-X", "-q", "-d", &self.cluster.url(&self.database), "-c", sql]);
        let child = psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let reads = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
                     AND datname = current_database()";
        while self.sql(reads) != "t" {}
        child
    }
}

#[test]
fn the_next_migration_drops_what_is_past_its_time() {
    let Some(lab) = hidden() else { return };
    contains(
        &lab.migrate(&["history"]).out,
        &["hidden by 01_total (drop column \"total\" of \"users\")"],
    );
    contains(&lab.migrate(&["history"]).out, &["it can be brought back for"]);
    assert!(!lab.migrate(&["status"]).out.contains("hidden by"));
    assert_eq!(lab.begin("02_note", &note("users")).code, Some(0));
    assert!(!lab.hidden().is_empty(), "its time is not over");
    assert_eq!(lab.migrate(&["rollback"]).code, Some(0));
    lab.later();
    for verb in ["status", "history"] {
        contains(&lab.migrate(&[verb]).out, &["its grace time is over", "`serin migrate clean`"]);
        let told = document(&lab.migrate(&[verb, "--json"]));
        assert_eq!(
            (&told["hidden"][0]["name"], &told["hidden"][0]["leftMs"]),
            (&"01_total".into(), &0.into())
        );
    }
    let said = lab.begin("02_note", &note("users"));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.out.contains("could not be dropped"), "{said:?}");
    assert_eq!(lab.hidden(), "");
    assert!(!lab.migrate(&["status"]).out.contains("hidden by"));
    assert_eq!(lab.migrate(&["contract", "--backup", "a test"]).code, Some(0));
    assert_eq!(lab.sql("SELECT sum(total) FROM users"), "125250");
}

#[test]
fn what_cannot_be_dropped_now_stops_nothing() {
    let Some(lab) = hidden() else { return };
    lab.later();
    let mut reader = lab.reader();
    let said = lab.begin("02_note", &note("others"));
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(
        &said.out,
        &["dual", "what 01_total hid is past its grace time", "could not be dropped"],
    );
    assert!(!lab.hidden().is_empty());
    lab.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
             AND datname = current_database()",
    );
    reader.wait().unwrap();
    // Not beside an open migration.
    let said = lab.migrate(&["clean"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["`02_note` is open", "one at a time"]);
    assert!(!lab.hidden().is_empty());
    assert_eq!(lab.migrate(&["rollback"]).code, Some(0));
    contains(&lab.migrate(&["clean"]).out, &["dropped what 1 migration hid"]);
    assert_eq!(lab.hidden(), "");
}

#[test]
fn what_the_next_migration_names_stays() {
    let Some(lab) = hidden() else { return };
    lab.later();
    let column = lab.hidden();
    let sql = format!(
        "operations:\n  - sql:\n      up: COMMENT ON COLUMN users.{column} IS 'kept'\n      down: \
         COMMENT ON COLUMN users.{column} IS NULL\n"
    );
    let said = lab.begin("02_kept", &sql);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(lab.hidden(), column);
    assert_eq!(lab.migrate(&["rollback"]).code, Some(0));
    std::fs::remove_file(lab.path().join("02_kept.yaml")).unwrap();
    assert_eq!(lab.begin("02_note", &note("others")).code, Some(0));
    assert_eq!(lab.hidden(), "");
}
