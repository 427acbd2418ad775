//! What is written is read back, all of it or nothing, also from a file opened again.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_core::{
    Actor, Ask, DeployAsk, Event, Generation, Given, Notice, Observation, Occasion, RecordedTick,
    RevisionId, Service, ServiceName, ServiceSpec, Timestamp, Transition, step,
};
use serin_store::{Ballast, Commit, Error, NoticeEnd, Store};

const SPEC: &str = r#"{
  "name": "shop", "environment": "production", "replicas": 2, "version": null,
  "run": {
    "command": ["./shop"], "env": {}, "env_files": [], "working_directory": "/srv", "user": null,
    "limits": {"open_files": null, "memory_bytes": null, "processes": null},
    "readiness": {"kind": "tcp", "period": 1000, "timeout": 1000, "failure_threshold": 3,
                  "success_threshold": 1, "initial_delay": 0},
    "liveness": null, "grace": 30000, "log": {"max_bytes": 1000, "keep": 2}
  },
  "traffic": {"listen": "127.0.0.1:8080", "request_timeout": 60000},
  "schedule": {
    "strategy": "canary", "stages": [{"name": "canary", "steps": [{"setWeight": 100000}]}],
    "analysis": null, "warm_up": 0, "progress_deadline": 60000, "keep_warm": 0
  }
}"#;

const NOW: Timestamp = Timestamp(1_000);

fn shop() -> ServiceName {
    "shop".parse().unwrap()
}

fn deploy() -> (Event, Transition) {
    let spec: ServiceSpec = serde_json::from_str(SPEC).unwrap();
    let revision: RevisionId = "v1@aa11".parse().unwrap();
    let service = Service::new(spec.clone());
    let ask = Ask::Deploy(Box::new(DeployAsk {
        spec,
        revision,
        allow_bad: false,
        departure: None,
        skips: serin_core::Skips::Nothing,
    }));
    let event = Event::Asked { by: Actor("ada".into()), reason: Some("first".into()), ask };
    let transition = step(&service, &event, NOW);
    (event, transition)
}

fn write(store: &mut Store, event: &Event, transition: &Transition) -> Result<Option<u64>, Error> {
    store.commit(&[Commit {
        at: NOW,
        event,
        service: &transition.next,
        apply: transition.apply.as_deref(),
        journal: &transition.journal,
        records: &transition.records,
        ticks: &transition.ticks,
        notices: &transition.notices,
    }])
}

#[test]
fn one_commit_holds_event_state_plan_and_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let (event, transition) = deploy();
    let mut store = Store::open(&path).unwrap();
    let last = write(&mut store, &event, &transition).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.services().unwrap(), [transition.next]);
    assert_eq!(store.outbox().unwrap(), [transition.apply.unwrap().into_inner()]);
    let logged = store.events(&shop()).unwrap();
    assert_eq!((logged.len(), &logged[0].event, logged[0].at), (1, &event, NOW));
    let lines = store.journal(None, 0, 100).unwrap();
    assert_eq!(last, lines.last().map(|line| line.seq));
    assert_eq!(lines.len(), transition.journal.len());
}

/// The platform saw nothing running and has applied `generation`.
fn seen(generation: Generation) -> Event {
    let applied = Some(generation);
    Event::Observed(Observation { seq: (1, generation.n), applied, ..Observation::default() })
}

#[test]
fn a_plan_is_owed_until_its_generation_is_seen() {
    let mut store = Store::in_memory().unwrap();
    let (event, first) = deploy();
    write(&mut store, &event, &first).unwrap();
    let wanted = first.next.generation;
    let late = seen(Generation { n: wanted.n - 1, ..wanted });
    let second = step(&first.next, &late, NOW);
    write(&mut store, &late, &second).unwrap();
    assert_eq!(store.outbox().unwrap().len(), 1);
    let now = Event::Observed(Observation {
        seq: (2, 0),
        applied: Some(wanted),
        ..Observation::default()
    });
    let third = step(&second.next, &now, NOW);
    write(&mut store, &now, &third).unwrap();
    assert_eq!(store.outbox().unwrap(), []);
}

