//! Decide, store, act: what the executor promises around a crash and a full disk.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_core::{
    Actor, Analysis, ArmCounts, Ask, Bake, CountKey, Counts, DeployAsk, Event, Limits, LogLimits,
    Millis, Observation, Plan, Probe, ProbeKind, RecordedTick, RevisionId, RevisionObservation,
    RolloutRecord, RunSpec, Schedule, ServiceName, ServiceSpec, Shared, Step, Timestamp,
    TrafficSpec, Weight, judge_again,
};
use serin_server::executor::{Effect, Error, Executor};
use serin_server::export::Export;
use serin_store::{Ballast, Store};
use std::collections::BTreeMap;

const START: Timestamp = Timestamp(1_000_000);

fn shop() -> ServiceName {
    "shop".parse().unwrap()
}

fn revision(version: &str) -> RevisionId {
    format!("{version}@aa").parse().unwrap()
}

fn spec() -> ServiceSpec {
    let bake = Bake {
        at_least: Millis(0),
        requests: 0,
        until_evidence: true,
        deadline: Millis::secs(600),
    };
    let steps = vec![
        Step::SetWeight(Weight::percent(20).unwrap()),
        Step::Bake(bake),
        Step::SetWeight(Weight::ALL),
    ];
    ServiceSpec {
        name: shop(),
        environment: "production".into(),
        replicas: 2,
        version: None,
        run: RunSpec {
            command: vec!["./shop".into()],
            env: BTreeMap::new(),
            env_files: vec![],
            working_directory: "/srv".into(),
            user: None,
            limits: Limits::default(),
            readiness: Probe {
                kind: ProbeKind::Tcp,
                period: Millis::secs(1),
                timeout: Millis::secs(1),
                failure_threshold: 3,
                success_threshold: 1,
                initial_delay: Millis(0),
            },
            liveness: None,
            grace: Millis::secs(1),
            log: LogLimits::default(),
            metrics: None,
            database: None,
        }
        .into(),
        traffic: TrafficSpec {
            request_timeout: Millis(0),
            ..TrafficSpec::at("127.0.0.1:8080".parse().unwrap())
        },
        schedule: Schedule {
            analysis: Some(Analysis::default()),
            warm_up: Millis(0),
            progress_deadline: Millis::secs(60),
            keep_warm: Millis(0),
            ..Schedule::of("canary", steps)
        }
        .into(),
        on_new_revision: serin_core::OnNewRevision::default(),
        rollback: serin_core::RollbackSpec::default(),
        data: None,
        clients: None,
        train: None,
        notify: vec![],
        history_limit: 10,
        instance_hour_cost: None,
        flag: None,
    }
}

fn deploy(version: &str) -> Event {
    let ask = DeployAsk {
        spec: spec(),
        revision: revision(version),
        allow_bad: false,
        departure: None,
        skips: serin_core::Skips::Nothing,
    };
    Event::Asked { by: Actor("ada".into()), reason: None, ask: Ask::Deploy(Box::new(ask)) }
}

/// What a platform that did everything would report.
fn done(plan: &Plan, n: u64) -> Event {
    let seen = |replicas| RevisionObservation {
        ready: replicas,
        youngest_ready_at: Some(START),
        ..RevisionObservation::default()
    };
    let revisions = plan.revisions.iter().map(|(id, r)| (id.clone(), seen(r.replicas))).collect();
    Event::Observed(Observation {
        seq: (plan.generation.epoch, n),
        applied: Some(plan.generation),
        revisions,
        fresh: None,
        trouble: None,
    })
}

fn plan(executor: &Executor) -> Shared<Plan> {
    executor.service(&shop()).unwrap().plan.clone().unwrap()
}

fn settle(executor: &mut Executor, from: u64) {
    for n in from..from + 10 {
        let seen = done(&plan(executor), n);
        executor.submit(&shop(), &seen, START).unwrap();
    }
}

