//! The schema of a service moves with its rollouts: gates of the contract, ways back, and a control
//! plane that is killed in each phase. A real Postgres, `serin serve`, the demo's app.

use crate::support::{SERIN, Said, Server, free_address, kill};
use crate::{Lab, contains};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A service and its database.
pub struct Shop {
    pub lab: Lab,
    pub server: Server,
    listen: SocketAddr,
}

/// A client of the database that stays, ended when dropped.
pub struct Client<'a> {
    shop: &'a Shop,
    name: String,
    child: Child,
}

const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY, total integer);
    INSERT INTO users SELECT n, n FROM generate_series(1, 20000) n; ANALYZE users;";

/// An integer that becomes a bigint, with settings.
pub fn total(settings: &str) -> String {
    format!(
        "operations:\n  - alter_column: {{table: users, column: total, type: bigint, up: total, down: \
         total}}\nserin:\n{settings}"
    )
}

/// What a server's environment may hold besides: it changes nothing of where a service's address
/// leads, nor how.
const STRAY: [(&str, &str); 5] = [
    ("PGHOSTADDR", "127.0.0.9"),
    ("PGPORT", "1"),
    ("PGUSER", "nobody"),
    ("PGPASSWORD", "none"),
    ("PGSSLMODE", "verify-full"),
];

const NOTE: &str = "operations:\n  - add_column: {table: users, column: {name: note, type: text, \
                    nullable: true}}\nserin:\n  contract: {after: 0s}\n";

/// Steps with a pause at half of the traffic.
pub const HELD: &str = "canary: { steps: [{ setWeight: 50 }, { pause: {} }, { setWeight: 100 }], \
                    analysis: { metrics: [errors] }, warmUp: 0s, keepWarm: 0s }";
/// Batches.
pub const ROLLING: &str = "rolling: { batch: 50%, verify: 0s, warmUp: 0s }";
/// Two colours, the old one kept.
const COLOURS: &str = "blueGreen: { warmUp: 0s, keepWarm: 0s, keepOld: 1h }";

impl Shop {
    /// Version 1 on the tables; `None` without Postgres.
    pub fn new() -> Option<Self> {
        let lab = Lab::new(USERS)?;
        let (server, listen) = (Server::start_in(&STRAY), free_address());
        server.file("url", &lab.cluster.url(&lab.database));
        let shop = Self { lab, server, listen };
        let v1 = shop.file("v1", false, ROLLING);
        shop.server.ok(&["apply", "-f", &v1]);
        Some(shop)
    }

    fn file(&self, version: &str, migrates: bool, strategy: &str) -> String {
        let folder = self.lab.path();
        let migrate = format!("  migrate: {}\n", folder.display());
        let text = format!(
            "apiVersion: serin.dev/v1alpha1\nkind: Service\nmetadata: {{ name: shop }}\nspec:\n  \
             replicas: 2\n  revision: {version}\n  run:\n    command: [\"{SERIN}\", __demo-app]\n    \
             env: {{ PORT: \"$(PORT)\", VERSION: \"$(REVISION)\" }}\n    readiness: {{ httpGet: {{ \
             path: /ready }}, periodSeconds: 1 }}\n    terminationGracePeriodSeconds: 3\n  \
             database: {{ url: {{ fromFile: {} }} }}\n{}  traffic: {{ listen: \"{}\" }}\n  strategy: {{ \
             {strategy} }}\n",
            self.server.dir().join("url").display(),
            if migrates { migrate.as_str() } else { "" },
            self.listen,
        );
        self.server.file(&format!("{version}.yaml"), &text)
    }

    /// Brings a version with the migrations that are written so far.
    pub fn bring(&self, version: &str, strategy: &str) -> Said {
        self.server.run(&["apply", "-f", &self.file(version, true, strategy)])
    }

    pub fn begin(&self, version: &str, strategy: &str) {
        let file = self.file(version, true, strategy);
        self.server.ok(&["apply", "-f", &file, "--detach"]);
    }

    fn contract(&self, words: &[&str]) -> Said {
        self.server.run(&[&["migrate", "contract", "shop"], words].concat())
    }

