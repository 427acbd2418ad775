//! Rules a rollout obeys when it moves.

use super::Scene;
use super::brief::{Brief, Held, Stage, Trial};
use serin_core::{Bake, Capacity, Fact, Rollout, RolloutKind, Service, Step, Timestamp, Weight};
use serin_server::executor::Effect;
use serin_stats::{Outcome, Rung};

/// What is wrong about how `rollout` moved.
pub(super) fn check(
    before: &Trial,
    rollout: &Rollout,
    service: &Service,
    brief: &Brief,
    scene: &Scene<'_>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let after = Stage::of(&rollout.phase);
    wrong.extend(phases(before.stage, after));
    wrong.extend(held(before, rollout, scene));
    if rollout.step.index < before.step {
        wrong.push(format!("step {} came after step {}", rollout.step.index, before.step));
    }
    let first_entered = before.entered_at;
    for index in before.step..rollout.step.index {
        if is_skipped(index, scene) {
            continue;
        }
        let Some(step) = rollout.schedule.step(index) else { continue };
        let is_first = index == before.step;
        let entered = if is_first { first_entered } else { scene.now };
        let judged_before = if is_first { before.judged_before } else { rollout.counted.judged };
        let passed = Passed { index, entered, judged: rollout.counted.judged - judged_before };
        let what = left(&passed, step, rollout, service, brief, scene);
        wrong.extend(what.map(|what| format!("step {} was left {what}", index + 1)));
    }
    wrong
}

/// A step that is over.
struct Passed {
    index: usize,
    entered: Timestamp,
    judged: u64,
}

fn phases(before: Stage, after: Stage) -> Option<String> {
    let sound = match (before, after) {
        (Stage::Stepping, _) | (Stage::Warm(_), Stage::Retiring | Stage::Reverting) => true,
        (Stage::Warm(a), Stage::Warm(b)) => a == b,
        (a, b) => a == b,
    };
    (!sound).then(|| format!("{before:?} became {after:?}"))
}

/// What a person holds moves only when a person says so.
fn held(before: &Trial, rollout: &Rollout, scene: &Scene<'_>) -> Option<String> {
    if before.paused != Some(Held::ByPerson) || scene.is_ask() {
        return None;
    }
    let moved = rollout.step.index != before.step || rollout.weight > before.weight;
    let free = rollout.paused.is_none() && rollout.is_on_trial();
    (moved || free).then(|| "a rollout that a person holds went on by itself".to_owned())
}

/// Whether the journal says that step `index` was skipped.
fn is_skipped(index: usize, scene: &Scene<'_>) -> bool {
    scene.effects.iter().any(|effect| match effect {
        Effect::Tell(_, _, entry) => {
            matches!(&entry.fact, Fact::StepSkipped { step, .. } if *step == index + 1)
        }
        _ => false,
    })
}

/// What was missing when a step was left.
fn left(
    passed: &Passed,
    step: &Step,
    rollout: &Rollout,
    service: &Service,
    brief: &Brief,
    scene: &Scene<'_>,
) -> Option<String> {
    match step {
        Step::SetWeight(weight) => unconfirmed(*weight, rollout, service, brief),
        Step::Pause(None) => Some("although only a person may".to_owned()),
        Step::Pause(Some(span)) => {
            let early = scene.now < passed.entered.plus(*span) && !scene.is_ask();
            early.then(|| "before its time".to_owned())
        }
        Step::Bake(bake) => unbaked(passed, bake, rollout, scene),
        Step::Expose(_) => unproven(passed, rollout),
        _ => None,
    }
}

fn unconfirmed(
    weight: Weight,
    rollout: &Rollout,
    service: &Service,
    brief: &Brief,
) -> Option<String> {
    let planned = brief.weight(&rollout.candidate);
    let seen = service.observed.applied.is_some_and(|applied| applied >= brief.generation);
    // Where instances trade places the share is as near as whole instances come.
    let shares = rollout.schedule.capacity != Capacity::Beside;
    if planned != weight && !shares {
        return Some(format!("with {planned} instead of {weight}"));
    }
    (!seen).then(|| "before its order was confirmed".to_owned())
}

fn unbaked(passed: &Passed, bake: &Bake, rollout: &Rollout, scene: &Scene<'_>) -> Option<String> {
    if scene.now < passed.entered.plus(bake.at_least) && !scene.is_ask() {
        return Some("before its time".to_owned());
    }
    if passed.judged < bake.requests {
        return Some(format!("with {} of {} requests", passed.judged, bake.requests));
    }
    if bake.until_evidence { unproven(passed, rollout) } else { None }
}

/// Evidence at the rung of this very step, and something judged in it.
fn unproven(passed: &Passed, rollout: &Rollout) -> Option<String> {
    if passed.judged == 0 {
        return Some("without a judged request".to_owned());
    }
    let analysis = rollout.schedule.analysis.as_ref()?;
    if !analysis.compares() {
        return None;
    }
    let asks = |count: usize| {
        let steps = rollout.schedule.steps().take(count);
        steps.filter(|(_, step)| matches!(step, Step::Expose(_)) || bakes(step)).count() as u32
    };
    let rung = Rung { j: asks(passed.index + 1), m: asks(usize::MAX) };
    let said = rollout.judge.as_ref().map(|judge| judge.assess(rung).outcome);
    (said != Some(Outcome::Pass)).then(|| format!("without a pass; the judge says {said:?}"))
}

fn bakes(step: &Step) -> bool {
    matches!(step, Step::Bake(bake) if bake.until_evidence)
}

/// What is wrong with a promotion.
pub(super) fn promoted(
    before: &Trial,
    brief: &Brief,
    service: &Service,
    scene: &Scene<'_>,
) -> Option<String> {
    let version = &before.candidate;
    let weight = brief.weight(version);
    if weight != Weight::ALL {
        return Some(format!("{version} became stable with {weight}"));
    }
    // Confirmed before it was warm; a new controller numbers the same plan anew.
    let was_warm = matches!(before.stage, Stage::Warm(_));
    if !was_warm && service.observed.applied < Some(brief.generation) {
        return Some(format!("{version} became stable before its traffic was confirmed"));
    }
    // A newer deploy ends the warm time too.
    if scene.is_ask() || before.kind == RolloutKind::First {
        return None;
    }
    if before.paused.is_some() {
        return Some(format!("{version} became stable while it was held"));
    }
    // So does the train that a newer deploy waited for.
    let has_left = brief.departs.is_some_and(|departs| departs <= scene.now)
        && brief.departs != service.boarded.first().map(|waits| waits.departs);
    match before.stage {
        Stage::Warm(_) if has_left => None,
        Stage::Warm(since) if scene.now < since.plus(before.watch) => {
            Some(format!("{version} became stable before the warm time was over"))
        }
        // In one turn only where no warm time was promised.
        Stage::Stepping if before.watch.0 > 0 => {
            Some(format!("{version} became stable without a warm time"))
        }
        _ => None,
    }
}
