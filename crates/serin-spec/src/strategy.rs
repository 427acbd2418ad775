//! `strategy`: lowered to a schedule of steps and the analysis that judges them.

use crate::{
    analysis,
    field::Field,
    steps::{self, Judged},
};
use serin_core::{Analysis, Bake, Millis, Schedule, Step, Weight};

const HOUR: Millis = Millis::secs(3600);
const DAY: Millis = Millis::secs(86_400);
/// How long a bake waits for its conditions unless said.
pub(crate) const BAKE_DEADLINE: Millis = HOUR;

const WARM_UP: Millis = Millis::secs(5);
const PROGRESS_DEADLINE: Millis = Millis::secs(60);
const KEEP_WARM: Millis = Millis::secs(30);

/// What a service without `strategy` gets: 25 %, 50 %, then all, 30 s each, rolled back by
/// evidence of harm, promoted without evidence of health.
pub fn guarded() -> Schedule {
    let bake = || {
        Step::Bake(Bake {
            at_least: Millis::secs(30),
            requests: 0,
            until_evidence: false,
            deadline: BAKE_DEADLINE,
        })
    };
    let weight = |percent| Step::SetWeight(Weight::percent(percent).unwrap_or(Weight::ALL));
    let steps = vec![weight(25), bake(), weight(50), bake(), weight(100)];
    schedule("guarded", steps, Some(Analysis::default()))
}

fn schedule(strategy: &str, steps: Vec<Step>, analysis: Option<Analysis>) -> Schedule {
    Schedule {
        analysis,
        warm_up: WARM_UP,
        progress_deadline: PROGRESS_DEADLINE,
        keep_warm: KEEP_WARM,
        ..Schedule::of(strategy, steps)
    }
}

pub(crate) fn read(field: &Field<'_>) -> Option<Schedule> {
    let mut reader = field.map()?;
    let canary = reader.need("canary", "{ steps: [...] }", |f| canary(&f));
    reader.finish();
    canary
}

fn canary(field: &Field<'_>) -> Option<Schedule> {
    let mut reader = field.map()?;
    let analysis = reader.or("analysis", Analysis::default(), |f| analysis::read(&f));
    let judged = Judged::of(&analysis);
    // Without anything to judge by health alone decides.
    let analysis = analysis::judges(&analysis).then_some(analysis);
    let steps =
        reader.need("steps", "[setWeight: 5, ..., setWeight: 100]", |f| steps::read(&f, judged));
    let warm_up = reader.or("warmUp", WARM_UP, |f| f.duration(Millis(0)..=HOUR));
    let progress_deadline =
        reader.or("progressDeadline", PROGRESS_DEADLINE, |f| f.duration(Millis::secs(1)..=DAY));
    let keep_warm = reader.or("keepWarm", KEEP_WARM, |f| f.duration(Millis(0)..=DAY));
    reader.finish();
    Some(Schedule { warm_up, progress_deadline, keep_warm, ..schedule("canary", steps?, analysis) })
}