    /// A client of this name that does `sql` in a transaction and keeps it open.
    fn client(&self, name: &str, sql: &str) -> Client<'_> {
        let mut psql = Command::new(self.lab.cluster.client("psql"));
        let sql = format!("BEGIN; {sql}; SELECT pg_sleep(3600)");
        psql.args(["-X", "-q", "-d", &self.lab.cluster.url(&self.lab.database), "-c", &sql]);
        psql.env("PGAPPNAME", name).stdout(Stdio::null()).stderr(Stdio::null());
        let child = psql.spawn().unwrap();
        let client = Client { shop: self, name: name.to_owned(), child };
        self.until(&format!(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = '{name}' \
             AND datname = current_database() AND wait_event = 'PgSleep'"
        ));
        client
    }

    /// Somebody who holds up everything that changes the table.
    fn reader(&self) -> Client<'_> {
        self.client("a-reader", "LOCK TABLE users IN ACCESS SHARE MODE")
    }

    /// Asks the database until it says yes; what is not there yet is a no.
    fn until(&self, question: &str) {
        let ask = || self.lab.cluster.sql(&self.lab.database, question);
        while !ask().is_ok_and(|answer| answer.trim() == "t") {}
    }

    fn until_state(&self, name: &str, state: &str) {
        self.until(&format!(
            "SELECT count(*) > 0 FROM serin.migration WHERE name = '{name}' AND state = '{state}'"
        ));
    }

    /// Kills the control plane; returns when the next one answers.
    pub fn kill_control(&self) {
        let before = self.server.control_pid();
        kill(before, Signal::KILL);
        while self.server.child_pid("__control").is_none_or(|pid| pid == before) {}
        self.server.ok(&["status", "shop"]);
    }

    pub fn line(&self) -> u64 {
        let story = self.server.get("/api/v1/services/shop/explain");
        let entries = story["entries"].as_array().unwrap().clone();
        entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).max().unwrap_or(0)
    }

    /// How the connections of a version's instances begin.
    fn application(&self, version: &str) -> String {
        let history = self.server.text("/api/v1/services/shop");
        let at = history.find(&format!("{version}@")).unwrap() + version.len() + 1;
        format!("shop/{version}/{}-1", &history[at..at + 4])
    }
}

impl Client<'_> {
    /// Ends it.
    fn end(self) {
        drop(self);
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.shop.lab.sql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}' \
             AND datname = current_database()",
            self.name
        ));
        let _ = self.child.wait();
    }
}