/// v1 stable, v2 at 20 %.
fn on_trial(store: Store, ballast: Option<Ballast>) -> Executor {
    let (mut executor, _) = Executor::open(store, ballast, START).unwrap();
    executor.submit(&shop(), &deploy("v1"), START).unwrap();
    settle(&mut executor, 1);
    executor.submit(&shop(), &deploy("v2"), START).unwrap();
    settle(&mut executor, 20);
    assert_eq!(plan(&executor).weight(&revision("v2")), Weight::percent(20).unwrap());
    executor
}

/// A report in which half of the candidate's requests failed.
fn bad_report(executor: &Executor) -> Event {
    let arm = |n, errors| ArmCounts { n, errors, assigned: n, ..ArmCounts::default() };
    let arms = [(revision("v1"), arm(800, 0)), (revision("v2"), arm(200, 100))];
    let generation = plan(executor).generation;
    let key = CountKey { epoch: 5, seq: 1 };
    Event::Counted(vec![Counts {
        key,
        generation,
        closed_through: 9,
        arms: arms.into(),
        fresh: None,
        crossed: 0,
    }])
}

fn applied(effects: &[Effect]) -> Vec<&Shared<Plan>> {
    effects.iter().filter_map(|e| if let Effect::Apply(p) = e { Some(p) } else { None }).collect()
}

#[test]
fn a_crash_between_commit_and_action_loses_no_decision() {
    let mut executor = on_trial(Store::in_memory().unwrap(), None);
    let bad = bad_report(&executor);
    let lost = executor.submit(&shop(), &bad, START).unwrap();
    let wanted = applied(&lost)[0].clone();
    assert_eq!(wanted.weight(&revision("v2")), Weight::NONE);
    // The effects are never carried out; the next controller hands them out itself.
    let (executor, effects) = Executor::open(executor.into_store(), None, START).unwrap();
    let again = applied(&effects)[0];
    assert!(again.same_world(&wanted));
    assert!(again.generation > wanted.generation, "under its own epoch");
    assert_eq!(executor.owed().len(), 1);
}

#[test]
fn a_plan_is_owed_until_it_is_seen() {
    let (mut executor, _) = Executor::open(Store::in_memory().unwrap(), None, START).unwrap();
    executor.submit(&shop(), &deploy("v1"), START).unwrap();
    assert_eq!(executor.owed(), [plan(&executor)]);
    settle(&mut executor, 1);
    assert_eq!(executor.owed(), []);
    assert_eq!(executor.store().outbox().unwrap(), []);
}

#[test]
fn a_full_disk_stops_new_decisions_but_not_the_way_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("serin.db")).unwrap();
    let ballast = Ballast::new(dir.path().join("ballast"));
    ballast.hold().unwrap();
    let mut executor = on_trial(store, Some(ballast.clone()));
    executor.store().limit_pages(Some(1));
    // The last page of the file has some room; soon it has not.
    let mut deploys = (3..200).map(|n| executor.submit(&shop(), &deploy(&format!("v{n}")), START));
    let refused = deploys.find_map(Result::err);
    assert!(matches!(refused, Some(Error::Store(serin_store::Error::Full))), "{refused:?}");
    assert!(executor.trouble().is_some());
    let reason = Some("x".repeat(200_000));
    let abort = Event::Asked { by: Actor("ada".into()), reason, ask: Ask::Abort };
    let effects = executor.submit(&shop(), &abort, START).unwrap();
    let back = applied(&effects)[0];
    assert_eq!(back.weight(&revision("v1")), Weight::ALL);
    assert!(!ballast.is_held(), "the held-back space was given up for it");
    executor.store().limit_pages(None);
    assert!(executor.recover(START));
    assert!(executor.trouble().is_none());
    settle(&mut executor, 5000);
    let logged = executor.store().events(&shop()).unwrap();
    assert!(logged.iter().any(|e| e.event == abort), "written as soon as there is room");
}

