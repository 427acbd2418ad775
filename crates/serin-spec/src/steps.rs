//! The steps of a canary: each by itself, then the ladder they form.

use crate::{field::Field, strategy::BAKE_DEADLINE, yaml::shown};
use serin_core::{Bake, Millis, Step, Weight};

/// More steps than this are a mistake of whoever generated the file.
const MAX_STEPS: usize = 100;
const MONTH: Millis = Millis::secs(30 * 86_400);

/// Reads the steps. `judged`: there is an analysis that could give evidence.
pub(crate) fn read(field: &Field<'_>, judged: bool) -> Option<Vec<Step>> {
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
    judged: bool,
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
        let known = [&weight, &pause, &bake].into_iter().flatten().count();
        if known == 0 && written == 0 {
            item.report(item.problem("empty-value", format!("{} is empty", item.what)));
        }
        if known > 1 {
            let message = format!("{} has {known} actions; a step has one", item.what);
            reader.report(reader.key_problem("wrong-choice", message).hint("start each with `- `"));
        }
        reader.finish();
        match (weight, pause, bake) {
            (Some(field), None, None) => self.weight(field),
            (None, Some(field), None) => self.pause(&field),
            (None, None, Some(field)) => self.bake(&field),
            _ => None,
        }
    }

    fn weight(&mut self, field: Field<'a>) -> Option<Step> {
        let weight = weight(&field)?;
        if let Some((before, _)) = &self.last
            && weight <= *before
        {
            let message = format!("the weight {weight} does not rise above {before} before it");
            let hint = "weights only rise; to go back, abort or roll back";
            field.report(field.problem("weights-not-rising", message).hint(hint));
        }
        self.last = Some((weight, field));
        Some(Step::SetWeight(weight))
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
        if !self.judged {
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
        Some(true)
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
