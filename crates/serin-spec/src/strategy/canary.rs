//! `canary`: steps as they are written, a ladder by its name, or Flagger's step weights.

use super::{Around, Frame, Usual, evidence, frame, percent};
use crate::{
    field::Field,
    preset,
    reader::Reader,
    steps::{self, Climbed, Start},
};
use serin_core::{Amount, Capacity, Millis, Schedule, Stage, Step, Weight};
use serin_stats::threshold::Check;

const MINUTE: Millis = Millis::secs(60);
const DAY: Millis = Millis::secs(86_400);
/// Ways to say the steps; one of them is needed.
const WAYS: [&str; 5] = ["steps", "stages", "preset", "stepWeight", "stepWeights"];

pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    let mut reader = field.map()?;
    let frame = Frame::read(&mut reader, around, Usual::BESIDE);
    let allow_decrease = reader.or("allowDecrease", false, |f| f.truth());
    let dynamic = reader.or("dynamicStableScale", false, |f| f.truth());
    let start = Start { judged: frame.judged(), around, instances: false, allow_decrease };
    let shape = shape(&mut reader, start, &frame);
    if dynamic {
        check_dynamic(&reader);
    }
    reader.finish();
    let (stages, checks) = shape?;
    let keep_warm = if dynamic { Millis(0) } else { frame.keep_warm };
    let capacity = if dynamic {
        Capacity::Replace { max_surge: Amount::Percent(100), max_unavailable: Amount::Count(0) }
    } else {
        Capacity::Beside
    };
    let schedule = Frame { keep_warm, ..frame }.staged("canary", stages, checks);
    let schedule = Schedule { capacity, ..schedule };
    frame::must_judge(field, around, "canary", &schedule);
    frame::check_start(&reader_of(field)?, &schedule);
    Some(schedule)
}

/// A second look at a map that was read.
fn reader_of<'a>(field: &Field<'a>) -> Option<Reader<'a>> {
    field.map()
}

fn shape(
    reader: &mut Reader<'_>,
    start: Start<'_>,
    frame: &Frame,
) -> Option<(Vec<Stage>, Vec<Check>)> {
    let ways: Vec<_> = WAYS.into_iter().filter(|way| reader.has(way)).collect();
    if let [one, other, ..] = ways.as_slice() {
        let message = format!("`{one}` and `{other}` both say what the steps are");
        reader.report(reader.key_problem("wrong-choice", message).hint("keep one of them"));
    }
    let named = reader.maybe("preset", |f| preset::ladder(&f));
    let equal = reader.maybe("stepWeight", |f| steps::weight(&f));
    let up_to = reader.maybe("maxWeight", |f| steps::weight(&f));
    let listed = reader.maybe("stepWeights", |f| weights(&f));
    let interval = reader.maybe("interval", |f| f.duration(Millis::secs(1)..=DAY));
    let until = reader.or("until", false, |f| f.choice(&[("evidence", true)]));
    lone_keys(reader);
    let stages = reader.maybe("stages", |f| steps::stages(&f, start_again(&start, frame)));
    if ways.iter().any(|way| *way != "steps") {
        let _ = reader.take("steps");
        let span = interval.unwrap_or(MINUTE);
        let rungs = named
            .or_else(|| Some(every(&equal_rungs(equal?, up_to), span)))
            .or_else(|| Some(every(&listed?, span)));
        let checks = frame.analysis.checks.clone();
        return stages.or_else(|| Some((vec![stage(climb(&rungs?, until))], checks)));
    }
    let example = "[setWeight: 5, ..., setWeight: 100]";
    let Climbed { steps, checks } = reader.need("steps", example, |f| steps::read(&f, start))?;
    Some((vec![stage(steps)], checks))
}

fn start_again<'c>(start: &Start<'c>, frame: &Frame) -> Start<'c> {
    Start { judged: frame.judged(), ..*start }
}

fn stage(steps: Vec<Step>) -> Stage {
    Stage { name: "canary".into(), steps }
}

/// Keys that mean nothing without another.
fn lone_keys(reader: &Reader<'_>) {
    let by_weight = reader.has("stepWeight") || reader.has("stepWeights");
    let cases = [
        ("maxWeight", reader.has("stepWeight"), "`stepWeight`"),
        ("interval", by_weight, "`stepWeight` or `stepWeights`"),
        ("until", by_weight || reader.has("preset"), "`preset` or `stepWeight`"),
    ];
    for (key, allowed, with) in cases {
        if let Some(field) = reader.peek(key).filter(|_| !allowed) {
            let message = format!("`{key}` means something only with {with}");
            field.report(field.key_problem("wrong-choice", message).hint("remove it"));
        }
    }
}

/// Weights that rise, as Flagger lists them.
fn weights(field: &Field<'_>) -> Option<Vec<Weight>> {
    let items = field.list()?;
    if items.is_empty() || items.len() > 50 {
        return field.outside(format!("a list of {}", items.len()), 1, 50);
    }
    let mut found: Vec<Weight> = Vec::new();
    for item in &items {
        let weight = steps::weight(item)?;
        if found.last().is_some_and(|before| weight <= *before) {
            let message = format!("the weight {weight} does not rise above the one before it");
            item.report(item.problem("weights-not-rising", message).hint("weights only rise"));
        }
        found.push(weight);
    }
    Some(found)
}

/// `step`, twice `step` and so on, up to `up_to`.
fn equal_rungs(step: Weight, up_to: Option<Weight>) -> Vec<Weight> {
    let most = up_to.unwrap_or(Weight::ALL).parts();
    let size = step.parts().max(most / 100).max(1);
    let weights = (1..).map(|n| n * size).take_while(|parts| *parts <= most);
    weights.filter_map(|parts| Weight::try_from(u64::from(parts)).ok()).collect()
}

fn every(weights: &[Weight], interval: Millis) -> Vec<(Weight, Millis)> {
    weights.iter().map(|weight| (*weight, interval)).collect()
}

/// Each rung for its time, then everything.
pub(crate) fn climb(rungs: &[(Weight, Millis)], until_evidence: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    for (weight, span) in rungs.iter().filter(|(weight, _)| *weight < Weight::ALL) {
        let wait = if until_evidence { evidence(*span) } else { Step::Pause(Some(*span)) };
        steps.extend([Step::SetWeight(*weight), wait]);
    }
    steps.push(percent(100));
    steps
}

/// Where stable's instances go with its weight, none are left to keep.
fn check_dynamic(reader: &Reader<'_>) {
    for key in ["keepOld", "keepWarm"] {
        let Some(field) = reader.peek(key) else { continue };
        if field.scalar().is_some_and(|text| text.starts_with('0')) {
            continue;
        }
        let message = format!(
            "`{key}` keeps stable's instances, and with `dynamicStableScale` they go as its weight \
             does: none are left to keep"
        );
        field.report(field.key_problem("contradiction", message).hint("remove one of the two"));
    }
}
