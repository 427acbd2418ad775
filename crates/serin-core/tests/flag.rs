//! The release of a flag is a rollout like any other: same steps, same judge, same way back.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod support;

use serin_core::*;
use support::{World, bake, ladder, percent, serve};

fn id(text: &str) -> RevisionId {
    text.parse().unwrap()
}

fn on() -> RevisionId {
    id("on@0b")
}

/// A flag that is off, with these steps.
fn flag(steps: Vec<Step>) -> World {
    let analysis = Some(Analysis::default());
    let schedule = Schedule { analysis, ..Schedule::of("flag", steps) };
    let flag = FlagSpec {
        set: "production".into(),
        key: "new_checkout".into(),
        carrier: "shop".parse().unwrap(),
        off: id("off@0a"),
        evidence: FlagEvidence::Traffic,
    };
    World::of(flag.service(schedule, Millis::secs(60)).unwrap())
}

fn release(world: &mut World, revision: RevisionId) -> Result<(), Refusal> {
    let spec = world.service.spec.clone();
    let ask =
        DeployAsk { spec, revision, allow_bad: false, departure: None, skips: Skips::Nothing };
    world.ask(Ask::Deploy(Box::new(ask)))
}

/// The same, with what the platform echoes.
fn on_trial(steps: Vec<Step>) -> World {
    let mut world = flag(steps);
    release(&mut world, on()).unwrap();
    world.settle();
    world
}

fn weight(world: &World) -> u32 {
    world.plan().weight(&on()).parts() / 1000
}

/// A window of users: as many in both arms, as the draw has it below one half.
fn users(world: &mut World, n: u64, errors: u64) {
    let baseline = world.rollout().baseline.clone().unwrap();
    for (id, errors) in [(baseline, 0), (on(), errors)] {
        let arm = world.arm_of(&id);
        arm.sessions = true;
        arm.split.resize(64, (0, 0));
        for part in &mut arm.split {
            *part = (part.0 + n / 64, part.1 + errors / 64);
        }
        serve(arm, n / 64 * 64, errors / 64 * 64);
    }
    world.report();
}

#[test]
fn names_of_flags_are_told_apart_from_services() {
    let name = ServiceName::flag("production", "new_Checkout.v2").unwrap();
    assert_eq!(name.as_str(), "flag:production:new_Checkout.v2");
    assert_eq!(name.as_str().parse(), Ok(name.clone()));
    assert_eq!(name.as_flag(), Some(("production", "new_Checkout.v2")));
    assert_eq!("shop".parse::<ServiceName>().unwrap().as_flag(), None);
    for bad in ["flag:", "flag:a", "flag::b", "flag:a:", "flag:a:b/c", "flag:a:b c"] {
        assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
    }
}

#[test]
fn the_draws_come_to_the_share_and_only_grow() {
    let share = |parts: u64| Weight::try_from(parts).unwrap();
    let (mut exposed, mut treated) = (0, 0);
    for parts in (0..=100_000).step_by(1) {
        let drawn = Exposure::of(share(parts));
        let (e, t) = (u64::from(drawn.exposed.parts()), u64::from(drawn.treated.parts()));
        assert_eq!(e * t / 100_000, parts, "of {parts}");
        assert!(e >= exposed && t >= treated, "nobody is moved back at {parts}");
        assert!(t == 50_000 || parts > 50_000, "no arm is moved up to one half, at {parts}");
        (exposed, treated) = (e, t);
    }
}

#[test]
fn the_old_variant_is_there_without_a_start() {
    let world = on_trial(ladder());
    assert_eq!(world.service.stable, Some(id("off@0a")));
    assert_eq!(weight(&world), 20, "{}", world.waiting);
    assert_eq!(world.plan().flag.as_ref().unwrap().key, "new_checkout");
    let planned = world.rollout().counted.planned.values().last().unwrap();
    assert!((planned.share - 0.5).abs() < 1e-9, "of those who take part: {}", planned.share);
}

#[test]
fn a_flag_waits_for_no_instances() {
    let mut world = flag(ladder());
    release(&mut world, on()).unwrap();
    let waiting = |world: &World| waiting_on(&world.service, world.now).to_string();
    assert_eq!(waiting(&world), "the data plane to confirm the plan");
    world.settle();
    world.ask(Ask::Abort).unwrap();
    assert!(!waiting(&world).contains("instances"), "{}", waiting(&world));
}

