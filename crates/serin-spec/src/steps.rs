//! The steps of a rollout: each by itself, then the ladder they form.

pub(crate) mod experiment;
mod flag;
mod hook;
mod migrate;
mod people;
mod route;
mod scale;
mod wait;

pub(crate) use experiment::variants;
pub(crate) use hook::read as hooks;
pub(crate) use people::{approval, named_checks};
pub(crate) use route::{header_matches, header_name, request_matches};

use crate::{checks, field::Field, problem::Problem, strategy::Around};
use serin_core::{Analysis, Millis, Scale, Step, Weight};
use serin_stats::{Metric, threshold::Check};
use std::collections::BTreeSet;

/// More steps than this are a mistake of whoever generated the file.
const MAX_STEPS: usize = 100;
pub(crate) const MONTH: Millis = Millis::secs(30 * 86_400);

const WORDS: [&str; 14] = [
    "setWeight",
    "pause",
    "bake",
    "expose",
    "setCanaryScale",
    "setHeaderRoute",
    "setMirrorRoute",
    "analysis",
    "experiment",
    "approval",
    "run",
    "flag",
    "migrate",
    "chaos",
];
/// What still means something when the candidate has all traffic.
const AFTER_ALL: [&str; 7] = ["pause", "bake", "expose", "analysis", "approval", "run", "flag"];

/// What the analysis can give evidence on.
#[derive(Clone)]
pub(crate) struct Judged {
    /// Something is compared or checked.
    evidence: bool,
    /// Errors are compared, which is what `expose` reckons with.
    errors: bool,
    /// A number that instances publish is held against a limit, for which no request is needed.
    own: bool,
    /// The first step, from 0, at which it is looked at.
    from: usize,
    /// Numbers held against limits; steps may name them and add to them.
    checks: Vec<Check>,
}

impl Judged {
    /// With these checks in place of the analysis's own.
    pub(crate) fn with(self, checks: &[Check]) -> Self {
        Self { checks: checks.to_vec(), ..self }
    }

    pub(crate) fn of(analysis: &Analysis, from: usize) -> Self {
        let checked = analysis.checks.iter().any(|check| !check.report_only);
        let errors = analysis.metric(&Metric::Errors).is_some();
        let checks = analysis.checks.clone();
        let own = checks.iter().any(checks::needs_no_request);
        Self { evidence: analysis.compares() || checked, errors, own, from, checks }
    }
}

/// Where the steps begin.
pub(crate) struct Start<'c> {
    pub(crate) judged: Judged,
    pub(crate) around: &'c Around<'c>,
    /// Instances of the candidate run already.
    pub(crate) instances: bool,
    /// Weights may go down.
    pub(crate) allow_decrease: bool,
}

/// Steps, and all checks with those that only steps name.
pub(crate) struct Climbed {
    pub(crate) steps: Vec<Step>,
    pub(crate) checks: Vec<Check>,
}

/// Reads the steps.
pub(crate) fn read(field: &Field<'_>, start: Start<'_>) -> Option<Climbed> {
    let mut ladder = Ladder::new(start);
    let steps = ladder.list(field)?;
    ladder.check_end(field);
    Some(Climbed { steps: steps?, checks: ladder.judged.checks })
}

/// Reads stages: `[{ name: ..., steps: [...] }]`, one ladder over all of them.
pub(crate) fn stages(
    field: &Field<'_>,
    start: Start<'_>,
) -> Option<(Vec<serin_core::Stage>, Vec<Check>)> {
    let mut ladder = Ladder::new(start);
    let mut stages = Vec::new();
    for item in field.list()? {
        let Some(mut reader) = item.map() else { continue };
        let name = reader.need("name", "first-look", |f| f.word().map(str::to_owned));
        let steps = reader.need("steps", "[setWeight: 5]", |f| ladder.list(&f).flatten());
        reader.finish();
        ladder.complete &= steps.is_some();
        stages.push(name.zip(steps).map(|(name, steps)| serin_core::Stage { name, steps }));
    }
    ladder.check_end(field);
    let stages: Option<Vec<_>> = stages.into_iter().collect();
    Some((stages?, ladder.judged.checks))
}