/// It starts instances, so it has to be written first; no space is held back from it.
#[test]
fn on_a_full_disk_held_back_space_is_for_a_rollback_too_and_for_no_deploy() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("serin.db")).unwrap();
    let ballast = Ballast::new(dir.path().join("ballast"));
    ballast.hold().unwrap();
    let mut executor = on_trial(store, Some(ballast.clone()));
    let ask = |ask, reason| Event::Asked { by: Actor("ada".into()), reason, ask };
    executor.submit(&shop(), &ask(Ask::Promote { full: true }, None), START).unwrap();
    settle(&mut executor, 100);
    let later = START.plus(Millis::secs(3600));
    executor.submit(&shop(), &Event::Woke, later).unwrap();
    settle(&mut executor, 200);
    assert_eq!(executor.service(&shop()).unwrap().stable, Some(revision("v2")));
    executor.store().limit_pages(Some(1));
    let mut deploys = (3..200).map(|n| executor.submit(&shop(), &deploy(&format!("v{n}")), START));
    assert!(deploys.find_map(Result::err).is_some());
    drop(deploys);
    assert!(ballast.is_held(), "a deploy can wait");
    let back = ask(Ask::Rollback { to: Some(revision("v1")) }, Some("x".repeat(200_000)));
    let refused = executor.submit(&shop(), &back, START);
    assert!(matches!(refused, Err(Error::Store(serin_store::Error::Full))), "{refused:?}");
    assert!(!ballast.is_held(), "the space was given up; here it is no help");
    executor.store().limit_pages(None);
    executor.submit(&shop(), &back, START).unwrap();
    assert_eq!(
        executor.service(&shop()).unwrap().rollout.as_ref().unwrap().candidate,
        revision("v1")
    );
}

#[test]
fn what_says_nothing_new_is_not_logged() {
    let (mut executor, _) = Executor::open(Store::in_memory().unwrap(), None, START).unwrap();
    executor.submit(&shop(), &deploy("v1"), START).unwrap();
    settle(&mut executor, 1);
    let before = executor.store().events(&shop()).unwrap().len();
    settle(&mut executor, 50);
    executor.submit(&shop(), &Event::Woke, START).unwrap();
    assert_eq!(executor.store().events(&shop()).unwrap().len(), before);
}

#[test]
fn only_a_deploy_makes_a_service() {
    let (mut executor, _) = Executor::open(Store::in_memory().unwrap(), None, START).unwrap();
    let result = executor.submit(&shop(), &Event::Woke, START);
    assert!(matches!(result, Err(Error::UnknownService(_))));
    assert_eq!(executor.services().count(), 0);
}

#[test]
fn a_removed_service_is_forgotten_when_nothing_of_it_is_left() {
    let mut executor = on_trial(Store::in_memory().unwrap(), None);
    let remove = Event::Asked { by: Actor("ada".into()), reason: None, ask: Ask::Remove };
    executor.submit(&shop(), &remove, START).unwrap();
    assert!(plan(&executor).revisions.is_empty());
    let seen = done(&plan(&executor), 60);
    let effects = executor.submit(&shop(), &seen, START).unwrap();
    assert!(effects.contains(&Effect::Forget(shop())), "{effects:?}");
    assert_eq!(executor.services().count(), 0);
}

#[test]
fn another_writer_of_the_database_does_not_stop_the_way_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut executor = on_trial(Store::open(&path).unwrap(), None);
    let bad = bad_report(&executor);
    // A backup, or somebody's shell.
    let mut other = rusqlite::Connection::open(&path).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let effects = executor.submit(&shop(), &bad, START).unwrap();
    assert_eq!(applied(&effects)[0].weight(&revision("v1")), Weight::ALL);
    let refused = executor.submit(&shop(), &deploy("v3"), START);
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    drop(held);
    assert!(executor.recover(START));
    let logged = executor.store().events(&shop()).unwrap();
    assert!(logged.iter().any(|e| e.event == bad));
}

#[test]
fn a_service_made_anew_goes_on_from_the_records_of_the_one_before() {
    let mut executor = on_trial(Store::in_memory().unwrap(), None);
    let bad = bad_report(&executor);
    executor.submit(&shop(), &bad, START).unwrap();
    settle(&mut executor, 40);
    let remove = Event::Asked { by: Actor("ada".into()), reason: None, ask: Ask::Remove };
    executor.submit(&shop(), &remove, START).unwrap();
    let seen = done(&plan(&executor), 60);
    executor.submit(&shop(), &seen, START).unwrap();
    assert!(executor.service(&shop()).is_none());
    executor.submit(&shop(), &deploy("v1"), START).unwrap();
    assert_eq!(executor.service(&shop()).unwrap().rollout.as_ref().unwrap().id, 3);
    settle(&mut executor, 100);
    assert_eq!(executor.store().rolled_back().unwrap().len(), 1);
    assert_eq!(executor.store().records(&shop(), 10).unwrap().len(), 3);
}