#[test]
fn a_good_variant_goes_all_the_way_on_evidence() {
    let mut world = on_trial(ladder());
    let mut seen = vec![];
    for _ in 0..120 {
        if world.service.rollout.is_none() {
            break;
        }
        if weight(&world) < 100 {
            users(&mut world, 640, 0);
        }
        world.advance(10);
        world.settle();
        seen.push(weight(&world));
    }
    seen.dedup();
    assert_eq!(seen, [20, 50, 100]);
    assert_eq!(world.records[0].outcome, Outcome::Promoted, "{}", world.waiting);
    assert_eq!(world.service.stable, Some(on()));
}

#[test]
fn a_harmful_variant_is_off_at_once_and_is_not_tried_again_by_itself() {
    let mut world = on_trial(ladder());
    for _ in 0..5 {
        if world.rollout().phase == Phase::Stepping {
            users(&mut world, 640, 192);
        }
    }
    assert!(matches!(world.rollout().phase, Phase::Reverting { .. }), "{}", world.waiting);
    assert_eq!(weight(&world), 0, "with the very plan of the verdict");
    world.close();
    assert_eq!(world.records[0].outcome, Outcome::RolledBack);
    assert_eq!(world.service.stable, Some(id("off@0a")));
    let refusal = release(&mut world, on()).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BadRevision);
}

#[test]
fn after_a_fix_it_begins_at_the_first_step_again() {
    let mut world = on_trial(ladder());
    users(&mut world, 640, 0);
    world.ask(Ask::Abort).unwrap();
    assert_eq!(weight(&world), 0);
    world.close();
    // The same variant with other code behind it.
    release(&mut world, id("on@0c")).unwrap();
    assert_eq!(world.rollout().step.index, 0);
    assert_eq!(world.rollout().counted.judged, 0);
}

#[test]
fn a_promoted_flag_that_people_took_away_is_released_again_from_its_first_step() {
    let mut world = on_trial(ladder());
    world.ask(Ask::Promote { full: true }).unwrap();
    world.close();
    assert_eq!(world.service.stable, Some(on()));
    release(&mut world, on()).unwrap();
    assert_eq!(world.rollout().baseline, Some(id("off@0a")), "what everybody has now");
    assert_eq!((world.rollout().step.index, weight(&world)), (0, 20));
    world.settle();
    assert_eq!(weight(&world), 20, "{}", world.waiting);
    users(&mut world, 640, 192);
    users(&mut world, 640, 192);
    world.close();
    assert_eq!(world.service.stable, Some(id("off@0a")));
}

#[test]
fn another_variant_is_released_against_the_promoted_one() {
    let mut world = on_trial(ladder());
    world.ask(Ask::Promote { full: true }).unwrap();
    world.close();
    let mut spec = world.service.spec.clone();
    spec.flag.as_mut().unwrap().off = on();
    let ask = DeployAsk {
        spec,
        revision: id("green@0d"),
        allow_bad: false,
        departure: None,
        skips: Skips::Nothing,
    };
    world.ask(Ask::Deploy(Box::new(ask))).unwrap();
    assert_eq!(world.rollout().baseline, Some(on()));
    world.settle();
    world.ask(Ask::Abort).unwrap();
    world.close();
    assert_eq!((world.service.stable.clone(), weight(&world)), (Some(on()), 100));
}

#[test]
fn without_users_nothing_passes_and_after_the_deadline_a_person_is_asked() {
    let patient =
        Bake { at_least: Millis(0), requests: 0, until_evidence: true, deadline: Millis::secs(60) };
    let steps =
        vec![Step::SetWeight(percent(5)), Step::Bake(patient), Step::SetWeight(Weight::ALL)];
    let mut world = on_trial(steps);
    world.advance(59);
    assert_eq!(weight(&world), 5);
    world.advance(10);
    assert_eq!(world.rollout().paused, Some(PauseReason::Inconclusive), "{}", world.waiting);
    assert_eq!(weight(&world), 5);
    assert!(world.told.iter().any(|line| line.contains("no request")), "{:?}", world.told);
}

#[test]
fn whoever_waits_is_told_where_evidence_comes_from() {
    let mut world = on_trial(ladder());
    world.report();
    assert_eq!(waiting_on(&world.service, world.now), WaitingOn::Traffic);
    let mut reported = world.service.clone();
    let flag = reported.spec.flag.as_mut().unwrap();
    flag.evidence = FlagEvidence::Reported;
    let waits = waiting_on(&reported, world.now);
    assert_eq!(waits, WaitingOn::Outcomes);
    assert!(waits.to_string().contains("$FEATURE_FLAGS_URL/v1/flag-outcomes"), "{waits}");
}

