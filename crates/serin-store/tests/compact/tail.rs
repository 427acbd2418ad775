//! The state may be behind its log; nobody can tell.

use super::world::{World, commit, shop};
use serin_core::{Event, Service, Timestamp, step};
use serin_store::Store;

/// How often the state of the service was written whole, as the file has it.
fn written_state(path: &std::path::Path) -> (i64, i64) {
    let raw = rusqlite::Connection::open(path).unwrap();
    let read = |sql| raw.query_row(sql, (), |row| row.get(0)).unwrap();
    (read("SELECT seq FROM service"), read("SELECT max(seq) FROM event"))
}

fn on_trial(store: Store) -> World {
    let mut world = World::new(store);
    world.roll("v1", 1_000_000);
    world.deploy("v2");
    world.settle();
    (0..3).for_each(|_| world.count(1_000_000));
    world
}

#[test]
fn counts_are_stored_without_the_whole_state_and_read_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut world = on_trial(Store::open(&path).unwrap());
    let is_behind = |world: &mut World| {
        world.count(1_000_000);
        let (state, log) = written_state(&path);
        state < log
    };
    assert!((0..5).any(|_| is_behind(&mut world)), "the state was written with all counts");
    world.assert_replays();
    let before = world.service.clone();
    drop(world);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.services().unwrap(), std::slice::from_ref(&before));
    store.claim_epoch().unwrap();
    let (state, log) = written_state(&path);
    assert_eq!(state, log, "a controller that takes over begins with whole states");
    assert_eq!(store.services().unwrap(), [before]);
}

#[test]
fn every_order_is_stored_with_the_whole_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut world = on_trial(Store::open(&path).unwrap());
    let before = world.service.generation;
    while world.service.generation == before {
        world.count(3);
    }
    let (state, log) = written_state(&path);
    assert_eq!(state, log);
}

#[test]
fn the_state_is_never_far_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut world = World::new(Store::open(&path).unwrap());
    world.roll("v1", 1_000_000);
    for i in 0..200_u64 {
        let mut seen = world.seen();
        seen.trouble = i.is_multiple_of(2).then(|| "away".to_owned());
        world.submit(&Event::Observed(seen));
        let (state, log) = written_state(&path);
        assert!(log - state <= 32, "{state} of {log}");
    }
}

#[test]
fn what_a_later_engine_would_decide_on_is_dropped_and_may_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut world = on_trial(Store::open(&path).unwrap());
    // Stored with the whole state, so that what follows is stored alone.
    world.ask(serin_core::Ask::Pause, "wait");
    world.ask(serin_core::Ask::Resume, "go on");
    let before = world.service.clone();
    // As if an earlier engine had seen no decision in this: the state after it is not its own.
    let event = world.counts(1);
    let turn = step(&before, &event, world.now);
    assert!(turn.apply.is_some() && !turn.ticks.is_empty(), "it decides something");
    let silent = serin_core::Transition { apply: None, journal: vec![], ..turn };
    world.store.commit(&[commit(world.now, &event, &silent)]).unwrap();
    let (state, log) = written_state(&path);
    assert!(state < log);
    let events = world.store.events(&shop()).unwrap().len();
    let mut store = Store::open(&path).unwrap();
    store.claim_epoch().unwrap();
    assert_eq!(store.services().unwrap(), std::slice::from_ref(&before));
    assert_eq!(store.events(&shop()).unwrap().len(), events - 1);
    let ticks = store.ticks(&shop(), 2, 0, 1000).unwrap().len() as u64;
    assert_eq!(ticks, before.rollout.as_ref().unwrap().counted.ticks);
}

#[test]
fn several_services_in_one_commit_each_have_their_own_tail() {
    let mut store = Store::in_memory().unwrap();
    store.claim_epoch().unwrap();
    let names = ["a", "b", "c"];
    let named = |name: &str| {
        let mut spec = super::world::spec();
        spec.name = name.parse().unwrap();
        Service::new(spec)
    };
    let event = Event::TookOver { epoch: 1, rollouts: 0 };
    let turns: Vec<_> = names.iter().map(|name| step(&named(name), &event, Timestamp(1))).collect();
    let commits: Vec<_> = turns.iter().map(|turn| commit(Timestamp(1), &event, turn)).collect();
    store.commit(&commits).unwrap();
    let stored = store.services().unwrap();
    assert_eq!(stored, turns.into_iter().map(|turn| turn.next).collect::<Vec<_>>());
}
