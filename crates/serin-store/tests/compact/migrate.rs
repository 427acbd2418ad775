//! A file that an earlier version wrote is brought up to date where it lies.

use super::world::{World, shop};
use serin_core::{Event, Service};
use serin_store::{Error, Store};
use std::path::Path;

/// A file of schema 2 as that version left it: a rollout rolled back, another under way.
const VERSION_2: &str = include_str!("version-2.sql");

/// The state in that file.
const STATE: &str = include_str!("version-2.json");

fn old_file(path: &Path, change: &str) {
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.pragma_update(None, "journal_mode", "WAL").unwrap();
    raw.execute_batch(VERSION_2).unwrap();
    raw.execute_batch(change).unwrap();
}

#[test]
fn a_file_of_version_2_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    old_file(&path, "");
    let store = Store::open(&path).unwrap();
    let state: Service = serde_json::from_str(STATE).unwrap();
    assert_eq!(store.services().unwrap(), [state.into()]);
    let asked = |store: &Store| -> Vec<Event> {
        let events = store.events(&shop()).unwrap().into_iter().map(|e| e.event);
        events.filter(|event| matches!(event, Event::Asked { .. })).collect()
    };
    let (before, ticks) = (asked(&store), store.ticks(&shop(), 2, 0, 1000).unwrap());
    let record = store.record(&shop(), 2).unwrap().unwrap();
    assert!(before.len() >= 3 && ticks.len() > 3);
    let mut world = World::new(store);
    world.ask(serin_core::Ask::Abort, "start over");
    world.settle();
    world.roll("v3", 1_000_000);
    world.roll("v4", 1_000_000);
    world.compact();
    world.assert_replays();
    assert_eq!(asked(&world.store)[..before.len()], before[..]);
    assert_eq!(world.store.ticks(&shop(), 2, 0, 1000).unwrap(), ticks);
    assert_eq!(world.store.record(&shop(), 2).unwrap(), Some(record));
}

#[test]
fn a_file_of_version_1_gets_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    old_file(&path, "DROP TABLE tick; PRAGMA user_version = 1;");
    let mut world = World::new(Store::open(&path).unwrap());
    world.ask(serin_core::Ask::Abort, "start over");
    world.settle();
    world.roll("v3", 1_000_000);
    assert_eq!(world.store.services().unwrap(), [world.service]);
}

#[test]
fn a_migration_that_finds_no_room_leaves_the_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    old_file(&path, "CREATE TABLE audit (in_the_way INTEGER);");
    assert!(matches!(Store::open(&path), Err(Error::Sqlite(_))));
    let raw = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = raw.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
    raw.execute_batch("DROP TABLE audit;").unwrap();
    drop(raw);
    assert_eq!(Store::open(&path).unwrap().services().unwrap().len(), 1);
}
