//! The network swallows everything, or a process stands still: whoever takes over has the schema
//! to itself, and who wakes up does nothing more.

use crate::kit::*;
use crate::runner::{Verb, spawn};
use serin_migrate::{Alone, Error, Patience, Plan, Runner, Say, State, Status};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};

const ROWS: i64 = 4_000;

/// The way to a server. Cut, it swallows what both sides say and ends no connection; what was
/// connected before stays dumb for ever, as behind a firewall that has forgotten it.
struct Wire {
    port: u16,
    /// Odd while it is cut.
    cuts: Arc<AtomicU32>,
    /// Connections that were tried while it was cut.
    tried: Receiver<()>,
}

impl Wire {
    fn new(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, cuts) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU32::new(0)));
        let (tries, tried) = channel();
        let seen = cuts.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let born = seen.load(Ordering::SeqCst);
                if !born.is_multiple_of(2) {
                    let _ = tries.send(());
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let seen = seen.clone();
                    std::thread::spawn(move || carry(from, to, born, &seen));
                }
            }
        });
        Self { port, cuts, tried }
    }

    fn runner(&self, lab: &Lab, world: Arc<dyn serin_migrate::World>) -> Runner {
        let url = format!("postgres://postgres@127.0.0.1:{}/{}", self.port, lab.database);
        let hasty = Patience { lease_ms: 1_500, ..patience() };
        runner_at(&url, world).patience(hasty)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, born: u32, cuts: &AtomicU32) {
    let mut buffer = [0; 16_384];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let is_alive = born.is_multiple_of(2) && cuts.load(Ordering::SeqCst) == born;
        if is_alive && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Cuts the wire once, when the runner comes to a point for the `nth` time.
fn cut_at(wire: &Wire, at: &'static str, nth: u32) -> Arc<dyn serin_migrate::World> {
    let (cuts, seen) = (wire.cuts.clone(), AtomicU32::new(0));
    Arc::new(Points(move |point: &str| {
        if point == at && seen.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            cuts.fetch_add(1, Ordering::SeqCst);
        }
    }))
}

/// Runs while the wire is cut at a point, and is mended when the runner has noticed and tries
/// again.
fn over_a_cut<F>(wire: &Wire, run: impl FnOnce() -> F + Send) -> Result<Status, Error>
where
    F: Future<Output = Result<Status, Error>>,
{
    std::thread::scope(|scope| {
        let run = scope.spawn(|| block(run()));
        wire.tried.recv().unwrap();
        wire.cuts.fetch_add(1, Ordering::SeqCst);
        run.join().unwrap()
    })
}

#[test]
fn a_network_that_swallows_everything_is_noticed_and_costs_no_write() {
    let Some(lab) = Lab::of_model(ROWS) else { return };
    let plan = lab.plan_of_model();
    let writers = lab.writers(ROWS, 21);
    let wire = Wire::new(lab.cluster.port());
    let runner = wire.runner(&lab, cut_at(&wire, "batch", 2));
    let status = over_a_cut(&wire, || runner.start(&plan)).unwrap();
    assert_eq!(status.state, State::Dual);
    writers.allow(true, true);
    writers.after(WRITES);
    writers.allow(false, true);
    let swap = plan.contract.iter().position(|step| step.stage == serin_migrate::Stage::Swap);
    let point: &'static str = format!("contract/{}/begun", swap.unwrap()).leak();
    let runner = wire.runner(&lab, cut_at(&wire, point, 1));
    let sure = sure();
    let status = over_a_cut(&wire, || runner.contract(&sure)).unwrap();
    assert_eq!(status.state, State::Done);
    new_writes(writers);
}

#[test]
fn a_network_that_swallows_everything_from_the_beginning_is_told() {
    let Some(lab) = Lab::of_model(10) else { return };
    let (plan, wire) = (lab.plan_of_model(), Wire::new(lab.cluster.port()));
    wire.cuts.fetch_add(1, Ordering::SeqCst);
    let error = block(wire.runner(&lab, Arc::new(Alone)).start(&plan)).unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(error.to_string().contains("no answer within"), "{error}");
}

/// A plan that takes long enough to be stopped in the middle of it.
fn slow(lab: &Lab) -> Plan {
    let mut plan = lab.plan_of_model();
    plan.migration.settings.backfill.duty = 0.02;
    plan.migration.settings.backfill.batch_ms = 1;
    plan
}

fn signal(pid: &str, name: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

#[test]
fn a_process_that_stood_still_while_another_took_over_does_nothing_more() {
    let Some(lab) = Lab::of_model(ROWS) else { return };
    let writers = lab.writers(ROWS, 22);
    let mut first = spawn(&lab.url(), &slow(&lab), Verb::Forward);
    lab.until("SELECT sum(batches) > 1 FROM serin.progress");
    let pid = first.id().to_string();
    signal(&pid, "-STOP");
    let hasty = Patience { lease_ms: 300, ..patience() };
    let second = runner_at(&lab.url(), Arc::new(Alone)).patience(hasty);
    block(second.set_rate(Some(1.0))).unwrap();
    let status = loop {
        match block(second.resume(&Say::default())) {
            Err(Error::Held { .. }) => {}
            other => break other.unwrap(),
        }
    };
    assert_eq!(status.state, State::Dual);
    let deeds =
        "SELECT string_agg(seq || ' ' || state || ' ' || epoch, ', ' ORDER BY seq) FROM serin.step";
    let done = lab.sql(deeds);
    signal(&pid, "-CONT");
    assert!(!first.wait().unwrap().success(), "who was replaced says so");
    assert_eq!(lab.sql(deeds), done);
    assert_eq!(lab.sql("SELECT error IS NULL AND state = 'dual' FROM serin.migration"), "t");
    both_write(writers);
}

#[test]
fn a_server_process_that_stood_still_goes_on_where_it_was() {
    let Some(lab) = Lab::of_model(ROWS) else { return };
    let mut plan = lab.plan_of_model();
    plan.migration.settings.backfill.duty = 1.0;
    let writers = lab.writers(ROWS, 23);
    let (stands, has_come) = channel();
    let (there, batches) = (lab.clone(), AtomicU32::new(0));
    let world = Points(move |point: &str| {
        if point == "batch" && batches.fetch_add(1, Ordering::SeqCst) == 1 {
            let pid = there.sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name LIKE 'serin-migrate-work%'",
            );
            signal(&pid, "-STOP");
            stands.send(pid).unwrap();
        }
    });
    let at_work = lab.runner_in(Arc::new(world));
    let work = std::thread::spawn(move || block(at_work.start(&plan)));
    let pid = has_come.recv().unwrap();
    // It lives, so nobody takes over, and clients go on: it holds a few rows at most.
    let hasty = Patience { lease_ms: 10_000, ..patience() };
    let second = runner_at(&lab.url(), Arc::new(Alone)).patience(hasty);
    assert!(matches!(block(second.resume(&Say::default())), Err(Error::Held { .. })));
    writers.after(WRITES);
    signal(&pid, "-CONT");
    assert_eq!(work.join().unwrap().unwrap().state, State::Dual);
    both_write(writers);
}
