//! Reads of two stores in memory.

use super::*;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::sync::Notify;

type Map = BTreeMap<String, i64>;

#[derive(Default)]
struct Two {
    old: Mutex<Map>,
    new: Mutex<Map>,
    new_is_down: AtomicBool,
    new_panics: AtomicBool,
    reads_of_new: AtomicU32,
    /// Made right at the so-many-th read of the new store.
    late_write: Mutex<Option<(u32, String, i64)>>,
    told: Mutex<Vec<String>>,
    hold: Option<Arc<Notify>>,
    shows: bool,
}

impl Lookup for Arc<Two> {
    type Value = Option<i64>;
    type Error = String;

    async fn in_old(&self, key: &str) -> Result<Option<i64>, String> {
        Ok(self.old.lock().unwrap().get(key).copied())
    }

    async fn in_new(&self, key: &str) -> Result<Option<i64>, String> {
        if let Some(hold) = &self.hold {
            hold.notified().await;
        }
        assert!(!self.new_panics.load(Ordering::Relaxed), "the new store's code is broken");
        if self.new_is_down.load(Ordering::Relaxed) {
            return Err("down".into());
        }
        let nth = self.reads_of_new.fetch_add(1, Ordering::Relaxed) + 1;
        let late = self.late_write.lock().unwrap().take_if(|late| late.0 == nth);
        if let Some((_, key, value)) = late {
            self.new.lock().unwrap().insert(key, value);
        }
        Ok(self.new.lock().unwrap().get(key).copied())
    }

    /// The new store counts cents.
    fn normalised(&self, value: Option<i64>, from: Side) -> Option<i64> {
        value.map(|n| if from == Side::New { n / 100 } else { n })
    }

    fn shown(&self, value: &Option<i64>) -> Option<String> {
        self.shows.then(|| format!("{value:?}"))
    }

    fn differs(&self, mismatch: &Mismatch) {
        self.told.lock().unwrap().push(mismatch.key.clone());
    }
}

fn all() -> ReadSettings {
    ReadSettings { sample: 100_000, again: Duration::from_millis(1), ..ReadSettings::default() }
}

fn filled(two: Two) -> Arc<Two> {
    two.old.lock().unwrap().extend([("a".to_owned(), 1), ("b".to_owned(), 2)]);
    two.new.lock().unwrap().extend([("a".to_owned(), 100), ("b".to_owned(), 999)]);
    Arc::new(two)
}

#[tokio::test]
async fn each_phase_answers_from_its_store() {
    let reader = Reader::new(filled(Two::default()), all());
    let expected = [Some(1), Some(1), Some(1), Some(100), Some(100)];
    for (phase, value) in Phase::ALL.into_iter().zip(expected) {
        assert_eq!(reader.read(phase, "a").await, Ok(value), "{phase}");
    }
    reader.settled().await;
    let counts = reader.counts();
    assert_eq!((counts.from_old, counts.from_new, counts.compared, counts.equal), (3, 2, 2, 2));
}

#[tokio::test]
async fn a_difference_is_kept_with_its_key_alone_and_told() {
    let two = filled(Two::default());
    let reader = Reader::new(Arc::clone(&two), all());
    assert_eq!(reader.read(Phase::DualWriteShadowRead, "b").await, Ok(Some(2)));
    reader.settled().await;
    let mismatch = Mismatch { key: "b".into(), old: None, new: None };
    assert_eq!(reader.mismatches(), [mismatch]);
    assert_eq!(*two.told.lock().unwrap(), ["b"]);
    let evidence = reader.counts().since(&ReadCounts::default());
    assert_eq!((evidence.compared, evidence.differed), (1, 1));
}

#[tokio::test]
async fn values_are_kept_where_the_caller_shows_them() {
    let reader = Reader::new(filled(Two { shows: true, ..Two::default() }), all());
    reader.read(Phase::ReadNewDualWrite, "b").await.unwrap();
    reader.settled().await;
    let shown = reader.mismatches().pop().unwrap();
    assert_eq!((shown.old.unwrap(), shown.new.unwrap()), ("Some(2)".into(), "Some(9)".into()));
}

#[tokio::test]
async fn a_write_on_its_way_is_no_difference() {
    let two = filled(Two::default());
    two.old.lock().unwrap().insert("b".into(), 7);
    *two.late_write.lock().unwrap() = Some((2, "b".into(), 700));
    let reader = Reader::new(two, all());
    reader.read(Phase::DualWriteShadowRead, "b").await.unwrap();
    reader.settled().await;
    let counts = reader.counts();
    assert_eq!((counts.compared, counts.caught_up, counts.differed), (1, 1, 0));
}

#[tokio::test]
async fn a_broken_new_store_hurts_no_shadow_read_and_is_not_evidence_for_it() {
    let two = filled(Two::default());
    let reader = Reader::new(Arc::clone(&two), all());
    two.new_is_down.store(true, Ordering::Relaxed);
    assert_eq!(reader.read(Phase::DualWriteShadowRead, "a").await, Ok(Some(1)));
    reader.settled().await;
    two.new_panics.store(true, Ordering::Relaxed);
    assert_eq!(reader.read(Phase::DualWriteShadowRead, "a").await, Ok(Some(1)));
    reader.settled().await;
    let counts = reader.counts();
    assert_eq!((counts.failed, counts.compared), (2, 0));
    assert_eq!(counts.since(&ReadCounts::default()).differed, 2);
}

#[tokio::test]
async fn the_old_store_stands_in_for_the_new_one() {
    let two = filled(Two::default());
    two.new_is_down.store(true, Ordering::Relaxed);
    let reader = Reader::new(Arc::clone(&two), all());
    assert_eq!(reader.read(Phase::ReadNewDualWrite, "a").await, Ok(Some(1)));
    assert_eq!(reader.read(Phase::NewOnly, "a").await, Err("down".into()));
    let counts = reader.counts();
    assert_eq!((counts.fell_back, counts.from_old, counts.from_new), (1, 1, 0));
}

#[tokio::test]
async fn a_new_store_that_hangs_is_left_after_a_while() {
    let two = Two { hold: Some(Arc::new(Notify::new())), ..Two::default() };
    let soon = Duration::from_millis(5);
    let settings = ReadSettings { fall_back_after: soon, limit: soon, ..all() };
    let reader = Reader::new(filled(two), settings);
    assert_eq!(reader.read(Phase::ReadNewDualWrite, "a").await, Ok(Some(1)));
    assert_eq!(reader.read(Phase::DualWriteShadowRead, "a").await, Ok(Some(1)));
    reader.settled().await;
    assert_eq!((reader.counts().fell_back, reader.counts().failed), (1, 1));
}

#[tokio::test]
async fn more_than_there_is_room_for_is_left_out() {
    let hold = Arc::new(Notify::new());
    let two = Two { hold: Some(Arc::clone(&hold)), ..Two::default() };
    let reader = Reader::new(filled(two), ReadSettings { at_once: 3, ..all() });
    for _ in 0..10 {
        assert_eq!(reader.read(Phase::DualWriteShadowRead, "a").await, Ok(Some(1)));
    }
    assert_eq!(reader.counts().left_out, 7);
    tokio::task::yield_now().await;
    hold.notify_waiters();
    reader.settled().await;
    assert_eq!(reader.counts().equal, 3);
}
