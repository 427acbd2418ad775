//! The log is cut, and replays to the same state all the same.

use super::world::{World, shop};
use serin_core::{Ask, Event};
use serin_store::{Error, Store};

/// Three rollouts, the second rolled back.
fn three() -> World {
    let mut world = World::new(Store::in_memory().unwrap());
    world.roll("v1", 1_000_000);
    world.roll("v2", 3);
    world.roll("v3", 1_000_000);
    world
}

fn numbers(world: &World) -> Vec<u64> {
    world.store.replay(&shop()).unwrap().events.iter().map(|e| e.seq).collect()
}

#[test]
fn a_cut_log_replays_to_the_same_state_after_every_step() {
    let mut world = three();
    let before = numbers(&world).len();
    world.assert_replays();
    while world.store.compact(world.now).unwrap() {
        world.assert_replays();
    }
    assert!(numbers(&world).len() < before, "nothing was cut");
    world.roll("v4", 1_000_000);
    world.assert_replays();
    world.deploy("v5");
    world.settle();
    world.compact();
    world.count(1_000_000);
    world.assert_replays();
}

#[test]
fn the_log_of_the_last_rollout_stays_whole() {
    let mut world = three();
    world.compact();
    let asked = |event: &Event| matches!(event, Event::Asked { .. });
    let kept = world.store.replay(&shop()).unwrap().events;
    let deploys = kept.iter().filter(|e| asked(&e.event)).count();
    assert_eq!(deploys, 1);
    assert!(kept.iter().filter(|e| matches!(e.event, Event::Counted(_))).count() > 3);
}

#[test]
fn who_asked_for_what_and_when_stays_for_ever() {
    let mut world = three();
    let (lines, records) = history(&world);
    world.compact();
    let kept = world.store.events(&shop()).unwrap();
    let asked: Vec<_> = kept.into_iter().map(|e| e.event).filter(is_asked).collect();
    assert_eq!(asked, world.asked);
    assert_eq!(history(&world), (lines, records));
}

fn is_asked(event: &Event) -> bool {
    matches!(event, Event::Asked { .. })
}

fn history(world: &World) -> (usize, usize) {
    let lines = world.store.journal(None, 0, 10_000).unwrap().len();
    (lines, world.store.records(&shop(), 100).unwrap().len())
}

#[test]
fn done_twice_it_does_nothing_more() {
    let mut world = three();
    assert!(world.compact() > 0);
    let (seqs, events) = (numbers(&world), world.store.events(&shop()).unwrap());
    assert_eq!(world.compact(), 0);
    assert_eq!((numbers(&world), world.store.events(&shop()).unwrap()), (seqs, events));
}

#[test]
fn stopped_at_any_step_the_next_start_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = {
        let mut world = three();
        world.compact();
        world.store.events(&shop()).unwrap().len()
    };
    for steps in 0..12 {
        let path = dir.path().join(format!("{steps}.db"));
        let mut world = World::new(Store::open(&path).unwrap());
        world.roll("v1", 1_000_000);
        world.roll("v2", 3);
        world.roll("v3", 1_000_000);
        (0..steps).for_each(|_| drop(world.store.compact(world.now)));
        let service = world.service;
        world.store = Store::open(&path).unwrap();
        world.service = service;
        world.assert_replays();
        world.compact();
        world.assert_replays();
        assert_eq!(world.store.events(&shop()).unwrap().len(), wanted, "after {steps} steps");
    }
}

#[test]
fn a_long_rollout_is_cut_where_its_state_was_kept() {
    let mut world = World::new(Store::in_memory().unwrap());
    world.roll("v1", 1_000_000);
    // Something that comes and goes, seen without end.
    world.flood(13_000, |i| i.is_multiple_of(2).then(|| "the keeper is away".to_owned()));
    let before = numbers(&world).len();
    world.compact();
    let after = numbers(&world).len();
    assert!((10_000..before - 1_000).contains(&after), "{before} events, then {after}");
    world.assert_replays();
}

#[test]
fn of_a_service_that_is_gone_its_audit_stays() {
    let mut world = three();
    world.ask(Ask::Remove, "no longer needed");
    let mut seen = world.seen();
    seen.revisions.clear();
    world.submit(&Event::Observed(seen));
    assert!(world.service.is_gone());
    world.compact();
    let kept = world.store.events(&shop()).unwrap();
    assert_eq!(kept.into_iter().map(|e| e.event).collect::<Vec<_>>(), world.asked);
    assert_eq!(world.store.replay(&shop()).unwrap().events, []);
    // A service of the same name begins anew.
    let mut again = World::new(world.store);
    again.roll("v9", 1_000_000);
    again.assert_replays();
    again.compact();
    again.assert_replays();
}

#[test]
fn a_full_disk_holds_compaction_up_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(Store::open(&dir.path().join("serin.db")).unwrap());
    world.roll("v1", 1_000_000);
    world.roll("v2", 3);
    world.roll("v3", 1_000_000);
    world.store.limit_pages(Some(1));
    // Whatever can be done in the pages there are is done; the rest waits.
    let stopped = (0..1000).find_map(|_| match world.store.compact(world.now) {
        Ok(true) => None,
        Ok(false) => Some(true),
        Err(error) => Some(matches!(error, Error::Full)),
    });
    assert_eq!(stopped, Some(true));
    world.assert_replays();
    world.store.limit_pages(None);
    world.compact();
    world.assert_replays();
    world.roll("v4", 1_000_000);
}

#[test]
fn free_pages_go_back_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut world = World::new(Store::open(&path).unwrap());
    world.roll("v1", 1_000_000);
    let noise = |i: u64| format!("{:x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    world.flood(16_000, |i| Some((0..40).map(|k| noise(i * 40 + k)).collect()));
    let pages = || -> (i64, i64) {
        let raw = rusqlite::Connection::open(&path).unwrap();
        let read = |sql| raw.query_row(sql, (), |row| row.get(0)).unwrap();
        (read("PRAGMA page_count"), read("PRAGMA freelist_count"))
    };
    let before = pages();
    world.compact();
    let after = pages();
    assert!(after.0 < before.0, "{before:?}, then {after:?}");
    assert!(after.1 <= 256, "{after:?}");
}
