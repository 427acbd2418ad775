//! Routes by header, copies, the preview.

use crate::support::{World, percent, serve};
use crate::{ALL, begun, by, candidate, finish, revision, settle};
use serin_core::*;

fn matches() -> Vec<HeaderMatch> {
    vec![HeaderMatch { header: "x-tester".into(), value: TextMatch::Exact("yes".into()) }]
}

fn route(name: &str, matches: Vec<HeaderMatch>) -> Step {
    Step::SetHeaderRoute(HeaderRoute { name: name.into(), matches })
}

fn mirror(share: u32) -> Step {
    Step::SetMirror(MirrorRoute { name: "copies".into(), matches: vec![], share: percent(share) })
}

#[test]
fn a_route_lasts_until_it_is_taken_away() {
    let steps = vec![
        route("testers", matches()),
        Step::Pause(None),
        route("testers", vec![]),
        Step::Pause(None),
        ALL,
    ];
    let mut world = begun(steps, |_| {});
    let rule = Rule { name: "testers".into(), matches: matches(), to: candidate() };
    assert_eq!(world.plan().rules, [rule]);
    assert_eq!((world.rollout().step.index, world.weight("v2")), (1, 0));
    by(&mut world, "ada", Ask::Promote { full: false }).unwrap();
    settle(&mut world);
    assert!(world.plan().rules.is_empty());
    assert_eq!(world.rollout().step.index, 3);
}

#[test]
fn a_step_is_done_when_the_data_plane_has_it() {
    for step in [route("testers", matches()), mirror(50)] {
        let mut world = begun(vec![Step::Pause(None), step, Step::Pause(None), ALL], |_| {});
        by(&mut world, "ada", Ask::Promote { full: false }).unwrap();
        let at = world.rollout().step.index;
        assert_eq!(at, 1, "{}", world.waiting);
        assert_eq!(world.waiting, "the data plane to confirm the plan");
        settle(&mut world);
        assert_eq!(world.rollout().step.index, 2);
    }
}

#[test]
fn the_preview_always_leads_somewhere() {
    let preview = |spec: &mut ServiceSpec| {
        spec.traffic.preview = Some("127.0.0.1:9090".parse().unwrap());
    };
    let leads = |world: &World| world.plan().preview.as_ref().map(|preview| preview.to.clone());
    let mut world = begun(vec![Step::Pause(None), ALL], preview);
    assert_eq!(leads(&world), Some(revision("v2")), "on trial");
    by(&mut world, "ada", Ask::Abort).unwrap();
    assert_eq!(leads(&world), Some(revision("v1")), "as soon as it goes back");
    settle(&mut world);
    assert!(world.service.rollout.is_none());
    assert_eq!(leads(&world), Some(revision("v1")), "between rollouts");
    world.deploy("v3").unwrap();
    assert_eq!(leads(&world), Some(revision("v1")), "v3 is not ready yet");
    settle(&mut world);
    assert_eq!(leads(&world), Some(revision("v3")));
    by(&mut world, "ada", Ask::Promote { full: true }).unwrap();
    settle(&mut world);
    assert_eq!(leads(&world), Some(revision("v3")), "{}", world.waiting);
}

#[test]
fn nothing_is_led_to_a_candidate_without_instances() {
    for step in [route("testers", matches()), mirror(50)] {
        let mut world = World::on_v1(vec![step, ALL]);
        world.service.spec.traffic.preview = Some("127.0.0.1:9090".parse().unwrap());
        world.deploy("v2").unwrap();
        let plan = world.plan();
        assert!(plan.rules.is_empty() && plan.mirror.is_none());
        assert_eq!(plan.preview.as_ref().map(|preview| &preview.to), Some(&revision("v1")));
        world.advance(70);
        assert!(
            world.waiting.contains("to stop") || world.waiting.contains("confirm"),
            "{}",
            world.waiting
        );
    }
}

type Way = fn(&mut World);