#[test]
fn an_epoch_is_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let epochs: Vec<_> =
        (0..3).map(|_| Store::open(&path).unwrap().claim_epoch().unwrap()).collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn a_controller_that_was_followed_by_another_writes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let (event, transition) = deploy();
    let (mut old, mut new) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    old.claim_epoch().unwrap();
    write(&mut old, &event, &transition).unwrap();
    new.claim_epoch().unwrap();
    let refused = write(&mut old, &event, &transition).unwrap_err();
    assert!(matches!(refused, Error::Superseded { newest: 2, own: 1 }), "{refused}");
    assert_eq!(new.events(&shop()).unwrap().len(), 1);
    write(&mut new, &event, &transition).unwrap();
    assert_eq!(new.events(&shop()).unwrap().len(), 2);
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let mut store = Store::in_memory().unwrap();
    let (event, transition) = deploy();
    write(&mut store, &event, &transition).unwrap();
    store.limit_pages(Some(1));
    let mut changed = transition.clone();
    changed.next.spec.environment = "x".repeat(1 << 20);
    assert!(matches!(write(&mut store, &event, &changed), Err(Error::Full)));
    assert_eq!(store.services().unwrap(), std::slice::from_ref(&transition.next));
    assert_eq!(store.events(&shop()).unwrap().len(), 1);
    store.limit_pages(None);
    write(&mut store, &event, &changed).unwrap();
    assert_eq!(store.services().unwrap(), [changed.next]);
}

#[test]
fn records_are_counted_by_version_and_reason() {
    let mut store = Store::in_memory().unwrap();
    let (event, first) = deploy();
    let abort = Event::Asked { by: Actor("ada".into()), reason: None, ask: Ask::Abort };
    let reverting = step(&first.next, &abort, NOW).next;
    let mut ended = step(&reverting, &seen(reverting.generation), NOW);
    ended.records[0].outcome = serin_core::Outcome::RolledBack;
    write(&mut store, &event, &ended).unwrap();
    let lines = store.rolled_back().unwrap();
    assert_eq!(
        (lines[0].version.as_str(), lines[0].reason.as_str(), lines[0].count),
        ("v1", "person", 1)
    );
    assert_eq!(store.record(&shop(), 1).unwrap(), ended.records.first().cloned());
    assert_eq!(store.records(&shop(), 10).unwrap(), ended.records);
}

#[test]
fn a_service_that_is_gone_leaves_its_history() {
    let mut store = Store::in_memory().unwrap();
    let (event, first) = deploy();
    write(&mut store, &event, &first).unwrap();
    let remove = Event::Asked { by: Actor("ada".into()), reason: None, ask: Ask::Remove };
    let second = step(&first.next, &remove, NOW);
    write(&mut store, &remove, &second).unwrap();
    let gone = seen(second.next.generation);
    let third = step(&second.next, &gone, NOW);
    write(&mut store, &gone, &third).unwrap();
    assert_eq!(store.services().unwrap(), []);
    assert!(store.outbox().unwrap().is_empty());
    assert_eq!(store.events(&shop()).unwrap().len(), 3);
}

#[test]
fn a_store_of_a_newer_serin_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    drop(Store::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    assert!(matches!(Store::open(&path), Err(Error::Newer { found: 99, .. })));
}

#[test]
fn ballast_holds_real_bytes_and_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let ballast = Ballast::new(dir.path().join("ballast"));
    ballast.hold().unwrap();
    ballast.hold().unwrap();
    let meta = std::fs::metadata(dir.path().join("ballast")).unwrap();
    assert!(std::os::unix::fs::MetadataExt::blocks(&meta) * 512 >= meta.len());
    ballast.release();
    assert!(!ballast.is_held());
}

/// A transition that records `count` ticks of rollout `id`.
fn with_ticks(transition: &Transition, id: u64, count: usize) -> Transition {
    let rung = serin_stats::Rung::LAST;
    let given = Given::Tick(serin_stats::Tick { seconds: 1, ..Default::default() });
    let tick = RecordedTick { rollout: id, at: NOW, rung, given };
    Transition { ticks: vec![tick; count], ..transition.clone() }
}

