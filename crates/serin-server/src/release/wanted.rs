//! What a flag must say so that the plan of its release is true. Pure.

use serin_core::{Exposure, FlagEvidence, Plan, RevisionId, Role, Service, TextMatch, Weight};
use serin_flags::{Definition, Goal, Judged, PathTest, Release, WHOLE};

/// The flag as the plan of `service` wants it; the same flag when nothing is wanted.
///
/// While a rollout goes on, users are drawn into a pool and are judged, also with nobody treated:
/// so it is known what the old variant is like before, and that it is like that again after a way
/// back. At its end everybody gets the variant that was trusted at last, once: from then on the
/// flag is people's, and what they write stays.
#[must_use]
pub fn wanted(flag: &Definition, service: &Service) -> Definition {
    let mut next = flag.clone();
    let plan = service.plan.as_ref();
    let stable = plan.and_then(|plan| plan.in_role(Role::Stable)).map(|(id, _)| id);
    next.release = plan.zip(stable).and_then(|(plan, stable)| release(flag, service, plan, stable));
    // A release that the flag still carries is one whose end was not written yet.
    let is_owed = flag.release.is_some() || next.release.is_some();
    if let Some(stable) = stable.filter(|_| is_owed) {
        let back = way_back(service);
        next.default_variant = Some(back.unwrap_or(stable).version.to_string());
    }
    let carrier = next.release.as_ref().and_then(|release| release.judged.as_ref());
    // The app goes on hearing of it when the release is over.
    next.carried_by = carrier.map(|judged| judged.carrier.clone()).or(next.carried_by);
    next
}

/// Where a rollout leads that gives everybody the off variant again. Nobody waits for that: who
/// took the flag away before must not get it back meanwhile.
fn way_back(service: &Service) -> Option<&RevisionId> {
    let spec = service.spec.flag.as_ref()?;
    service.rollout.as_ref().map(|rollout| &rollout.candidate).filter(|to| **to == spec.off)
}

fn release(
    flag: &Definition,
    service: &Service,
    plan: &Plan,
    stable: &RevisionId,
) -> Option<Release> {
    let (spec, rollout) = (plan.flag.as_ref()?, service.rollout.as_ref()?);
    let tried = plan.in_role(Role::Candidate).map(|(id, planned)| (id, planned.weight));
    let left = rollout.baseline.as_ref().unwrap_or(&spec.off);
    let other = if rollout.candidate == *stable { left } else { &rollout.candidate };
    let (on, weight) = tried.unwrap_or((other, Weight::NONE));
    if on.version == stable.version {
        return None;
    }
    // A promoted variant whose rollout is about to end leads nowhere: its `other` was left.
    let is_way_back = *on == spec.off && rollout.candidate == *on;
    let weight = if is_way_back { Weight::ALL } else { weight };
    let salt = flag.salt.as_deref().unwrap_or(&spec.key);
    let mut release = Release::new(salt, on.version.as_str(), stable.version.as_str());
    (release.exposure, release.arm) = shares(weight);
    release.generation = plan.generation.to_string();
    release.segments = flag.release.as_ref().map(|held| held.segments.clone()).unwrap_or_default();
    release.judged = Some(Judged {
        service: service.name.to_string(),
        carrier: spec.carrier.to_string(),
        on: on.to_string(),
        off: stable.to_string(),
        window_s: window_s(service),
        goal: plan.goal.as_ref().map(goal),
        reported: spec.evidence == FlagEvidence::Reported,
    });
    Some(release)
}

/// What counts as success while an experiment asks for it.
fn goal(goal: &serin_core::Goal) -> Goal {
    let path = match goal.path.clone() {
        TextMatch::Exact(text) => PathTest::Exact(text),
        TextMatch::Prefix(text) => PathTest::Prefix(text),
        TextMatch::Regex(text) => PathTest::Regex(text),
        TextMatch::Present => PathTest::Present,
    };
    Goal { method: goal.method.clone(), path }
}

/// Exposure and arm: without treatment everybody is in the pool, as control.
fn shares(weight: Weight) -> (u32, u32) {
    if weight == Weight::NONE {
        return (WHOLE, 0);
    }
    let drawn = Exposure::of(weight);
    (drawn.exposed.parts(), drawn.treated.parts())
}

fn window_s(service: &Service) -> u32 {
    let window = service.spec.traffic.affinity.as_ref().map_or(60_000, |users| users.window.0);
    (window / 1000).clamp(1, 300) as u32
}