#[test]
fn a_deploy_that_cannot_be_stored_leaves_no_service_behind() {
    let (mut executor, _) = Executor::open(Store::in_memory().unwrap(), None, START).unwrap();
    executor.store().limit_pages(Some(1));
    let mut deploys = (1..100).map(|n| {
        let mut event = deploy("v1");
        if let Event::Asked { ask: Ask::Deploy(ask), .. } = &mut event {
            ask.spec.name = format!("shop-{n}").parse().unwrap();
            ask.spec.run.command.push("x".repeat(20_000));
        }
        let name = format!("shop-{n}").parse().unwrap();
        (executor.submit(&name, &event, START).is_err(), executor.service(&name).is_some())
    });
    assert_eq!(deploys.find(|(refused, _)| *refused), Some((true, false)));
}

/// Counts of the present plan after `seconds` of 400 requests, every fiftieth of the candidate's
/// failed.
fn report(executor: &Executor, seconds: u64) -> Event {
    let plan = plan(executor);
    let arm = |id: &RevisionId| {
        let n = u64::from(plan.weight(id).parts()) / 250 * seconds;
        let errors = if *id == revision("v2") { n / 50 } else { 0 };
        let mut arm = ArmCounts { n, errors, assigned: n, ..ArmCounts::default() };
        (0..n - errors).for_each(|i| arm.latency.record_us(20_000 + i % 20 * 500));
        (id.clone(), arm)
    };
    Event::Counted(vec![Counts {
        key: CountKey { epoch: 5, seq: seconds },
        generation: plan.generation,
        closed_through: 1000 + seconds as i64,
        arms: plan.revisions.keys().map(arm).collect(),
        fresh: None,
        crossed: 0,
    }])
}

#[test]
fn a_rollout_is_judged_again_bit_by_bit_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut executor = on_trial(Store::open(&path).unwrap(), None);
    for second in 1..=3 {
        let seen = report(&executor, second);
        executor.submit(&shop(), &seen, START).unwrap();
    }
    let judge = executor.service(&shop()).unwrap().rollout.as_ref().unwrap().judge.clone();
    drop(executor);
    let (mut executor, _) = Executor::open(Store::open(&path).unwrap(), None, START).unwrap();
    assert_eq!(executor.service(&shop()).unwrap().rollout.as_ref().unwrap().judge, judge);
    settle(&mut executor, 200);
    let later = Timestamp(START.0 + 120_000);
    for second in 4..60 {
        let seen = report(&executor, second);
        executor.submit(&shop(), &seen, later).unwrap();
        settle(&mut executor, 300 + second * 20);
    }
    let record = executor.service(&shop()).unwrap().last.clone().unwrap();
    assert_eq!(record.cause.as_ref().map(|c| c.code.as_str()), Some("errors"));
    let ticks = executor.store().ticks(&shop(), record.id, 0, 10_000).unwrap();
    let judge = judge_again(ticks.iter().map(|(_, tick)| tick)).unwrap();
    assert_eq!(Some(judge.assess(record.assessed_at.unwrap())), record.assessment);
    exported(&ticks, &record);
}