#[test]
fn every_way_out_takes_them_away_first() {
    let steps = || vec![route("testers", matches()), mirror(50), Step::Pause(None), ALL];
    let ways: [(&str, Way); 5] = [
        ("abort", |w| by(w, "ada", Ask::Abort).unwrap()),
        ("rollback", |w| by(w, "ada", Ask::Rollback { to: None }).unwrap()),
        ("newer revision", |w| w.deploy("v3").unwrap()),
        ("stable again", |w| w.deploy("v1").unwrap()),
        ("removal", |w| by(w, "ada", Ask::Remove).unwrap()),
    ];
    for (name, way) in ways {
        let mut world = begun(steps(), |_| {});
        assert!(!world.plan().rules.is_empty() && world.plan().mirror.is_some(), "{name}");
        let before = world.applied.len();
        way(&mut world);
        let after = &world.applied[before..];
        assert!(!after.is_empty(), "{name}: a plan at once");
        assert!(after.iter().all(|p| p.rules.is_empty() && p.mirror.is_none()), "{name}");
    }
    let mut world = begun(steps(), |_| {});
    by(&mut world, "ada", Ask::Promote { full: true }).unwrap();
    finish(&mut world);
    world.advance(60);
    settle(&mut world);
    assert_eq!(world.service.stable, Some(candidate()));
    assert!(world.plan().rules.is_empty() && world.plan().mirror.is_none());
}

#[test]
fn a_candidate_that_users_are_led_to_must_have_instances() {
    let mut world = begun(vec![route("testers", matches()), Step::Pause(None), ALL], |_| {});
    let mut seen = world.perfect();
    seen.revisions.get_mut(&candidate()).unwrap().ready = 0;
    world.observe(seen);
    assert_eq!(crate::cause(&world).code, "not-ready");
}

#[test]
fn copies_are_judged_although_users_see_stable_alone() {
    let bake = Step::Bake(Bake {
        at_least: Millis::secs(5),
        requests: 0,
        until_evidence: true,
        deadline: Millis::secs(3600),
    });
    for (errors, good) in [(0, true), (20, false)] {
        let mut world =
            begun(vec![mirror(100), bake.clone(), mirror(0), Step::Pause(None), ALL], |_| {});
        for _ in 0..300 {
            serve(world.arm("v1"), 100, 0);
            let copies = world.arm("v2");
            serve(copies, 100, errors);
            copies.assigned = 0;
            copies.led = copies.n;
            world.report();
            settle(&mut world);
            if world.service.rollout.as_ref().is_none_or(|r| r.step.index != 1) {
                break;
            }
        }
        assert!(world.applied.iter().all(|plan| plan.weight(&candidate()) == Weight::NONE));
        if good {
            assert_eq!(world.rollout().step.index, 3, "{}", world.waiting);
            assert!(world.plan().mirror.is_none());
        } else {
            assert_eq!(crate::went_back(&world).unwrap().code, "errors");
        }
    }
}

#[test]
fn only_some_users_are_dealt_until_all_are() {
    let steps = vec![Step::SetWeight(percent(50)), Step::Pause(None), ALL];
    let mut world = begun(steps, |spec| spec.schedule.only = matches());
    assert_eq!((world.weight("v2"), &world.plan().only), (50, &matches()));
    by(&mut world, "ada", Ask::Promote { full: false }).unwrap();
    finish(&mut world);
    assert_eq!(world.weight("v2"), 100);
    assert!(world.plan().only.is_empty(), "everybody gets what is about to be stable");
}

#[test]
fn the_lint_refuses_to_lead_where_nobody_answers() {
    let world = begun(vec![Step::Pause(None), ALL], |_| {});
    let led = |to: &str| {
        let to: RevisionId = to.parse().unwrap();
        let mut plan = world.plan().clone();
        plan.rules = vec![Rule { name: "r".into(), matches: matches(), to }];
        lint(&plan, &world.service)
    };
    assert_eq!(led(&candidate().to_string()), []);
    assert_eq!(led("v9@09"), [Note::RouteUnknown("v9@09".into())]);
    let mut service = world.service.clone();
    service.observed.revisions.get_mut(&candidate()).unwrap().ready = 0;
    let mut plan = world.plan().clone();
    plan.mirror = Some(Mirror { to: candidate(), matches: vec![], share: percent(5) });
    assert_eq!(lint(&plan, &service), [Note::RouteNotReady(candidate().to_string())]);
    assert!(!moves_only_to_stable(&plan, service.plan.as_deref()), "it leads more than before");
}