#[cfg(test)]
mod tests {
    use super::super::told::why;
    use super::*;
    use serin_core::{
        Actor, Ask, DeployAsk, Event, Experiment, FlagSpec, Millis, NoWinner, Observation,
        RevisionObservation, Schedule, Step, Timestamp, WinnerRule, step,
    };
    use serin_flags::Kind;

    fn id(text: &str) -> RevisionId {
        text.parse().unwrap()
    }

    fn percent(of: u32) -> Step {
        Step::SetWeight(Weight::percent(of).unwrap())
    }

    fn flag() -> Definition {
        Definition::boolean(Kind::Release, "shop")
    }

    /// A release of `on` at its first step.
    fn begun() -> Service {
        begun_with(vec![percent(10), Step::Pause(None), percent(100)])
    }

    fn begun_with(steps: Vec<Step>) -> Service {
        let spec = FlagSpec {
            set: "production".into(),
            key: "a".into(),
            carrier: "shop".parse().unwrap(),
            off: id("off@0a"),
            evidence: FlagEvidence::Traffic,
        };
        let spec = spec.service(Schedule::of("flag", steps), Millis::secs(20)).unwrap();
        let service = Service::new(spec.clone());
        let took_over = Event::TookOver { epoch: 3, rollouts: 0 };
        let service = step(&service, &took_over, Timestamp(1_000)).next;
        let ask = DeployAsk {
            spec,
            revision: id("on@0b"),
            allow_bad: false,
            departure: None,
            skips: serin_core::Skips::Nothing,
        };
        asked(&service, Ask::Deploy(Box::new(ask)))
    }

    fn asked(service: &Service, ask: Ask) -> Service {
        let event = Event::Asked { by: Actor("ada".into()), reason: None, ask };
        let turn = step(service, &event, Timestamp(2_000));
        assert_eq!(turn.refused, None);
        turn.next.into_inner()
    }

    /// The platform has made the plan true, again and again.
    fn settled(service: &Service) -> Service {
        (0..8).fold(service.clone(), |service, n| made_true(&service, n))
    }

    fn made_true(service: &Service, n: i64) -> Service {
        let plan = service.plan.as_ref().unwrap();
        let ready = |id: &RevisionId| {
            let seen = RevisionObservation {
                ready: 1,
                youngest_ready_at: Some(Timestamp(0)),
                ..RevisionObservation::default()
            };
            (id.clone(), seen)
        };
        let seen = Observation {
            seq: (3, service.observed.seq.1 + 1),
            applied: Some(plan.generation),
            revisions: plan.revisions.keys().map(ready).collect(),
            ..Observation::default()
        };
        step(service, &Event::Observed(seen), Timestamp(20_000 + n * 1_000)).next.into_inner()
    }

    fn drawn(flag: &Definition) -> (u32, u32, &str, &str) {
        let release = flag.release.as_ref().unwrap();
        (release.exposure, release.arm, &release.on, &release.off)
    }

    #[test]
    fn the_shares_of_a_plan_are_drawn_and_judged() {
        let before = wanted(&flag(), &begun());
        assert_eq!(drawn(&before), (WHOLE, 0, "on", "off"), "judged before anybody is treated");
        let service = settled(&begun());
        let at_ten = wanted(&before, &service);
        assert_eq!(drawn(&at_ten), (20_000, 50_000, "on", "off"));
        let release = at_ten.release.as_ref().unwrap();
        assert_eq!(release.generation, service.plan.as_ref().unwrap().generation.to_string());
        let judged = release.judged.as_ref().unwrap();
        assert_eq!((judged.on.as_str(), judged.off.as_str()), ("on@0b", "off@0a"));
        assert_eq!((judged.carrier.as_str(), judged.window_s), ("shop", 20));
        assert_eq!(wanted(&at_ten, &service), at_ten, "wanted once, it is true");
    }

    #[test]
    fn the_goal_of_an_experiment_is_counted_while_it_goes_on() {
        let rule = WinnerRule {
            goal: serin_core::Goal {
                method: Some("POST".into()),
                path: TextMatch::Prefix("/buy".into()),
            },
            alpha: 0.05,
            min_units: 100,
            otherwise: NoWinner::Pause,
        };
        let trial = Experiment {
            variants: vec![],
            at_least: Millis::secs(3_600),
            deadline: Millis::secs(7_200),
            winner: Some(rule),
        };
        let steps = vec![percent(20), Step::Experiment(trial), percent(100)];
        let first = begun_with(steps);
        assert_eq!(judged_goal(&wanted(&flag(), &first)), None, "nobody is treated yet");
        let running = settled(&first);
        let goal = Goal { method: Some("POST".into()), path: PathTest::Prefix("/buy".into()) };
        assert_eq!(judged_goal(&wanted(&flag(), &running)), Some(goal));
        let over = asked(&running, Ask::Promote { full: true });
        assert_eq!(judged_goal(&wanted(&flag(), &over)), None);
    }

