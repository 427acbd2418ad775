//! The stores change hands while writers write.

use crate::ledger::{Entries, Place, STREAM, entry, write_next};
use serin_dual::outbox::{
    Connect as _, Dual, Error, HandoverLimits, Tally, Worker, WorkerSettings, backlog,
};
use serin_dual::{Phase, Side};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

const PATIENT: HandoverLimits =
    HandoverLimits { patience_ms: 500, tries: 50, drain: Duration::from_secs(30) };

/// Keeps the outbox of one side empty until told to stop.
fn worker(place: &Place, from: Side, stop: &watch::Receiver<bool>) -> tokio::task::JoinHandle<()> {
    let (urls, stop) = (place.urls.clone(), stop.clone());
    tokio::spawn(async move {
        let dual = Dual::new(STREAM, Entries);
        let settings =
            WorkerSettings { idle: Duration::from_millis(5), ..WorkerSettings::default() };
        let worker = Worker::new(&dual, from, settings);
        worker.run(&urls, &Tally::default(), stop).await.unwrap();
    })
}

/// Writers with caches of their own, none of which is told of a handover.
fn writer(
    place: &Place,
    account: String,
    stop: &watch::Receiver<bool>,
    written: &Arc<AtomicU64>,
) -> tokio::task::JoinHandle<()> {
    let (urls, stop, written) = (place.urls.clone(), stop.clone(), Arc::clone(written));
    tokio::spawn(async move {
        let dual = Dual::new(STREAM, Entries);
        let mut pair = urls.pair().await.unwrap();
        while !*stop.borrow() {
            write_next(&dual, &mut pair, &account).await;
            written.fetch_add(1, Ordering::Relaxed);
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_and_back_with_writers_running_loses_and_doubles_nothing() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (Dual::new(STREAM, Entries), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &PATIENT).await.unwrap();
    let (stop_writers, writers_stop) = watch::channel(false);
    let (stop_workers, workers_stop) = watch::channel(false);
    let written = Arc::new(AtomicU64::new(0));
    let workers = [Side::Old, Side::New].map(|from| worker(&place, from, &workers_stop));
    // Two writers for each account.
    let writers: Vec<_> =
        (0..6).map(|n| writer(&place, format!("a{}", n / 2), &writers_stop, &written)).collect();
    for turn in 0..6_u64 {
        while written.load(Ordering::Relaxed) < (turn + 1) * 60 {
            tokio::task::yield_now().await;
        }
        let phase =
            if turn % 2 == 0 { Phase::ReadNewDualWrite } else { Phase::DualWriteShadowRead };
        dual.settle(&mut pair, phase, &PATIENT).await.unwrap();
        // Doing it again does nothing.
        dual.settle(&mut pair, phase, &PATIENT).await.unwrap();
    }
    stop_writers.send(true).unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    for side in [Side::Old, Side::New] {
        let client = place.urls.connect(side).await.unwrap();
        while backlog(&client, side, STREAM).await.unwrap().waiting > 0 {
            tokio::task::yield_now().await;
        }
    }
    stop_workers.send(true).unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(place.check() as u64, written.load(Ordering::Relaxed));
}

/// A process that hands over and is gone at any moment: its connections are cut, and another one
/// takes it up, in either direction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_at_any_moment_it_is_taken_up_with_writers_running() {
    let Some(place) = Place::make().await else { return };
    let dual = Dual::new(STREAM, Entries);
    settled(&dual, &place, Phase::DualWriteReadOld).await;
    let (stop, stopped) = watch::channel(false);
    let written = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> =
        (0..4).map(|n| writer(&place, format!("a{}", n / 2), &stopped, &written)).collect();
    let mut random = fastrand::Rng::with_seed(0x0CA1_10FF);
    let mut cut = 0;
    for _ in 0..30 {
        let phase = random.choice([Phase::ReadNewDualWrite, Phase::DualWriteShadowRead]).unwrap();
        let time = Duration::from_micros(random.u64(1..60_000));
        let mut pair = place.pair().await;
        cut += u32::from(timeout(time, dual.settle(&mut pair, phase, &PATIENT)).await.is_err());
    }
    settled(&dual, &place, Phase::DualWriteShadowRead).await;
    stop.send(true).unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    // Handed over once more, the new store has everything too.
    settled(&dual, &place, Phase::ReadNewDualWrite).await;
    assert_eq!(place.check() as u64, written.load(Ordering::Relaxed));
    assert!(cut > 0, "none of 30 was cut off");
}

/// Whoever was cut off may hold its locks for a moment.
async fn settled(dual: &Dual<Entries>, place: &Place, phase: Phase) {
    loop {
        let mut pair = place.pair().await;
        match dual.settle(&mut pair, phase, &PATIENT).await {
            Ok(()) => return,
            Err(error) if error.is_passing() => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_dead_letter_keeps_the_writes_where_they_are() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (Dual::new(STREAM, Entries), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &PATIENT).await.unwrap();
    write_next(&dual, &mut pair, "a").await;
    let dead = "UPDATE serin.dual_outbox SET dead_at = now(), reason = 'no'";
    place.sql(Side::Old, dead);
    let error = dual.settle(&mut pair, Phase::ReadNewDualWrite, &PATIENT).await.unwrap_err();
    assert!(matches!(error, Error::Undrained { dead: 1, holder: Side::Old, .. }), "{error}");
    let receipt = dual.write(&mut pair, "b", &entry("b", 1)).await.unwrap();
    assert_eq!(receipt.side, Side::Old);
}

/// Killed between any two steps, the next call goes on; meanwhile nobody holds the writes, and a
/// writer waits instead of writing in the wrong place.
#[tokio::test]
async fn a_handover_that_was_killed_is_taken_up() {
    let Some(place) = Place::make().await else { return };
    let dual = Dual::new(STREAM, Entries).patience(Duration::from_millis(30));
    let mut pair = place.pair().await;
    dual.settle(&mut pair, Phase::DualWriteReadOld, &PATIENT).await.unwrap();
    write_next(&dual, &mut pair, "a").await;
    for (old, new) in [("nobody", "old"), ("nobody", "new"), ("old", "old")] {
        for (side, holder) in [(Side::Old, old), (Side::New, new)] {
            let sql = format!("UPDATE serin.dual_stream SET holder = '{holder}'");
            place.sql(side, &sql);
        }
        if (old, new) == ("nobody", "old") {
            let error = dual.write(&mut pair, "b", &entry("b", 1)).await.unwrap_err();
            assert!(matches!(error, Error::HandingOver), "{error}");
        }
        dual.settle(&mut pair, Phase::ReadNewDualWrite, &PATIENT).await.unwrap();
        let holders =
            [Side::Old, Side::New].map(|s| place.sql(s, "SELECT holder FROM serin.dual_stream"));
        assert_eq!(holders, ["new", "new"]);
    }
    let receipt = dual.write(&mut pair, "b", &entry("b", 1)).await.unwrap();
    assert_eq!(receipt.side, Side::New);
    assert_eq!(place.sql(Side::New, "SELECT count(*) FROM entries"), "2");
}

#[tokio::test]
async fn a_write_under_way_is_waited_for_but_does_not_hold_others_up_for_ever() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (Dual::new(STREAM, Entries), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &PATIENT).await.unwrap();
    let mut slow = place.pair().await;
    let writing = dual.begin(&mut slow, "a").await.unwrap();
    let hasty = HandoverLimits { patience_ms: 20, tries: 2, drain: Duration::ZERO };
    let error = dual.settle(&mut pair, Phase::ReadNewDualWrite, &hasty).await.unwrap_err();
    assert!(matches!(error, Error::Database { .. }), "{error}");
    let mut third = place.pair().await;
    assert_eq!(dual.write(&mut third, "b", &entry("b", 1)).await.unwrap().side, Side::Old);
    writing.commit(&entry("a", 1)).await.unwrap();
    let other = Dual::new(STREAM, Entries);
    other.settle(&mut pair, Phase::ReadNewDualWrite, &PATIENT).await.unwrap();
    assert_eq!(
        place.sql(Side::New, "SELECT string_agg(account, '' ORDER BY came) FROM entries"),
        "ba"
    );
}

#[tokio::test]
async fn two_that_hand_over_do_not_meet() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (Dual::new(STREAM, Entries), place.pair().await);
    for side in [Side::Old, Side::New] {
        let other = place.urls.connect(side).await.unwrap();
        let lock = "SELECT pg_advisory_lock(hashtextextended('serin.dual.handover:entries', 0))";
        other.query_one(lock, &[]).await.unwrap();
        let error = dual.settle(&mut pair, Phase::ReadNewDualWrite, &PATIENT).await.unwrap_err();
        assert!(matches!(error, Error::Busy), "{error}");
        other.query_one(&lock.replace("_lock", "_unlock"), &[]).await.unwrap();
    }
    dual.settle(&mut pair, Phase::NewOnly, &PATIENT).await.unwrap();
    let receipt = dual.write(&mut pair, "a", &entry("a", 1)).await.unwrap();
    assert_eq!((receipt.side, receipt.position), (Side::New, None));
}