#[test]
fn a_contract_is_refused_while_anything_old_is_there() {
    let Some(shop) = Shop::new() else { return };
    shop.lab.write("01_total.yaml", &total("  contract: {after: 0s}\n"));
    let said = shop.bring("v2", COLOURS);
    assert_eq!(said.code, Some(0), "{said:?}");
    // An old instance is kept.
    let said = shop.contract(&["--override", "we are in a hurry"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["2 instances of v1 use the old shape"]);
    shop.server.ok(&["gc", "--now"]);
    // An old name is connected, and data would go.
    shop.server.ok(&["wait", "shop"]);
    let old = shop.client(&shop.application("v1"), "SELECT 1");
    let mut said = shop.contract(&[]);
    while said.err.contains("use the old shape") {
        said = shop.contract(&[]);
    }
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["clients of the old version are connected", "name the backup there is"]);
    old.end();
    // Nothing but the backup is missing.
    let said = shop.contract(&[]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["it drops data for good: name the backup there is"]);
    assert!(!said.err.contains("connected"), "{said:?}");
    // Old clients wrote.
    shop.lab.sql("UPDATE users SET total = total + 1 WHERE id = 7");
    let said = shop.contract(&["--backup", "nightly of 3 May"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["that old clients write was noticed", "quiet for 60 s"]);
    assert_eq!(shop.lab.sql("SELECT state FROM serin.migration"), "dual");
    // Somebody answers for it.
    let said = shop.contract(&["--backup", "nightly of 3 May", "--override", "that was me"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(shop.lab.sql("SELECT pg_typeof(total), total FROM users WHERE id = 7"), "bigint|8");
    let deeds = "SELECT string_agg(what || ': ' || detail || ', ' || who, '; ' ORDER BY what) FROM \
                 serin.deed WHERE what IN ('override', 'backup')";
    assert_eq!(
        shop.lab.sql(deeds),
        "backup: nightly of 3 May, tester; override: that was me, tester"
    );
    let said = shop.server.run(&["rollback", "shop", "--to", "v1"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["is gone since the contract of 01_total", "deploy a version"]);
    // The next rollout that brings a migration ends what this one only hid.
    let hidden = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass \
                  AND attname LIKE '\\_serin\\_gone%'";
    assert_eq!(shop.lab.sql(hidden), "1");
    shop.lab.sql("UPDATE serin.migration SET ended_at = ended_at - interval '8 days'");
    shop.lab.write("02_note.yaml", NOTE);
    assert_eq!(shop.bring("v3", ROLLING).code, Some(0));
    assert_eq!(shop.lab.sql(hidden), "0");
}

#[test]
fn the_window_and_the_next_migration_wait() {
    let Some(shop) = Shop::new() else { return };
    shop.lab.write("01_note.yaml", &NOTE.replace("0s", "24h"));
    assert_eq!(shop.bring("v2", ROLLING).code, Some(0));
    let said = shop.contract(&[]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["the way back stays open for 23 h", "--override REASON"]);
    shop.lab.write("02_more.yaml", &NOTE.replace("name: note", "name: more"));
    shop.begin("v3", ROLLING);
    let before = shop.line();
    let waits = shop.server.ok(&["status", "shop"]).out;
    contains(&waits, &["one at a time", "01_note of v2 has both shapes in use"]);
    assert_eq!(shop.lab.sql("SELECT count(*) FROM serin.migration"), "1");
    let said = shop.contract(&["--override", "nothing is dropped"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let told = shop.server.journal_until(0, "the old shape is to go").join("\n");
    contains(&told, &["by tester", "although the way back would stay open", "nothing is dropped"]);
    shop.server.journal_until(before, "migration 02_more: both shapes are in use");
    shop.server.ok(&["wait", "shop"]);
    let said = shop.contract(&[]);
    assert_eq!(said.code, Some(0), "nothing is dropped and no time is asked for: {said:?}");
}

#[test]
fn a_control_plane_that_is_killed_in_each_phase_loses_nothing() {
    let Some(shop) = Shop::new() else { return };
    let slow = "  backfill: {duty: 0.01, batch_ms: 1}\n  checks: {post: [\"SELECT pg_sleep(2)::text \
                = ''\"]}\n  contract: {after: 0s}\n";
    shop.lab.write("01_total.yaml", &total(slow));
    let reader = shop.reader();
    shop.begin("v2", HELD);
    shop.until_state("01_total", "expanding");
    shop.kill_control();
    reader.end();
    shop.until_state("01_total", "backfilling");
    shop.kill_control();
    assert_eq!(shop.lab.migrate(&["rate", "100%"]).code, Some(0));
    shop.until_state("01_total", "verifying");
    shop.kill_control();
    shop.server.ok(&["wait", "shop", "--for", "step=3"]);
    shop.kill_control();
    assert_eq!(shop.lab.sql("SELECT state FROM serin.migration"), "dual");
    shop.server.ok(&["promote", "shop"]);
    shop.server.ok(&["wait", "shop"]);
    let reader = shop.reader();
    let before = shop.line();
    let said = shop.contract(&["--backup", "none: a test", "--timeout", "1s"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    shop.until_state("01_total", "contracting");
    shop.kill_control();
    reader.end();
    shop.server.journal_until(before, "only the new shape is left");
    assert_eq!(
        shop.lab.sql("SELECT sum(total), pg_typeof(max(total)) FROM users"),
        "200010000|bigint"
    );
    // And on the way back of the next one.
    shop.lab.write("02_note.yaml", NOTE);
    shop.begin("v3", HELD);
    shop.server.ok(&["wait", "shop", "--for", "step=3"]);
    let reader = shop.reader();
    shop.server.run(&["abort", "shop"]);
    shop.until_state("02_note", "reverting");
    let before = shop.line();
    shop.kill_control();
    reader.end();
    shop.server.journal_until(before, "migration 02_note is taken back");
    let left = "SELECT count(*) FROM pg_attribute WHERE attname LIKE '%note%' AND attnum > 0";
    assert_eq!(shop.lab.sql(left), "0");
}

#[test]
fn a_contract_under_way_is_stopped_for_a_way_back() {
    let Some(shop) = Shop::new() else { return };
    shop.lab.write("01_total.yaml", &total("  contract: {after: 0s}\n"));
    assert_eq!(shop.bring("v2", ROLLING).code, Some(0));
    let reader = shop.reader();
    let said = shop.contract(&["--backup", "none: a test", "--timeout", "1s"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    shop.until_state("01_total", "contracting");
    let before = shop.line();
    shop.server.ok(&["rollback", "shop", "--detach"]);
    let told = shop.server.journal_until(before, "the contract was stopped").join("\n");
    contains(&told, &["the contract is to stop, by tester, for a way back to v1"]);
    shop.kill_control();
    reader.end();
    shop.server.journal_until(before, "migration 01_total is taken back");
    let status = shop.server.json(&["status", "shop"]);
    assert!(status["stable"].as_str().unwrap().starts_with("v1@"), "{status}");
    assert_eq!(
        shop.lab.sql("SELECT pg_typeof(total), state FROM users, serin.migration LIMIT 1"),
        "integer|reverted"
    );
    // Again, to the end: then there is no way back, and what to do is said.
    shop.server.ok(&["release", "shop"]);
    assert_eq!(shop.bring("v2", ROLLING).code, Some(0));
    assert_eq!(shop.contract(&["--backup", "none: a test"]).code, Some(0));
    let said = shop.server.run(&["rollback", "shop", "--to", "v1"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["is gone since the contract of 01_total"]);
}

const NAMES: &str = "\
-- serin:set full-name
-- serin:migration version=001 name=add phase=expand
-- serin:up
ALTER TABLE users ADD COLUMN full_name text;
-- serin:down
ALTER TABLE users DROP COLUMN IF EXISTS full_name;
-- serin:migration version=002 name=fill phase=migrate
-- serin:batch table=users key=id set=\"full_name = 'n' || id\" where=\"full_name IS NULL\"
-- serin:post_check
SELECT count(*) = 0 FROM users WHERE full_name IS NULL;
-- serin:migration version=003 name=drop phase=contract
-- serin:pre_check
SELECT count(*) = 0 FROM users WHERE full_name IS NULL;
-- serin:up
ALTER TABLE users DROP COLUMN total;
";

/// A way back whose SQL fails by its own doing is not tried for ever.
fn fails_on_the_way_back(shop: &Shop) {
    assert_eq!(shop.bring("v4b", COLOURS).code, Some(0));
    shop.lab.sql("CREATE VIEW named AS SELECT full_name FROM users");
    let before = shop.line();
    shop.server.run(&["rollback", "shop"]);
    let told = shop.server.journal_until(before, "is not tried again").join("\n");
    contains(&told, &["depend on it", "failed 3 times", "`serin migrate rollback`"]);
    shop.lab.sql("DROP VIEW named");
    let said = shop.lab.migrate(&["rollback"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    shop.server.journal_until(before, "migration full-name is taken back");
    shop.server.ok(&["wait", "shop"]);
}

#[test]
fn phased_sql_moves_with_a_rollout_of_any_strategy() {
    let Some(shop) = Shop::new() else { return };
    // A check that says no takes the rollout and what it did back.
    let wrong = NAMES.replace(
        "full_name IS NULL;\n-- serin:migration version=003",
        "id = 7;\n-- serin:migration version=003",
    );
    shop.lab.write("01_names.sql", &wrong);
    let said = shop.bring("v2", ROLLING);
    assert_eq!(said.code, Some(3), "{said:?}");
    shop.server.journal_until(0, "migration full-name is taken back");
    let there = "SELECT count(*) FROM pg_attribute WHERE attname = 'full_name' AND attnum > 0";
    assert_eq!(shop.lab.sql(there), "0");
    assert_eq!(shop.lab.sql("SELECT state FROM serin.migration"), "reverted");
    // What the rules block is refused before anything begins.
    shop.lab.write(
        "01_names.sql",
        &NAMES.replace(
            "ADD COLUMN full_name text;",
            "ADD COLUMN full_name text; UPDATE users SET full_name = 'x';",
        ),
    );
    let said = shop.bring("v3", ROLLING);
    assert_eq!(said.code, Some(2), "{said:?}");
    contains(&said.err, &["unbatched-write", "-- serin:allow unbatched-write REASON"]);
    // Forward, with a control plane that dies, and back with the code.
    shop.lab.write("01_names.sql", NAMES);
    let reader = shop.reader();
    shop.begin("v4", HELD);
    shop.until_state("full-name", "expanding");
    shop.kill_control();
    reader.end();
    shop.server.ok(&["wait", "shop", "--for", "step=3"]);
    assert_eq!(shop.lab.sql("SELECT count(*) FROM users WHERE full_name = 'n' || id"), "20000");
    let before = shop.line();
    shop.server.run(&["abort", "shop"]);
    shop.server.journal_until(before, "migration full-name is taken back");
    assert_eq!(shop.lab.sql(there), "0");
    fails_on_the_way_back(&shop);
    // Forward again; the contract asks for the backup, and for its check.
    assert_eq!(shop.bring("v5", COLOURS).code, Some(0));
    shop.server.ok(&["gc", "--now"]);
    let mut said = shop.contract(&["--override", "a test"]);
    while said.err.contains("use the old shape") {
        said = shop.contract(&["--override", "a test"]);
    }
    // A reason to go on is no backup.
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["name the backup there is", "--backup 'none: test data'"]);
    let said = shop.contract(&["--override", "a test", "--backup", "none: a test"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(shop.lab.sql("SELECT count(*) FROM pg_attribute WHERE attname = 'total'"), "0");
    // An operation after it begins at the tables, not at views that are gone.
    shop.lab.write("02_note.yaml", NOTE);
    let said = shop.bring("v6", ROLLING);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        shop.lab.sql("SELECT count(*) FROM public_02_note.users WHERE full_name IS NOT NULL"),
        "20000"
    );
    assert_eq!(shop.contract(&[]).code, Some(0));
}
