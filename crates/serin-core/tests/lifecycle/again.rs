//! The same revision again: nothing, other numbers of instances, or other steps.

use super::*;

fn again(world: &mut World, version: &str, change: impl FnOnce(&mut ServiceSpec)) {
    let mut spec = world.service.spec.clone();
    change(&mut spec);
    let ask = DeployAsk {
        spec,
        revision: revision(version),
        allow_bad: false,
        departure: None,
        skips: Skips::Nothing,
    };
    world.ask(Ask::Deploy(Box::new(ask))).unwrap();
}

#[test]
fn the_same_revision_changes_nothing_and_says_so() {
    let cases = [
        (At::Stepping, "v2", "v2 is on its way already; nothing changes"),
        (At::Paused, "v2", "v2 is on its way already; nothing changes"),
        (At::Warm, "v2", "v2 is on its way already; nothing changes"),
        (At::Retiring, "v2", "v2 runs already; nothing changes"),
        (At::Reverting, "v1", "v1 runs already; nothing changes"),
    ];
    for (at, version, sentence) in cases {
        for policy in [OnNewRevision::Restart, OnNewRevision::Queue, OnNewRevision::Reject] {
            let mut world = rollout_at(at, |spec| spec.on_new_revision = policy);
            let before = world.service.clone();
            world.deploy(version).unwrap();
            assert_eq!(world.told.last().unwrap(), sentence, "{at:?} {policy:?}");
            assert_eq!(world.service, before, "{at:?} {policy:?}");
        }
    }
}

#[test]
fn scaling_is_immediate_and_told() {
    let cases = [
        (8, "4 instances become 8, by ada", Severity::Info),
        (2, "4 instances become 2, by ada", Severity::Info),
        (1, "4 instances become 1, less than half, by ada", Severity::Warn),
    ];
    for (replicas, sentence, severity) in cases {
        let mut world = rollout_at(At::Stepping, |_| {});
        again(&mut world, "v2", |spec| spec.replicas = replicas);
        assert_eq!(world.told.last().unwrap(), sentence);
        assert_eq!((world.replicas("v1"), world.weight("v2")), (replicas, 20));
        let fact = Fact::Scaled { from: 4, to: replicas, by: Actor("ada".into()) };
        assert_eq!(fact.severity(), severity);
    }
}

fn ladder_of(weights: &[u32]) -> Vec<Stage> {
    let steps = weights.iter().flat_map(|w| [Step::SetWeight(percent(*w)), Step::Pause(None)]);
    vec![Stage { name: "new".into(), steps: steps.collect() }]
}

#[test]
fn new_steps_go_on_after_the_last_weight_that_is_reached() {
    // The candidate has 20 %.
    let cases: [(&[u32], usize); 6] = [
        (&[10, 50, 100], 1),
        (&[20, 50, 100], 1),
        (&[5, 10, 20, 100], 5),
        (&[50, 100], 0),
        (&[100], 0),
        (&[1, 2, 3, 100], 5),
    ];
    for (weights, index) in cases {
        let mut world = rollout_at(At::Stepping, |_| {});
        again(&mut world, "v2", |spec| spec.schedule.stages = ladder_of(weights));
        let rollout = world.rollout();
        assert_eq!((rollout.step.index, rollout.weight), (index, percent(20)), "{weights:?}");
        assert!(rollout.notes[0].starts_with("steps replaced by ada at step 2 with 20 %"));
        let sentence =
            format!("at 20 % it goes on with step {} of {}", index + 1, weights.len() * 2);
        assert!(told(&world, &sentence), "{sentence}: {:?}", world.told);
        assert_eq!(world.service.revisions.len(), 2, "no other rollout");
    }
}

#[test]
fn instances_that_a_step_asked_for_go_with_the_step() {
    let few = Step::SetScale(Scale::Instances(1));
    let cases = [(vec![], Scale::MatchWeight), (vec![few], Scale::Instances(1))];
    for (first, scale) in cases {
        let mut world = rollout_at(At::Stepping, |_| {});
        world.service.rollout.as_mut().unwrap().scale = Scale::Instances(1);
        again(&mut world, "v2", |spec| {
            spec.schedule.stages = ladder_of(&[10, 50, 100]);
            spec.schedule.stages[0].steps.splice(0..0, first);
        });
        assert_eq!(world.rollout().scale, scale);
    }
}

