//! Others at work on the same tables: a vacuum that may not be ended, a dump, clients that lock
//! many rows in the wrong order.

use crate::kit::*;
use serin_migrate::{Alone, Error, Patience, State};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const ROWS: i64 = 4_000;

/// Uses up so many transaction numbers that the table has to be vacuumed, slowly.
const WRAPAROUND: &str = "\
    CREATE PROCEDURE burn(n integer) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..n LOOP \
      PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$; \
    ALTER TABLE t SET (autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100, \
      autovacuum_vacuum_cost_limit = 1); \
    CALL burn(100100);";

const VACUUM: &str = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' \
    AND query LIKE 'autovacuum:%.t (to prevent wraparound)'";

#[test]
fn a_vacuum_against_wraparound_is_let_alone_and_told() {
    let parameters = [("autovacuum_naptime", "1s"), ("track_activities", "on")];
    let Some(cluster) = own(&parameters) else { return };
    let lab = Lab::of_model_on(cluster, ROWS);
    let (plan, writers) = (lab.plan_of_model(), lab.writers(ROWS, 41));
    lab.sql(WRAPAROUND);
    lab.until(&format!("SELECT count(*) > 0 FROM ({VACUUM}) AS v"));
    let hasty = Patience { budget_ms: 1_000, ..patience() };
    let runner = runner_at(&lab.url(), Arc::new(Alone)).patience(hasty);
    let error = block(runner.start(&plan)).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("vacuum against wraparound"), "{said}");
    assert_eq!(lab.sql(&format!("SELECT count(*) FROM ({VACUUM}) AS v")), "1", "it goes on");
    // Clients write on, and when the vacuum is over it goes through.
    writers.after(WRITES);
    let at_work = lab.runner();
    let work = std::thread::spawn(move || block(at_work.resume(&sure())));
    lab.until_waiting("vacuum against wraparound");
    lab.sql(&format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM ({VACUUM}) AS v; \
         ALTER TABLE t RESET (autovacuum_freeze_max_age, autovacuum_vacuum_cost_delay, \
           autovacuum_vacuum_cost_limit)"
    ));
    assert_eq!(work.join().unwrap().unwrap().state, State::Dual);
    both_write(writers);
}

/// A dump that stands still once it has begun with the rows: what it prints is not taken.
struct Dump {
    child: Child,
    out: BufReader<ChildStdout>,
    text: String,
}

impl Dump {
    fn new(lab: &Lab) -> Self {
        let mut dump = Command::new(lab.cluster.client("pg_dump"));
        let mut child = dump.arg("-d").arg(lab.url()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("\nCOPY public.t ") {
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "it ended early: {text}");
        }
        Self { child, out, text }
    }

    /// Takes the rest of it, into another database.
    fn restored(mut self, lab: &Lab) -> Lab {
        self.out.read_to_string(&mut self.text).unwrap();
        assert!(self.child.wait().unwrap().success());
        let copy = Lab::on(lab.cluster, "SELECT 1");
        copy.sql(&self.text);
        copy
    }
}

#[test]
fn a_dump_holds_up_the_runner_and_nobody_else_and_can_be_gone_on_with() {
    // More than fits into the pipe, so that it is still at work.
    let Some(lab) = Lab::of_model(20_000) else { return };
    let (plan, writers) = (lab.plan_of_model(), lab.writers(20_000, 42));
    let dump = Dump::new(&lab);
    let at_work = lab.runner();
    let work = std::thread::spawn(move || block(at_work.start(&plan)));
    let why = lab.until_waiting("pg_dump");
    assert!(why.contains("has had its transaction open"), "{why}");
    writers.after(WRITES);
    let before = dump.restored(&lab);
    assert_eq!(work.join().unwrap().unwrap().state, State::Dual);
    let begun =
        before.sql("SELECT to_regclass('serin.migration') IS NOT NULL, count(*) > 10000 FROM t");
    assert!(begun.ends_with("|t"), "{begun}");
    // A dump from the middle is whole: both shapes, and the way back.
    writers.allow(true, true);
    writers.after(WRITES);
    let dump = Dump::new(&lab);
    writers.allow(false, true);
    let at_work = lab.runner();
    let work = std::thread::spawn(move || block(at_work.contract(&sure())));
    lab.until_waiting("pg_dump");
    writers.after(WRITES);
    let middle = dump.restored(&lab);
    assert_eq!(work.join().unwrap().unwrap().state, State::Done);
    new_writes(writers);
    let apart = "SELECT count(*) FROM public.t o FULL JOIN public_new.t n USING (id) \
        WHERE (o.amount * 2 + 1, o.label) IS DISTINCT FROM (n.amount, n.title)";
    assert_eq!(middle.sql(apart), "0");
    middle.sql("UPDATE public.t SET amount = 7 WHERE id = (SELECT min(id) FROM public.t)");
    middle.sql(
        "SET search_path = public_new; UPDATE t SET amount = 9 WHERE id = (SELECT max(id) FROM t)",
    );
    assert_eq!(middle.sql(apart), "0");
    middle.revert();
    assert_eq!(middle.sql("SELECT amount FROM t ORDER BY id DESC LIMIT 1"), "4");
}

/// Writes many rows in one transaction, last ones first, until it is told to stop; how often. The
/// runner goes the other way.
async fn backwards(lab: Lab, stop: Arc<AtomicBool>) -> i64 {
    let client = client(&lab, "public").await;
    let mut done = 0;
    while done == 0 || !stop.load(Ordering::SeqCst) {
        client.batch_execute("BEGIN").await.unwrap();
        for id in [3_900, 3_000, 2_000, 1_000, 500, 100, 1] {
            let sql =
                format!("UPDATE t SET amount = amount + 1 WHERE id BETWEEN {id} AND {id} + 40");
            client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}"));
        }
        client.batch_execute("COMMIT").await.unwrap();
        done += 1;
    }
    done
}

#[test]
fn clients_that_lock_rows_the_other_way_round_never_meet_a_deadlock() {
    let Some(lab) = Lab::of_model(ROWS) else { return };
    let plan = lab.plan_of_model();
    let stop = Arc::new(AtomicBool::new(false));
    let written = block(async {
        let writer = tokio::spawn(backwards(lab.clone(), stop.clone()));
        let runner = lab.runner();
        assert_eq!(runner.start(&plan).await.unwrap().state, State::Dual);
        stop.store(true, Ordering::SeqCst);
        writer.await.unwrap()
    });
    let sums = lab.sql("SELECT sum(amount) FROM public.t WHERE id IN (3900, 2040, 1, 900)");
    // Rows 3900, 2040 and 1 are written each time, 900 never.
    assert_eq!(sums, (900 + 40 + 1 + 900 + 3 * written).to_string());
    let apart = "SELECT count(*) FROM public.t o JOIN public_new.t n USING (id) \
        WHERE o.amount * 2 + 1 <> n.amount";
    assert_eq!(lab.sql(apart), "0");
}