/// What the steps so far came to.
#[allow(clippy::struct_excessive_bools, reason = "facts of their own, none follows from another")]
struct Ladder<'a, 'c> {
    judged: Judged,
    around: &'c Around<'c>,
    allow_decrease: bool,
    /// Instances of the candidate run.
    instances: bool,
    /// The schema of the database was brought.
    migrated: bool,
    /// Copies of requests reach the candidate.
    mirrored: Option<String>,
    /// Header routes that are there.
    routes: BTreeSet<String>,
    /// Instances asked for apart from the weight.
    scale: Scale,
    /// The last weight, and where it is written.
    last: Option<(Weight, Field<'a>)>,
    /// No step was unreadable: what the ladder says can be trusted.
    complete: bool,
    /// Steps before this one.
    index: usize,
}

impl<'a, 'c> Ladder<'a, 'c> {
    fn new(start: Start<'c>) -> Self {
        Self {
            judged: start.judged,
            around: start.around,
            allow_decrease: start.allow_decrease,
            instances: start.instances,
            migrated: false,
            mirrored: None,
            routes: BTreeSet::new(),
            scale: Scale::MatchWeight,
            last: None,
            complete: true,
            index: 0,
        }
    }

    /// The outer `None`: no list of a sensible length.
    #[allow(clippy::option_option)]
    fn list(&mut self, field: &Field<'a>) -> Option<Option<Vec<Step>>> {
        let items = field.list()?;
        if items.is_empty() {
            let hint = "write at least `- setWeight: 100`";
            field.report(field.problem("no-steps", "`steps` is empty").hint(hint));
            return None;
        }
        if items.len() > MAX_STEPS {
            return field.outside(format!("a list of {}", items.len()), 1, MAX_STEPS);
        }
        let steps: Vec<_> = items.iter().map(|item| self.step(item)).collect();
        Some(steps.into_iter().collect())
    }

    fn step(&mut self, item: &Field<'a>) -> Option<Step> {
        let step = self.read_step(item);
        self.complete &= step.is_some();
        self.index += 1;
        step
    }

    fn read_step(&mut self, item: &Field<'a>) -> Option<Step> {
        let mut reader = item.map()?;
        let mut found: Vec<_> =
            WORDS.iter().filter_map(|word| Some((*word, reader.take(word)?))).collect();
        if reader.len() == 0 {
            item.report(item.problem("empty-value", format!("{} is empty", item.what)));
        }
        if found.len() > 1 {
            let message = format!("{} has {} actions; a step has one", item.what, found.len());
            reader.report(reader.key_problem("wrong-choice", message).hint("start each with `- `"));
        }
        reader.finish();
        let (word, field) = found.pop().filter(|_| found.is_empty())?;
        if self.has_all() && !AFTER_ALL.contains(&word) {
            unreachable(&field, word);
        }
        self.action(word, field)
    }

    fn action(&mut self, word: &'static str, field: Field<'a>) -> Option<Step> {
        match word {
            "setWeight" => self.weight(field),
            "pause" => self.pause(&field),
            "bake" => self.bake(&field),
            "expose" => self.expose(field),
            "setCanaryScale" => self.set_scale(&field),
            "setHeaderRoute" => self.header_route(&field),
            "setMirrorRoute" => self.mirror_route(&field),
            "analysis" => self.analysis(&field),
            "experiment" => self.experiment(&field),
            "approval" => approval(&field).map(Step::Approve),
            "run" => self.run(&field),
            "flag" => self.flag(&field),
            "migrate" => self.migrate(&field),
            _ => not_yet(&field),
        }
    }

    fn has_all(&self) -> bool {
        matches!(self.last, Some((Weight::ALL, _)))
    }

    fn weight(&mut self, field: Field<'a>) -> Option<Step> {
        let weight = weight(&field)?;
        self.warn_small_scale(weight, &field);
        if !self.has_all() {
            self.rise(weight, field);
        }
        Some(Step::SetWeight(weight))
    }