#[test]
fn new_steps_keep_the_evidence_and_the_time_of_a_step_that_stays() {
    let mut world = support::on_trial(support::ladder(), |_| {});
    world.traffic(400, 0, 0);
    world.traffic(400, 0, 0);
    let before = world.rollout().clone();
    assert!(before.counted.judged > 0);
    again(&mut world, "v2", |spec| {
        let step = Step::SetWeight(percent(60));
        spec.schedule.stages[0].steps[2] = step;
    });
    let after = world.rollout();
    assert_eq!((&after.judge, &after.step), (&before.judge, &before.step));
    assert_eq!(after.schedule.step(2), Some(&Step::SetWeight(percent(60))));
}

#[test]
fn other_times_are_taken_over_without_a_word_about_steps() {
    let mut world = rollout_at(At::Warm, |_| {});
    again(&mut world, "v2", |spec| spec.schedule.keep_warm = Millis::secs(300));
    world.advance(60);
    assert!(matches!(world.rollout().phase, Phase::Warm { .. }));
    assert!(!told(&world, "steps replaced"));
}

#[test]
fn another_environment_of_the_same_version_is_a_rollout_of_its_own_kind() {
    let mut world = World::on_v1(by_hand());
    let deploy = |world: &mut World, change: fn(&mut RunSpec), digest: &str| {
        let mut spec = world.service.spec.clone();
        change(&mut spec.run);
        let revision = format!("v1@{digest}").parse().unwrap();
        world
            .ask(Ask::Deploy(Box::new(DeployAsk {
                spec,
                revision,
                allow_bad: false,
                departure: None,
                skips: Skips::Nothing,
            })))
            .unwrap();
        world.rollout().kind
    };
    let env = |run: &mut RunSpec| {
        run.env.insert("CACHE".into(), EnvValue::Literal("on".into()));
    };
    let command = |run: &mut RunSpec| run.command.push("--fast".into());
    assert_eq!(deploy(&mut world, env, "aa01"), RolloutKind::Config);
    assert!(world.rollout().judge.is_some(), "with the same protection");
    assert_eq!(deploy(&mut world, command, "aa02"), RolloutKind::Release);
    world.ask(Ask::Abort).unwrap();
    world.settle();
    let numbered: RevisionId = "v1~2@aa03".parse().unwrap();
    let mut spec = world.service.spec.clone();
    spec.run = world.service.revisions[&revision("v1")].run.clone();
    env(&mut spec.run);
    let ask = DeployAsk {
        spec,
        revision: numbered,
        allow_bad: false,
        departure: None,
        skips: Skips::Nothing,
    };
    world.ask(Ask::Deploy(Box::new(ask))).unwrap();
    assert_eq!(world.rollout().kind, RolloutKind::Config, "by its name");
}

#[test]
fn what_has_the_name_of_another_gets_a_number() {
    let world = World::on_v1(by_hand());
    let id = |text: &str| text.parse::<RevisionId>().unwrap();
    let mut service = world.service;
    let known = service.revisions.first_key_value().unwrap();
    let (v1, known) = (known.0.clone(), known.1.clone());
    // Known beside v1; asked for; what it is called.
    let cases: [(&[&str], &str, &str); 6] = [
        (&[], "v2@aa", "v2@aa"),
        (&[], "v1@aa", "v1~2@aa"),
        (&["v1~2@aa"], "v1@aa", "v1~2@aa"),
        (&["v1~2@aa"], "v1@bb", "v1~3@bb"),
        (&["v1~7@aa"], "v1@bb", "v1~8@bb"),
        (&["v1~2@aa", "v10@bb"], "v10@aa", "v10~2@aa"),
    ];
    for (others, asked, called) in cases {
        service.revisions.retain(|known, _| *known == v1);
        service.revisions.extend(others.iter().map(|other| (id(other), known.clone())));
        assert_eq!(service.called(id(asked)), id(called), "{asked} beside {others:?}");
    }
    assert_eq!(service.called(v1.clone()), v1, "the same is the same");
}

#[test]
fn a_number_behind_a_name_is_read_as_it_is_written() {
    let read = |text: &str| {
        let version = text.parse::<Version>().ok()?;
        Some((version.name().to_owned(), version.make()))
    };
    assert_eq!(read("v1"), Some(("v1".into(), 1)));
    assert_eq!(read("v1~2"), Some(("v1".into(), 2)));
    assert_eq!(read("1.4.0-rc~12"), Some(("1.4.0-rc".into(), 12)));
    for text in ["v1~", "~2", "v1~1", "v1~0", "v1~02", "v1~+2", "v1~2~3", "v1~x", "v1~99999999999"]
    {
        assert_eq!(read(text), None, "{text}");
    }
}
