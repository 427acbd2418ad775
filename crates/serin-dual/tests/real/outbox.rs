//! Writes and the worker, one thing at a time.

use crate::ledger::{Entries, Place, STREAM, entry, write_next};
use serin_dual::outbox::{
    Change, Connect as _, Dual, Error, HandoverLimits, OnDead, Receipt, Tally, Worker,
    WorkerSettings, backlog, dead_letters, discard, requeue, setup,
};
use serin_dual::{Phase, Side};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

fn dual() -> Dual<Entries> {
    Dual::new(STREAM, Entries)
}

fn eager(on_dead: OnDead) -> WorkerSettings {
    WorkerSettings { attempts: 2, pause: Duration::ZERO, on_dead, ..WorkerSettings::default() }
}

#[tokio::test]
async fn nothing_follows_until_it_is_recorded() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    let receipt = dual.write(&mut pair, "a", &entry("a", 1)).await.unwrap();
    assert_eq!(receipt, Receipt { side: Side::Old, position: None });
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    let receipt = dual.write(&mut pair, "a", &entry("a", 2)).await.unwrap();
    assert!(receipt.position.is_some());
    assert_eq!(place.sql(Side::Old, "SELECT count(*) FROM serin.dual_outbox"), "1");
}

/// The write and its row in the outbox are one: neither is there without the other.
#[tokio::test]
async fn a_write_given_up_leaves_nothing() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    let bad = Change::new("bad", serde_json::Value::Null);
    assert!(matches!(dual.write(&mut pair, "a", &bad).await, Err(Error::Refused(_))));
    let writing = dual.begin(&mut pair, "a").await.unwrap();
    writing.store().execute("INSERT INTO entries VALUES (1, 'a', 1)", &[]).await.unwrap();
    drop(writing);
    let both = "SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM serin.dual_outbox)";
    assert_eq!(place.sql(Side::Old, both), "0");
}

#[tokio::test]
async fn a_missing_new_store_stops_no_write() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteShadowRead, &HandoverLimits::default()).await.unwrap();
    pair.new = None;
    for _ in 0..3 {
        write_next(&dual, &mut pair, "a").await;
    }
    let old = pair.old.as_ref().unwrap();
    let waits = backlog(old, Side::Old, STREAM).await.unwrap();
    assert_eq!((waits.waiting, waits.dead), (3, 0));
}

#[tokio::test]
async fn a_round_applies_in_order_and_a_repeated_one_changes_nothing() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    for number in 0..90 {
        write_next(&dual, &mut pair, ["a", "b", "c"][number % 3]).await;
    }
    let worker = Worker::new(&dual, Side::Old, WorkerSettings::default());
    place.sql(Side::Old, "CREATE TABLE kept AS SELECT * FROM serin.dual_outbox");
    let (old, new) = pair.both().unwrap();
    let round = worker.round(old, new).await.unwrap();
    assert_eq!((round.claimed, round.applied, round.repeated), (90, 90, 0));
    assert_eq!(place.check(), 90);
    // As after a kill between the commit there and the one here.
    place
        .sql(Side::Old, "INSERT INTO serin.dual_outbox OVERRIDING SYSTEM VALUE SELECT * FROM kept");
    let round = worker.round(old, new).await.unwrap();
    assert_eq!((round.claimed, round.applied, round.repeated), (90, 0, 90));
    assert_eq!(place.check(), 90);
}

#[tokio::test]
async fn a_refused_change_is_tried_then_kept_with_its_reason_and_its_key_waits() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    // The new store refuses one number.
    place.sql(Side::New, "ALTER TABLE entries ADD CONSTRAINT no_two CHECK (number <> 2)");
    for account in ["a", "a", "a", "b"] {
        write_next(&dual, &mut pair, account).await;
    }
    let worker = Worker::new(&dual, Side::Old, eager(OnDead::Wait));
    let (old, new) = pair.both().unwrap();
    let first = worker.round(old, new).await.unwrap();
    assert_eq!((first.applied, first.refused, first.dead), (2, 1, 0));
    let second = worker.round(old, new).await.unwrap();
    assert_eq!((second.applied, second.refused, second.dead), (0, 0, 1));
    assert_eq!(worker.round(old, new).await.unwrap().claimed, 0);
    let dead = dead_letters(old, Side::Old, STREAM, 10).await.unwrap().pop().unwrap();
    assert_eq!((dead.key.as_str(), dead.attempts, dead.behind), ("a", 2, 1));
    assert!(dead.reason.contains("no_two") && dead.reason.contains("23514"), "{}", dead.reason);
    let waits = backlog(old, Side::Old, STREAM).await.unwrap();
    assert_eq!((waits.waiting, waits.dead), (1, 1));
    // Mended, it goes on where it stood.
    place.sql(Side::New, "ALTER TABLE entries DROP CONSTRAINT no_two");
    assert!(requeue(old, Side::Old, STREAM, dead.position).await.unwrap());
    assert!(!requeue(old, Side::Old, STREAM, dead.position).await.unwrap());
    assert_eq!(worker.round(old, new).await.unwrap().applied, 2);
    assert_eq!(place.check(), 4);
}

