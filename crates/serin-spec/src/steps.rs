//! The steps of a canary: each by itself, then the ladder they form.

use crate::{field::Field, strategy::BAKE_DEADLINE, yaml::shown};
use serin_core::{Analysis, Bake, Expose, Millis, Step, Weight};
use serin_stats::Metric;

/// More steps than this are a mistake of whoever generated the file.
const MAX_STEPS: usize = 100;
const MONTH: Millis = Millis::secs(30 * 86_400);

/// Failed requests that `expose` risks on average, unless said.
const BUDGET: f64 = 100.0;
/// Percent that `expose` gives at most, unless said.
const UP_TO: u32 = 50;

/// What the analysis can give evidence on.
#[derive(Clone, Copy)]
pub(crate) struct Judged {
    /// Something is compared or checked.
    evidence: bool,
    /// Errors are compared, which is what `expose` reckons with.
    errors: bool,
}

impl Judged {
    pub(crate) fn of(analysis: &Analysis) -> Self {
        let checked = analysis.checks.iter().any(|check| !check.report_only);
        let errors = analysis.metric(&Metric::Errors).is_some();
        Self { evidence: analysis.compares() || checked, errors }
    }
}

/// Reads the steps. `judged`: what the analysis could give evidence on.
pub(crate) fn read(field: &Field<'_>, judged: Judged) -> Option<Vec<Step>> {
    let items = field.list()?;
    if items.is_empty() {
        let hint = "write at least `- setWeight: 100`";
        field.report(field.problem("no-steps", "`steps` is empty").hint(hint));
        return None;
    }
    if items.len() > MAX_STEPS {
        return field.outside(format!("a list of {}", items.len()), 1, MAX_STEPS);
    }
    let mut ladder = Ladder { judged, last: None, complete: true };
    let steps: Vec<_> = items.iter().map(|item| ladder.step(item)).collect();
    ladder.check_end(field);
    steps.into_iter().collect()
}

/// What the steps so far came to.
struct Ladder<'a> {
    judged: Judged,
    /// The last weight, and where it is written.
    last: Option<(Weight, Field<'a>)>,
    /// No step was unreadable: what the ladder says can be trusted.
    complete: bool,
}

impl<'a> Ladder<'a> {
    fn step(&mut self, item: &Field<'a>) -> Option<Step> {
        let step = self.read_step(item);
        self.complete &= step.is_some();
        step
    }

    fn read_step(&mut self, item: &Field<'a>) -> Option<Step> {
        let mut reader = item.map()?;
        let written = reader.len();
        let weight = reader.take("setWeight");
        let pause = reader.take("pause");
        let bake = reader.take("bake");
        let expose = reader.take("expose");
        let known = [&weight, &pause, &bake, &expose].into_iter().flatten().count();
        if known == 0 && written == 0 {
            item.report(item.problem("empty-value", format!("{} is empty", item.what)));
        }
        if known > 1 {
            let message = format!("{} has {known} actions; a step has one", item.what);
            reader.report(reader.key_problem("wrong-choice", message).hint("start each with `- `"));
        }
        reader.finish();
        match (weight, pause, bake, expose) {
            (Some(field), None, None, None) => self.weight(field),
            (None, Some(field), None, None) => self.pause(&field),
            (None, None, Some(field), None) => self.bake(&field),
            (None, None, None, Some(field)) => self.expose(field),
            _ => None,
        }
    }

    fn weight(&mut self, field: Field<'a>) -> Option<Step> {
        let weight = weight(&field)?;
        self.rise(weight, field);
        Some(Step::SetWeight(weight))
    }

    /// Weights only rise.
    fn rise(&mut self, weight: Weight, field: Field<'a>) {
        if let Some((before, _)) = &self.last
            && weight <= *before
        {
            let message = format!("the weight {weight} does not rise above {before} before it");
            let hint = "weights only rise; to go back, abort or roll back";
            field.report(field.problem("weights-not-rising", message).hint(hint));
        }
        self.last = Some((weight, field));
    }

    /// `expose: auto`, or a map.
    fn expose(&mut self, field: Field<'a>) -> Option<Step> {
        let usual = Weight::percent(UP_TO).unwrap_or(Weight::NONE);
        let automatic = field.scalar().is_some() && !field.node.is_null();
        let mut expose = Expose { budget: BUDGET, up_to: usual, deadline: BAKE_DEADLINE };
        if automatic {
            field.choice(&[("auto", ())])?;
        } else {
            let mut reader = field.map()?;
            expose.budget = reader.or("budget", BUDGET, |f| budget(&f));
            expose.up_to = reader.or("upTo", usual, |f| up_to(&f));
            expose.deadline =
                reader.or("deadline", BAKE_DEADLINE, |f| f.duration(Millis::secs(1)..=MONTH));
            reader.finish();
        }
        self.needs_evidence(&field);
        if self.judged.evidence && !self.judged.errors {
            let message = "`expose` reckons with failed requests, and `errors` is not compared";
            let hint = "add `errors` to the metrics of `analysis`";
            field.report(field.key_problem("no-evidence", message).hint(hint));
        }
        // After weight 100 it was told already that no evidence can come.
        if !matches!(self.last, Some((Weight::ALL, _))) {
            self.rise(expose.up_to, field);
        }
        Some(Step::Expose(expose))
    }

