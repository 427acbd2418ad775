//! `oneBox`: one instance first, then the fleet in waves.

use super::{Around, Frame, Usual, bake, evidence, frame};
use crate::{field::Field, steps};
use serin_core::{Millis, Scale, Schedule, Stage, Step, Weight};

const DAY: Millis = Millis::secs(86_400);
/// How long the one instance is looked at unless said.
const BAKE: Millis = Millis::secs(600);
/// How long each wave is looked at unless said.
const BETWEEN: Millis = Millis::secs(300);
const WAVES: [u32; 3] = [25, 50, 100];

pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    let mut reader = field.map_or_nothing()?;
    let frame = Frame::read(&mut reader, around, Usual::BESIDE);
    let span = |f: Field<'_>| f.duration(Millis::secs(1)..=DAY);
    let first = reader.or("bake", BAKE, span);
    let between = reader.or("between", BETWEEN, span);
    let usual = WAVES.iter().filter_map(|w| Weight::percent(*w).ok()).collect();
    let waves = reader.or("waves", usual, |f| waves(&f));
    let until = reader.or("until", false, |f| f.choice(&[("evidence", true)]));
    reader.finish();
    let look = if until { evidence } else { bake };
    let one = one_of(around.replicas);
    let box_steps = vec![Step::SetScale(Scale::Instances(1)), Step::SetWeight(one), look(first)];
    let mut fleet = vec![Step::SetScale(Scale::MatchWeight)];
    for weight in waves.into_iter().filter(|w| *w > one && *w < Weight::ALL) {
        fleet.extend([Step::SetWeight(weight), look(between)]);
    }
    fleet.push(Step::SetWeight(Weight::ALL));
    let stage = |name: &str, steps| Stage { name: name.into(), steps };
    let stages = vec![stage("one box", box_steps), stage("fleet", fleet)];
    let checks = frame.analysis.checks.clone();
    let schedule = frame.staged("oneBox", stages, checks);
    frame::must_judge(field, around, "oneBox", &schedule);
    frame::check_start(&field.map_or_nothing()?, &schedule);
    Some(schedule)
}

/// One instance's share of the traffic. Of a single one it is half: the candidate stands beside it.
fn one_of(replicas: u32) -> Weight {
    let parts = 100_000 / u64::from(replicas.max(2));
    Weight::try_from(parts).unwrap_or(Weight::HALF)
}

/// Weights that rise; 100 comes by itself.
fn waves(field: &Field<'_>) -> Option<Vec<Weight>> {
    let mut found: Vec<Weight> = Vec::new();
    for item in field.list()? {
        let weight = steps::weight(&item)?;
        if found.last().is_some_and(|before| weight <= *before) {
            let message = format!("the wave {weight} does not rise above the one before it");
            item.report(item.problem("weights-not-rising", message).hint("waves only rise"));
        }
        found.push(weight);
    }
    Some(found)
}