/// The lines of the export hold the settings, each tick and the verdict.
fn exported(ticks: &[(u64, RecordedTick)], record: &RolloutRecord) {
    let mut export = Export::new("shop", record.id);
    let line = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let lines: Vec<_> = ticks.iter().map(|(_, tick)| line(export.line(tick).unwrap())).collect();
    assert_eq!((&lines[0]["run"], &lines[0]["rungs"]), (&"shop/2".into(), &1.into()));
    assert_eq!(lines[0]["settings"]["alpha"], 0.01);
    let times: Vec<_> = lines[1..].iter().map(|l| l["t"].as_f64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    let requests: u64 = lines[1..].iter().map(|l| l["canary"]["n"].as_u64().unwrap()).sum();
    let judged = record.assessment.as_ref().unwrap();
    assert_eq!(requests, judged.canary_n);
    let end = line(export.end(record.assessment.as_ref(), record.assessed_at, None).unwrap());
    assert_eq!(end["recorded"]["verdict"], "fail");
    assert_eq!(end["recorded"]["evidence"].as_f64(), Some(judged.fail_evidence));
    assert_eq!(end["recorded"]["complete"], true);
    assert!(end["recorded"].get("gone_since").is_none());
    let gone = Export::new("shop", record.id).end(record.assessment.as_ref(), None, Some(START));
    let gone = gone.unwrap();
    assert!(gone[..60].contains(r#""gone_since":1000000"#), "the line begins with it: {gone}");
    assert_eq!(line(gone)["recorded"]["complete"], false);
}

/// A second service, as far as `on_trial` brings the first.
fn second_on_trial(executor: &mut Executor) -> ServiceName {
    let name: ServiceName = "till".parse().unwrap();
    for (version, from) in [("v1", 1), ("v2", 20)] {
        let mut event = deploy(version);
        if let Event::Asked { ask: Ask::Deploy(ask), .. } = &mut event {
            ask.spec.name = name.clone();
        }
        executor.submit(&name, &event, START).unwrap();
        for n in from..from + 10 {
            let plan = executor.service(&name).unwrap().plan.clone().unwrap();
            executor.submit(&name, &done(&plan, n), START).unwrap();
        }
    }
    name
}

#[test]
fn facts_together_do_what_they_do_one_by_one() {
    let mut together = on_trial(Store::in_memory().unwrap(), None);
    let mut singly = on_trial(Store::in_memory().unwrap(), None);
    let other = second_on_trial(&mut together);
    second_on_trial(&mut singly);
    let gone: ServiceName = "nobody".parse().unwrap();
    let facts = vec![
        (shop(), bad_report(&together)),
        (other.clone(), report(&together, 1)),
        (gone.clone(), Event::Woke),
        (shop(), done(&plan(&together), 2)),
        (shop(), report(&together, 2)),
        (other, Event::Woke),
    ];
    let outcome = together.submit_all(&facts, START);
    let mut effects = vec![];
    for (name, event) in &facts {
        effects.extend(singly.submit(name, event, START).unwrap_or_default());
    }
    assert_eq!(outcome.effects, effects);
    assert!(!applied(&effects).is_empty());
    assert!(matches!(&outcome.failed[..], [(name, Error::UnknownService(_))] if *name == gone));
    let states =
        |executor: &Executor| executor.services().cloned().map(Shared::from).collect::<Vec<_>>();
    assert_eq!(states(&together), states(&singly));
    assert_eq!(together.store().services().unwrap(), states(&together));
    assert_eq!(together.next_wake(), singly.next_wake());
    // Numbers are shared by all services, and those with orders come first.
    let events = |executor: &Executor| {
        let all = executor.store().events(&shop()).unwrap();
        all.into_iter().map(|logged| (logged.at, logged.event)).collect::<Vec<_>>()
    };
    assert_eq!(events(&together), events(&singly));
}

#[test]
fn of_facts_that_cannot_be_stored_only_the_way_back_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.db");
    let mut executor = on_trial(Store::open(&path).unwrap(), None);
    let other = second_on_trial(&mut executor);
    let before = executor.service(&other).unwrap().clone();
    let mut locker = rusqlite::Connection::open(&path).unwrap();
    let held = locker.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let facts = [(other.clone(), report(&executor, 1)), (shop(), bad_report(&executor))];
    let outcome = executor.submit_all(&facts, START);
    assert_eq!(applied(&outcome.effects)[0].weight(&revision("v2")), Weight::NONE);
    assert!(matches!(outcome.failed[0].1, Error::Store(_)));
    assert_eq!(executor.service(&other), Some(&before), "nothing of it happened");
    assert!(executor.trouble().is_some());
    drop(held);
    assert!(executor.recover(START));
    // The facts come again.
    executor.submit_all(&facts[..1], START);
    assert_ne!(executor.service(&other), Some(&before));
}