    /// Weights only rise, unless the author says that they may not.
    fn rise(&mut self, weight: Weight, field: Field<'a>) {
        if let Some((before, _)) = &self.last
            && (weight == *before || weight < *before && !self.allow_decrease)
        {
            let message = format!("the weight {weight} does not rise above {before} before it");
            let hint = if weight == *before {
                "it changes nothing: remove it"
            } else {
                "to go back, abort or roll back; where a lower weight is meant, write \
                 `allowDecrease: true` beside `steps`"
            };
            field.report(field.problem("weights-not-rising", message).hint(hint));
        }
        self.instances = true;
        self.last = Some((weight, field));
    }

    /// Tests and routes need an instance to lead to.
    fn needs_instances(&self, field: &Field<'a>, word: &str) {
        if self.instances || !self.complete {
            return;
        }
        let message = format!(
            "this `{word}` comes before any candidate instance runs: it would wait for ever"
        );
        let hint = "put `setCanaryScale: { replicas: 1 }` or a `setWeight` before it";
        field.report(blocks(field, message).hint(hint));
    }

    fn run(&self, field: &Field<'a>) -> Option<Step> {
        self.needs_instances(field, "run");
        hooks(field, self.around.base).map(Step::Run)
    }

    /// Counts of the candidate's requests come only where some reach it.
    fn has_traffic(&self) -> bool {
        self.last.is_some() || self.mirrored.is_some() || !self.complete
    }

    /// The last weight must be 100.
    fn check_end(&self, steps: &Field<'_>) {
        let problem = match &self.last {
            Some((Weight::ALL, _)) => return,
            _ if !self.complete => return,
            Some((weight, field)) => field
                .problem("never-100", "the last weight is not 100: the rollout could never end")
                .label(format!("ends at {weight}")),
            None => steps.key_problem(
                "never-100",
                "no step says `setWeight: 100`: the rollout could never end",
            ),
        };
        steps.report(problem.hint("add `- setWeight: 100` at the end"));
    }
}

/// A step that could never be left.
pub(crate) fn blocks(field: &Field<'_>, message: impl Into<String>) -> Problem {
    field.key_problem("never-ends", message).label("nothing after this step is ever reached")
}

fn unreachable(field: &Field<'_>, word: &str) {
    let message = format!("this `{word}` comes after weight 100 and could never act");
    let hint = "move it before `setWeight: 100`, or remove it";
    field.report(field.key_problem("unreachable-step", message).hint(hint));
}

/// A word that will mean something: it is known, and refused.
fn not_yet(field: &Field<'_>) -> Option<Step> {
    let message = "the step `chaos` is not available yet: faults come with a later version";
    let problem = Problem::error("not-available", field.key.clone(), message);
    field.report(problem.hint("put faults in with `run: { command: [...] }`"));
    None
}

/// The candidate's share in percent, in (0, 100], with up to three decimals.
pub(crate) fn weight(field: &Field<'_>) -> Option<Weight> {
    let start = "to start instances without traffic write `setCanaryScale: { replicas: 1 }`";
    let zero = field.what == "`setWeight`" && field.scalar() == Some("0");
    let hint = if zero { start } else { "it is the candidate's share in percent" };
    share(field, "the weight", hint)
}

/// A share of requests in percent, in (0, 100].
pub(crate) fn percentage(field: &Field<'_>) -> Option<Weight> {
    share(field, &field.what, "it is a share of the requests in percent")
}

fn share(field: &Field<'_>, what: &str, hint: &str) -> Option<Weight> {
    let percent = field.decimal()?;
    if percent <= 0.0 || percent > 100.0 {
        let message = format!("{what} is {percent}; it must be above 0, at most 100");
        field.report(field.problem("out-of-range", message).hint(hint));
        return None;
    }
    let parts = (percent * 1000.0).round();
    if parts < 1.0 || (parts - percent * 1000.0).abs() > 1e-6 {
        let message = format!("{what} {percent} is finer than 0.001 %");
        field.report(field.problem("out-of-range", message).hint("use at most three decimals"));
        return None;
    }
    Weight::try_from(parts as u64).ok()
}