#[test]
fn ticks_are_kept_in_order_and_read_in_pages() {
    let mut store = Store::in_memory().unwrap();
    let (event, transition) = deploy();
    write(&mut store, &event, &with_ticks(&transition, 1, 3)).unwrap();
    write(&mut store, &event, &with_ticks(&transition, 2, 1)).unwrap();
    write(&mut store, &event, &with_ticks(&transition, 1, 2)).unwrap();
    let numbers = |after, limit| -> Vec<u64> {
        let page = store.ticks(&shop(), 1, after, limit).unwrap();
        page.into_iter().map(|(seq, _)| seq).collect()
    };
    assert_eq!(numbers(0, 4), [1, 2, 3, 4]);
    assert_eq!(numbers(4, 4), [5]);
    assert_eq!(numbers(5, 4), [0; 0]);
}

/// A deploy that two targets are told of.
fn told() -> (Event, Transition) {
    let (event, mut turn) = deploy();
    let notice = |n: u64| Notice {
        key: format!("shop/1/started/1000/{n}"),
        to: vec!["chat".into(), "oncall".into()],
        event: Occasion::Started,
        at: NOW,
        rollout: Some(1),
        revision: None,
        text: "shop: rollout to v1 started".into(),
        reason: "rollout to v1 started".into(),
        command: "serin status shop".into(),
    };
    turn.notices = vec![notice(0), notice(1)];
    (event, turn)
}

#[test]
fn notices_are_written_with_their_decision_and_go_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let (event, turn) = told();
    let mut store = Store::open(&path).unwrap();
    // Written again, as what could not be written at first is, they are the same.
    for _ in 0..2 {
        write(&mut store, &event, &turn).unwrap();
    }
    drop(store);
    let mut store = Store::open(&path).unwrap();
    let owed = store.notices().unwrap();
    assert_eq!(owed.len(), 4);
    assert_eq!(owed[0].notice, Notice { to: vec![], ..turn.notices[0].clone() });
    let end = |n: usize, target: &str, gave_up: Option<&str>| NoticeEnd {
        key: turn.notices[n].key.clone(),
        target: target.into(),
        gave_up: gave_up.map(Into::into),
    };
    store.end_notices(&[end(0, "chat", None), end(0, "oncall", Some("down"))]).unwrap();
    let left = |store: &Store| -> Vec<(String, String, Option<String>)> {
        let left = store.notices().unwrap().into_iter();
        left.map(|one| (one.notice.key, one.target, one.gave_up)).collect()
    };
    let (first, second) = (turn.notices[0].key.clone(), turn.notices[1].key.clone());
    let chat = (second.clone(), "chat".to_owned(), None);
    let (gone, open) = (
        (first, "oncall".to_owned(), Some("down".to_owned())),
        (second, "oncall".to_owned(), None),
    );
    assert_eq!(left(&store), [gone, chat.clone(), open]);
    // One that arrives ends the story of those that were given up.
    store.end_notices(&[end(1, "oncall", None)]).unwrap();
    assert_eq!(left(&store), [chat]);
    store.drop_notices(&shop(), "chat").unwrap();
    assert_eq!(store.notices().unwrap(), []);
}

#[test]
fn the_newest_checkups_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut store = Store::open(&path).unwrap();
    let long = format!("\"{}\"", "x".repeat(5000));
    for (rollout, text) in [(2, "\"early\""), (9, long.as_str()), (2, "\"late\"")] {
        store.keep_checkup(&shop(), rollout, text).unwrap();
    }
    drop(store);
    let store = Store::open(&path).unwrap();
    let all = [(9, long.clone()), (2, "\"late\"".to_owned())];
    assert_eq!(store.checkups(&shop(), 10).unwrap(), all);
    assert_eq!(store.checkups(&shop(), 1).unwrap(), all[..1]);
    assert_eq!(store.checkups(&"other".parse().unwrap(), 10).unwrap(), []);
}

#[test]
fn no_notice_is_written_without_its_decision() {
    let (event, mut turn) = told();
    turn.next.spec.environment = "x".repeat(1 << 20);
    let mut store = Store::in_memory().unwrap();
    store.limit_pages(Some(1));
    assert!(matches!(write(&mut store, &event, &turn), Err(Error::Full)));
    store.limit_pages(None);
    assert_eq!(store.notices().unwrap(), []);
}