    fn judged_goal(flag: &Definition) -> Option<Goal> {
        flag.release.as_ref()?.judged.as_ref()?.goal.clone()
    }

    #[test]
    fn a_promoted_variant_is_everybodys_and_an_aborted_one_nobodys() {
        let promoted = asked(&settled(&begun()), Ask::Promote { full: true });
        let everybody = wanted(&flag(), &promoted);
        assert_eq!(drawn(&everybody), (WHOLE, WHOLE, "on", "off"));
        let done = settled(&promoted);
        assert!(done.rollout.is_none());
        let after = wanted(&everybody, &done);
        assert_eq!((after.release, after.default_variant.as_deref()), (None, Some("on")));
        assert_eq!(after.carried_by.as_deref(), Some("shop"), "the app goes on hearing of it");

        let aborted = asked(&settled(&begun()), Ask::Abort);
        let back = wanted(&flag(), &aborted);
        assert_eq!(drawn(&back), (WHOLE, 0, "on", "off"), "everybody is off and counted");
        assert_eq!(back.default_variant.as_deref(), Some("off"));
    }

    #[test]
    fn who_has_a_promoted_variant_keeps_it_while_its_rollout_ends() {
        let mut at = asked(&settled(&begun()), Ask::Promote { full: true });
        let mut looks = 0;
        for n in 0..8 {
            at = made_true(&at, n);
            if at.stable != Some(id("on@0b")) || at.rollout.is_none() {
                continue;
            }
            looks += 1;
            let flag = wanted(&flag(), &at);
            assert_eq!(drawn(&flag), (WHOLE, 0, "off", "on"), "nobody is treated with `off`");
            assert_eq!(flag.default_variant.as_deref(), Some("on"));
        }
        assert!(looks > 0);
    }

    #[test]
    fn the_history_tells_who_began_and_how_it_went() {
        let (first, running) = (begun(), settled(&begun()));
        let promoted = asked(&running, Ask::Promote { full: true });
        let aborted = asked(&running, Ask::Abort);
        let back = asked(&settled(&promoted), Ask::Rollback { to: Some(id("off@0a")) });
        let cases = [
            (why(&first, true), "release 1 began: asked for by ada"),
            (why(&running, false), "release 1 gives `on` to 10 % of users"),
            (why(&settled(&promoted), false), "release 1 is over: everybody has `on`"),
            (why(&aborted, false), "release 1 was taken back: aborted by ada"),
            (why(&settled(&aborted), false), "release 1 was taken back: aborted by ada"),
            (why(&back, true), "release 2 gives everybody `off` again: asked for by ada"),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_people_write_after_a_release_stays() {
        let promoted = settled(&asked(&settled(&begun()), Ask::Promote { full: true }));
        assert!(promoted.rollout.is_none());
        for variant in ["on", "off"] {
            let theirs = Definition { default_variant: Some(variant.into()), ..flag() };
            assert_eq!(wanted(&theirs, &promoted), theirs, "after a promotion");
            let aborted = settled(&asked(&settled(&begun()), Ask::Abort));
            assert!(aborted.rollout.is_none());
            assert_eq!(wanted(&theirs, &aborted), theirs, "after an abort");
        }
    }

    #[test]
    fn a_way_back_gives_nobody_what_a_person_took_away() {
        let promoted = settled(&asked(&settled(&begun()), Ask::Promote { full: true }));
        let back = asked(&promoted, Ask::Rollback { to: Some(id("off@0a")) });
        assert!(back.rollout.is_some());
        let theirs = wanted(&flag(), &back);
        assert_eq!(theirs.default_variant.as_deref(), Some("off"));
        assert_eq!(drawn(&theirs), (WHOLE, WHOLE, "off", "on"), "all of them are to get off");
        let (mut done, mut flag) = (back, theirs.clone());
        for n in 0..8 {
            flag = wanted(&flag, &done);
            assert_eq!(flag.default_variant.as_deref(), Some("off"));
            let drawn = flag.release.as_ref().map(|release| (&release.on, &release.off));
            assert!(drawn.is_none_or(|(on, off)| on != off), "{drawn:?} at look {n}");
            done = made_true(&done, n);
        }
        assert!(done.rollout.is_none());
        let after = wanted(&theirs, &done);
        assert_eq!((after.release, after.default_variant.as_deref()), (None, Some("off")));
    }
}
