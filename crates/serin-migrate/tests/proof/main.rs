//! No write is lost and no value is stale, whatever is killed: both versions write all the time,
//! and a model that knows nothing of the database says what each row must hold in both shapes.
//!
//! `SERIN_KILLS` says how often something is killed, `SERIN_SEED` where chance begins.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::expect_used, reason = "tests")]

mod bugs;
mod fate;
mod model;
mod runner;
mod writers;

use bugs::{BUGS, Bug};
use fate::Fate;
use model::{Side, TABLE, document};
use runner::Verb;
use serin_migrate::{Ident, Plan, catalog, plan};
use serin_postgres::{Cluster, Durability, Settings, newest, shared};
use tokio_postgres::NoTls;
use writers::{Writers, runtime};

/// Rows that are there when it begins.
const ROWS: i64 = 6_000;

/// Writes while both versions are in use.
const WRITES: u64 = 600;

fn number(name: &str, unless: u64) -> u64 {
    std::env::var(name).map_or(unless, |text| text.parse().expect("a number"))
}

/// A server that keeps what was committed.
fn durable() -> Option<Cluster> {
    shared()?;
    let settings = Settings { durability: Durability::Full, ..Settings::default() };
    Some(Cluster::start(&newest().unwrap(), &settings).unwrap())
}

fn database(cluster: &Cluster, rows: i64) -> String {
    let database = cluster.database().unwrap();
    let fill = format!(
        "{TABLE}; INSERT INTO t SELECT n, n % 1000, 'l' || n, 'x' || n \
         FROM generate_series(1, {rows}) n"
    );
    cluster.sql(&database, &fill).unwrap();
    database
}

fn planned(url: &str) -> Plan {
    let migration = serin_migrate::migration("01", &document()).unwrap();
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let schema = Ident::new("public").unwrap();
        let catalog = catalog::read(&client, &schema).await.unwrap();
        plan::make(&client, &catalog, &migration, None).await.unwrap()
    })
}

/// What must be gone after a way back and after a contract.
fn left_behind(cluster: &Cluster, database: &str) -> String {
    let sql = "SELECT string_agg(what, ', ') FROM ( \
        SELECT attname::text FROM pg_attribute WHERE attrelid = 'public.t'::regclass \
          AND attname LIKE '\\_serin%' AND NOT attisdropped \
        UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'zzz\\_serin%' \
        UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'zzz\\_serin%') AS f(what)";
    cluster.sql(database, sql).unwrap()
}

/// One migration from its start to its end, with kills in all that the runner does.
fn story(cluster: &Cluster, fate: &mut Fate, seed: u64) -> Vec<String> {
    let database = database(cluster, ROWS);
    let url = cluster.url(&database);
    let plan = planned(&url);
    let writers = Writers::start(url, ROWS, seed);
    let go = |fate: &mut Fate, verb: Verb, most: u32| {
        fate.run(cluster, &database, &plan, verb, most);
    };
    if seed % 3 == 1 {
        go(fate, Verb::Forward, 1);
        writers.allow(true, true);
        writers.after(WRITES);
        // The new version is drained before its shape goes.
        writers.allow(true, false);
        go(fate, Verb::Back, 2);
        assert_eq!(left_behind(cluster, &database), "", "after the way back, seed {seed}");
        writers.after(WRITES);
    }
    go(fate, Verb::Forward, 3);
    writers.allow(true, true);
    writers.after(WRITES);
    if seed % 3 == 2 {
        writers.allow(true, false);
        go(fate, Verb::Back, 3);
        assert_eq!(left_behind(cluster, &database), "", "after the way back, seed {seed}");
        writers.after(WRITES);
        return writers.end(&[Side::Old]);
    }
    writers.allow(false, true);
    go(fate, Verb::Contract, 2);
    assert_eq!(left_behind(cluster, &database), "", "after the contract, seed {seed}");
    writers.after(WRITES);
    writers.end(&[Side::New])
}

#[test]
fn whatever_is_killed_no_write_is_lost_and_none_is_stale() {
    let Some(cluster) = durable() else { return };
    let (wanted, first) = (number("SERIN_KILLS", 20), number("SERIN_SEED", 1));
    let mut fate = Fate::new(first);
    let mut seed = first;
    while u64::from(fate.kills.iter().sum::<u32>()) < wanted {
        let findings = story(&cluster, &mut fate, seed);
        assert!(findings.is_empty(), "seed {seed}: {findings:#?}");
        seed += 1;
    }
    let [runner, connections, server] = fate.kills;
    println!(
        "{} migrations; killed: the runner {runner}, its connections {connections}, the server \
         {server} times; 0 lost, 0 stale",
        seed - first
    );
}

/// Who noticed that something is wrong.
#[derive(Debug, PartialEq)]
enum Noticed {
    Nobody,
    /// The runner's own checks stopped it.
    Runner(String),
    /// The model.
    Model(Vec<String>),
}

/// The whole way with a bug in it and nothing killed: who noticed it.
fn with(cluster: &Cluster, bug: Option<&Bug>) -> Noticed {
    let database = database(cluster, 400);
    let url = cluster.url(&database);
    let mut plan = planned(&url);
    if let Some(bug) = bug {
        (bug.put)(&mut plan);
    }
    let writers = Writers::start(url.clone(), 400, 7);
    let mut stopped = runner::run(&url, &plan, Verb::Forward).err();
    let mut sides = vec![Side::Old, Side::New];
    if stopped.is_none() {
        writers.allow(true, true);
        writers.after(WRITES);
    }
    if stopped.is_none() && bug.is_none_or(|bug| bug.name.contains("contract")) {
        writers.allow(false, true);
        stopped = runner::run(&url, &plan, Verb::Contract).err();
        writers.after(WRITES);
        sides = vec![Side::New];
    }
    match (stopped, writers.end(&sides)) {
        (Some(error), _) => Noticed::Runner(error.to_string()),
        (None, findings) if findings.is_empty() => Noticed::Nobody,
        (None, findings) => Noticed::Model(findings),
    }
}

#[test]
fn the_model_sees_bugs_that_are_made_by_hand() {
    let Some(cluster) = shared() else { return };
    assert_eq!(with(cluster, None), Noticed::Nobody, "a sound plan");
    let mut seen = 0;
    for bug in &BUGS {
        let noticed = with(cluster, Some(bug));
        println!("{}: {noticed:.100?}", bug.name);
        assert_ne!(noticed, Noticed::Nobody, "nobody sees that {}", bug.name);
        seen += u32::from(matches!(noticed, Noticed::Model(_)));
    }
    assert!(seen >= 10, "the model itself sees {seen} of {}", BUGS.len());
}

/// In the processes that the tests start and kill, what they do; nothing to do anywhere else.
#[test]
fn runner_of_its_own() {
    let has_a_task = std::env::var_os(runner::TASK).is_some();
    assert_eq!(runner::main(), has_a_task);
}