#[tokio::test]
async fn where_whole_states_are_written_a_dead_letter_lets_later_ones_pass() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    place.sql(Side::New, "ALTER TABLE entries ADD CONSTRAINT no_one CHECK (number <> 1)");
    for _ in 0..3 {
        write_next(&dual, &mut pair, "a").await;
    }
    let worker = Worker::new(&dual, Side::Old, eager(OnDead::Pass));
    let (old, new) = pair.both().unwrap();
    let rounds = [
        worker.round(old, new).await.unwrap(),
        worker.round(old, new).await.unwrap(),
        worker.round(old, new).await.unwrap(),
    ];
    assert_eq!(rounds.map(|round| round.applied), [0, 0, 2]);
    let dead = dead_letters(old, Side::Old, STREAM, 10).await.unwrap().pop().unwrap();
    assert!(discard(old, Side::Old, STREAM, dead.position).await.unwrap());
    assert_eq!(place.sql(Side::New, "SELECT string_agg(number::text, ' ') FROM entries"), "2 3");
}

/// The new store's server refuses everything for a while: nothing is given up, however long.
#[tokio::test]
async fn a_store_that_is_away_costs_no_attempts() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    write_next(&dual, &mut pair, "a").await;
    let worker = Worker::new(&dual, Side::Old, eager(OnDead::Wait));
    let (old, new) = pair.both().unwrap();
    new.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    for _ in 0..5 {
        let round = worker.round(old, new).await.unwrap();
        assert!(round.stopped.is_some() && round.dead == 0);
    }
    new.batch_execute("RESET default_transaction_read_only").await.unwrap();
    assert_eq!(worker.round(old, new).await.unwrap().applied, 1);
}

/// A lock on the new store's table holds neither the outbox nor the worker for ever.
#[tokio::test]
async fn a_store_that_hangs_is_left_and_tried_again() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    write_next(&dual, &mut pair, "a").await;
    let blocker = place.urls.connect(Side::New).await.unwrap();
    blocker.batch_execute("BEGIN; LOCK TABLE entries").await.unwrap();
    let settings = WorkerSettings {
        limit: Duration::from_secs(2),
        pause: Duration::from_millis(1),
        ..WorkerSettings::default()
    };
    let worker = Worker::new(&dual, Side::Old, settings);
    let (tally, (stop, stopped)) = (Tally::default(), watch::channel(false));
    let work = worker.run(&place.urls, &tally, stopped);
    let watch = async {
        while tally.interruptions.load(Ordering::Relaxed) < 1 {
            tokio::task::yield_now().await;
        }
        blocker.batch_execute("COMMIT").await.unwrap();
        while tally.applied.load(Ordering::Relaxed) < 1 {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
    };
    let (worked, ()) = tokio::join!(work, watch);
    worked.unwrap();
    assert_eq!(tally.dead.load(Ordering::Relaxed), 0);
    assert_eq!(place.check(), 1);
}

#[tokio::test]
async fn a_restored_outbox_is_seen() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    write_next(&dual, &mut pair, "a").await;
    write_next(&dual, &mut pair, "a").await;
    let worker = Worker::new(&dual, Side::Old, WorkerSettings::default());
    let (old, new) = pair.both().unwrap();
    worker.round(old, new).await.unwrap();
    worker.check(old, new).await.unwrap();
    place.sql(Side::Old, "SELECT setval('serin.dual_outbox_position_seq', 1)");
    let error = worker.check(old, new).await.unwrap_err();
    assert!(matches!(error, Error::Rewound { applied: 2, issued: 1, .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_set_up_is_said() {
    let Some(place) = Place::make().await else { return };
    let mut pair = place.pair().await;
    let other = Dual::new("other", Entries);
    let error = other.write(&mut pair, "a", &entry("a", 1)).await.unwrap_err();
    assert!(error.to_string().contains("`other` is not set up"), "{error}");
}

/// Two processes that start together both find the tables made.
#[tokio::test]
async fn setting_up_twice_at_once_is_fine() {
    let Some((cluster, old, new)) = crate::two() else { return };
    let urls = crate::urls(cluster, &old, &new);
    let (one, other) =
        (urls.connect(Side::Old).await.unwrap(), urls.connect(Side::Old).await.unwrap());
    let made = tokio::join!(setup(&one, Side::Old, STREAM), setup(&other, Side::Old, STREAM));
    made.0.unwrap();
    made.1.unwrap();
    setup(&one, Side::Old, STREAM).await.unwrap();
}

/// Many rows behind a dead letter do not hide other keys' rows.
#[tokio::test]
async fn what_waits_behind_a_dead_letter_hides_no_other_key() {
    let Some(place) = Place::make().await else { return };
    let (dual, mut pair) = (dual(), place.pair().await);
    dual.settle(&mut pair, Phase::DualWriteReadOld, &HandoverLimits::default()).await.unwrap();
    let fill = "INSERT INTO serin.dual_outbox (stream, key, change, dead_at) \
        SELECT 'entries', 'a', '{\"kind\": \"entry\", \"body\": null}', CASE WHEN i = 1 THEN now() END \
        FROM generate_series(1, 100) AS i";
    place.sql(Side::Old, fill);
    for _ in 0..30 {
        write_next(&dual, &mut pair, "b").await;
    }
    let settings = WorkerSettings { batch: 5, ..eager(OnDead::Wait) };
    let worker = Worker::new(&dual, Side::Old, settings);
    let (old, new) = pair.both().unwrap();
    for _ in 0..6 {
        assert_eq!(worker.round(old, new).await.unwrap().applied, 5);
    }
    assert_eq!(worker.round(old, new).await.unwrap().claimed, 0);
    assert_eq!(place.sql(Side::New, "SELECT max(number) FROM entries"), "30");
}