    fn pause(&self, field: &Field<'a>) -> Option<Step> {
        self.warn_before_weight(field, "pause");
        if let Some(text) = field.scalar().filter(|_| !field.node.is_null()) {
            let message = format!("`pause` must be a map, found `{}`", shown(text));
            let hint = "write `pause: { duration: 5m }`, or `pause: {}` to wait for a person";
            field.report(field.problem("wrong-type", message).hint(hint));
            return None;
        }
        let mut reader = field.map_or_nothing()?;
        let written = reader.has("duration");
        let duration = reader.maybe("duration", |f| f.duration(Millis(1)..=MONTH));
        reader.finish();
        (written == duration.is_some()).then_some(Step::Pause(duration))
    }

    fn bake(&self, field: &Field<'a>) -> Option<Step> {
        self.warn_before_weight(field, "bake");
        let mut reader = field.map()?;
        let conditions = ["atLeast", "requests", "until"].iter().any(|key| reader.has(key));
        if !conditions {
            let message = "`bake` has no condition, so nothing says when it ends";
            let hint = "give it `atLeast: 30s`, `requests: 1000` or `until: evidence`";
            reader.report(reader.key_problem("bake-without-condition", message).hint(hint));
        }
        let bake = Bake {
            at_least: reader.or("atLeast", Millis(0), |f| f.duration(Millis(1)..=MONTH)),
            requests: reader.or("requests", 0, |f| f.integer(1..=1_000_000_000_000)),
            until_evidence: reader.or("until", false, |f| self.until(&f)),
            deadline: reader.or("deadline", BAKE_DEADLINE, |f| f.duration(Millis(1)..=MONTH)),
        };
        if bake.deadline <= bake.at_least {
            let Bake { at_least, deadline, .. } = bake;
            let default = if reader.has("deadline") { "" } else { " (the default)" };
            let message = format!(
                "`bake` ends after {deadline}{default}, before its `atLeast` of {at_least} is over"
            );
            let hint = "write a `deadline` longer than `atLeast`";
            reader.report(reader.key_problem("deadline-too-short", message).hint(hint));
        }
        reader.finish();
        Some(Step::Bake(bake))
    }

    fn until(&self, field: &Field<'a>) -> Option<bool> {
        field.choice(&[("evidence", ())])?;
        self.needs_evidence(field);
        Some(true)
    }

    /// Evidence must be possible: something is compared, and both arms have traffic.
    fn needs_evidence(&self, field: &Field<'a>) {
        if !self.judged.evidence {
            let message = "no evidence can come: `analysis` compares no metric";
            let hint = "write `metrics: [errors, latency]` in `analysis`";
            field.report(field.problem("no-evidence", message).hint(hint));
        }
        if matches!(self.last, Some((Weight::ALL, _))) {
            let message =
                "no evidence can come after weight 100: stable has no traffic to compare with";
            let hint = "ask for evidence before `setWeight: 100`, or bake with `atLeast`";
            field.report(field.problem("no-evidence", message).hint(hint));
        }
    }

    fn warn_before_weight(&self, field: &Field<'a>, word: &str) {
        if self.last.is_some() || !self.complete {
            return;
        }
        let message = format!(
            "this `{word}` comes before the first `setWeight`: no traffic is on the candidate"
        );
        let problem = field.key_problem("wait-without-traffic", message);
        field.report(problem.warning().hint("put a `setWeight` before it"));
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

/// A weight in percent, in (0, 100], with up to three decimals.
fn weight(field: &Field<'_>) -> Option<Weight> {
    let percent = field.decimal()?;
    if percent <= 0.0 || percent > 100.0 {
        let message = format!("the weight is {percent}; it must be above 0, at most 100");
        field.report(
            field.problem("out-of-range", message).hint("it is the candidate's share in percent"),
        );
        return None;
    }
    let parts = (percent * 1000.0).round();
    if parts < 1.0 || (parts - percent * 1000.0).abs() > 1e-6 {
        let message = format!("the weight {percent} is finer than 0.001 %");
        field.report(field.problem("out-of-range", message).hint("use at most three decimals"));
        return None;
    }
    Weight::try_from(parts as u64).ok()
}

/// Failed requests.
fn budget(field: &Field<'_>) -> Option<f64> {
    let budget = field.decimal()?;
    if (1.0..=1e9).contains(&budget) {
        return Some(budget);
    }
    field.outside(budget, 1, 1_000_000_000)
}

/// A share that leaves stable some traffic to compare with.
fn up_to(field: &Field<'_>) -> Option<Weight> {
    let weight = weight(field)?;
    if weight < Weight::ALL {
        return Some(weight);
    }
    let message = "`upTo` is 100: stable would have no traffic to compare with";
    let hint = "expose up to 50, then `setWeight: 100`";
    field.report(field.problem("out-of-range", message).hint(hint));
    None
}