#[test]
fn a_wrong_ratio_or_users_in_both_arms_hold_it() {
    let mut skewed = on_trial(ladder());
    for _ in 0..20 {
        if skewed.rollout().paused.is_none() {
            let (off, on) = (id("off@0a"), on());
            for (id, n) in [(off, 200), (on, 100)] {
                skewed.arm_of(&id).sessions = true;
                serve(skewed.arm_of(&id), n, 0);
            }
            skewed.report();
        }
    }
    let why = format!("{:?}", skewed.rollout().paused);
    assert!(why.contains("33.33 % of the sample where 50.00 %"), "{why}");

    let mut crossed = on_trial(ladder());
    crossed.crossed = 40;
    users(&mut crossed, 640, 0);
    let why = format!("{:?}", crossed.rollout().paused);
    assert!(why.contains("40 of 1280 users were seen with both variants"), "{why}");
    assert_eq!(weight(&crossed), 20, "held where it is");
}

#[test]
fn users_whom_only_the_app_evaluates_for_hold_it_and_never_pass_it() {
    let given = |world: &mut World, off: u64, on: u64| {
        for (id, users) in [(id("off@0a"), off), (self::on(), on)] {
            let arm = world.arm_of(&id);
            (arm.sessions, arm.users) = (true, arm.users + users);
        }
        world.report();
    };
    let mut skewed = on_trial(ladder());
    for _ in 0..20 {
        if skewed.rollout().paused.is_none() {
            given(&mut skewed, 200, 100);
        }
    }
    let why = format!("{:?}", skewed.rollout().paused);
    assert!(why.contains("33.33 % of the sample where 50.00 %"), "{why}");
    let mut crossed = on_trial(ladder());
    crossed.crossed = 40;
    given(&mut crossed, 640, 640);
    let why = format!("{:?}", crossed.rollout().paused);
    assert!(why.contains("40 of 1280 users were seen with both variants"), "{why}");
    let mut even = on_trial(ladder());
    for _ in 0..30 {
        given(&mut even, 640, 640);
        even.advance(10);
        even.settle();
    }
    assert_eq!((weight(&even), even.rollout().counted.judged), (20, 0), "{}", even.waiting);
}

#[test]
fn a_step_waits_until_the_data_plane_has_the_plan() {
    let mut world =
        flag(vec![Step::SetWeight(percent(10)), bake(1, false), Step::SetWeight(Weight::ALL)]);
    release(&mut world, on()).unwrap();
    let mut stale = world.perfect();
    stale.applied = None;
    world.observe(stale);
    world.advance(100);
    assert_eq!(world.rollout().step.index, 0, "{}", world.waiting);
}

/// Numbers that look random, the same for the same seed: the finaliser of `SplitMix64`.
fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// One window of users in both arms, each failing with the same chance.
fn alike(world: &mut World, seed: &mut u64, rate: f64) {
    let baseline = world.rollout().baseline.clone().unwrap();
    for id in [baseline, on()] {
        let arm = world.arm_of(&id);
        (arm.sessions, arm.assigned, arm.n) = (true, arm.assigned + 100, arm.n + 100);
        arm.split.resize(64, (0, 0));
        for _ in 0..100 {
            let (fails, part) = (random(seed) < rate, (random(seed) * 64.0) as usize);
            arm.split[part] = (arm.split[part].0 + 1, arm.split[part].1 + u64::from(fails));
            arm.errors += u64::from(fails);
            if !fails {
                arm.latency.record_us(20_000 + (random(seed) * 20_000.0) as u64);
            }
        }
    }
    world.report();
}

/// A variant that is no worse is taken back with a chance of at most alpha, 1 %. Of 300 releases 3
/// would be; more than 9 has a chance below 0.2 %.
#[test]
fn a_variant_that_is_no_worse_is_hardly_ever_taken_back() {
    let (mut taken_back, mut promoted, mut seed) = (0, 0, 7);
    for run in 0..300 {
        let rate = [0.001, 0.01, 0.05][run % 3];
        let mut world = on_trial(ladder());
        for _ in 0..120 {
            let rollout = world.service.rollout.as_ref();
            if rollout.is_none_or(|r| r.phase != Phase::Stepping) || weight(&world) == 100 {
                break;
            }
            alike(&mut world, &mut seed, rate);
            world.advance(10);
            world.settle();
        }
        let rollout = world.service.rollout.as_ref();
        let back = rollout.is_some_and(|r| matches!(r.phase, Phase::Reverting { .. }));
        taken_back += u32::from(back);
        promoted += u32::from(!back && weight(&world) == 100);
    }
    assert!(taken_back <= 9, "{taken_back} of 300 taken back");
    assert!(promoted >= 200, "{promoted} of 300 promoted");
    eprintln!("{taken_back} taken back, {promoted} promoted of 300");
}
