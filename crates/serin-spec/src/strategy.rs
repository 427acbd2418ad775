//! `strategy`: one of seven shapes, each lowered to a schedule of steps and the analysis that
//! judges them. The engine knows none of them by name.

mod ab;
mod blue_green;
mod canary;
mod frame;
mod one_box;
mod recreate;
mod rolling;
mod shadow;

pub(crate) use frame::{Frame, Usual};

use crate::{field::Field, preset};
use serin_core::{Analysis, Bake, Millis, Schedule, Step, Weight};
use std::path::Path;

pub(crate) const HOUR: Millis = Millis::secs(3600);
pub(crate) const DAY: Millis = Millis::secs(86_400);
/// How long a bake waits for its conditions unless said.
pub(crate) const BAKE_DEADLINE: Millis = HOUR;

const WARM_UP: Millis = Millis::secs(5);
const PROGRESS_DEADLINE: Millis = Millis::secs(60);
const KEEP_WARM: Millis = Millis::secs(30);

/// What a strategy has to know of the service around it.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(crate) struct Around<'c> {
    pub(crate) environment: &'c str,
    pub(crate) replicas: u32,
    /// No users come in through Serin.
    pub(crate) worker: bool,
    /// Instances publish numbers of their own.
    pub(crate) metrics: bool,
    /// The candidate has an address of its own.
    pub(crate) preview: bool,
    /// Limits of `rollback` lead back, whatever the strategy compares.
    pub(crate) limits: bool,
    /// Users stay with a revision.
    pub(crate) sticky: bool,
    /// The service names its database.
    pub(crate) database: bool,
    pub(crate) base: &'c Path,
}

type Read = fn(&Field<'_>, &Around<'_>) -> Option<Schedule>;

const STRATEGIES: [(&str, Read); 7] = [
    ("canary", canary::read),
    ("blueGreen", blue_green::read),
    ("rolling", rolling::read),
    ("recreate", recreate::read),
    ("oneBox", one_box::read),
    ("shadow", shadow::read),
    ("ab", ab::read),
];

/// What a service without `strategy` gets: 25 %, 50 %, then all, 30 s each, rolled back by
/// evidence of harm, promoted without evidence of health.
pub fn guarded() -> Schedule {
    let steps = vec![percent(25), baked(30), percent(50), baked(30), percent(100)];
    Frame::usual(Analysis::default()).of("guarded", steps)
}

/// [`guarded`], for a service without requests to compare.
pub(crate) fn guarded_worker() -> Schedule {
    Schedule { analysis: None, ..guarded() }
}

fn baked(seconds: u64) -> Step {
    bake(Millis::secs(seconds))
}

/// So long, whatever the evidence.
pub(crate) fn bake(at_least: Millis) -> Step {
    Step::Bake(wait(at_least))
}

/// So long, and until the evidence is there.
pub(crate) fn evidence(at_least: Millis) -> Step {
    Step::Bake(Bake { until_evidence: true, ..wait(at_least) })
}

fn wait(at_least: Millis) -> Bake {
    let deadline = BAKE_DEADLINE.max(Millis(at_least.0 * 2));
    Bake { at_least, requests: 0, until_evidence: false, deadline }
}

/// A weight in whole percent.
pub(crate) fn percent(percent: u32) -> Step {
    Step::SetWeight(Weight::percent(percent).unwrap_or(Weight::ALL))
}

/// A preset by its name, or a map with one strategy.
pub(crate) fn read(field: &Field<'_>, around: &Around<'_>) -> Option<Schedule> {
    if field.scalar().is_some() && !field.node.is_null() {
        return preset::named(field, around);
    }
    let mut reader = field.map()?;
    let mut found: Vec<_> = STRATEGIES
        .iter()
        .filter_map(|(name, read)| Some((*name, read, reader.take(name)?)))
        .collect();
    if let [(one, ..), (other, ..), ..] = found.as_slice() {
        let message = format!("`strategy` has both `{one}` and `{other}`; a service has one");
        let hint = format!("keep one; `{one}` and `{other}` cannot be mixed");
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    }
    if reader.len() == 0 {
        let problem = reader.key_problem("missing-key", "`strategy` names no strategy");
        let hint = "write one: `canary: { steps: [...] }`, `rolling: {}`, or the name of a preset";
        reader.report(problem.hint(hint));
    }
    reader.finish();
    let many = found.len() > 1;
    let read: Vec<_> = found.drain(..).map(|(_, read, field)| read(&field, around)).collect();
    read.into_iter().next().flatten().filter(|_| !many)
}
