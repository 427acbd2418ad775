//! Steps that wait: for a time, for requests, for evidence.

use super::{Ladder, MONTH, blocks, weight};
use crate::{field::Field, quantity, strategy::BAKE_DEADLINE, yaml::shown};
use serin_core::{Bake, Expose, Millis, Step, Weight};

/// Failed requests that `expose` risks on average, unless said.
const BUDGET: f64 = 100.0;
/// Percent that `expose` gives at most, unless said.
const UP_TO: u32 = 50;

impl<'a> Ladder<'a, '_> {
    /// `expose: auto`, or a map.
    pub(super) fn expose(&mut self, field: Field<'a>) -> Option<Step> {
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
        if !self.has_all() {
            self.rise(expose.up_to, field);
        }
        Some(Step::Expose(expose))
    }

    pub(super) fn pause(&self, field: &Field<'a>) -> Option<Step> {
        self.warn_before_weight(field, "pause");
        if let Some(text) = field.scalar().filter(|_| !field.node.is_null()) {
            let message = format!("`pause` must be a map, found `{}`", shown(text));
            let hint = "write `pause: { duration: 5m }`, or `pause: {}` to wait for a person";
            field.report(field.problem("wrong-type", message).hint(hint));
            return None;
        }
        let mut reader = field.map_or_nothing()?;
        let written = reader.has("duration");
        let duration = reader.maybe("duration", |f| pause_time(&f));
        reader.finish();
        (written == duration.is_some()).then_some(Step::Pause(duration))
    }

    pub(super) fn bake(&self, field: &Field<'a>) -> Option<Step> {
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
        if bake.requests == 0 && !bake.until_evidence {
            self.warn_before_weight(field, "bake");
        } else if bake.requests > 0 {
            self.needs_requests(field);
        }
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

    /// Evidence must be possible: something is compared, both arms have traffic, and somebody
    /// looks.
    fn needs_evidence(&self, field: &Field<'a>) {
        let refuse = |message: &str, hint: &str| {
            field.report(field.problem("no-evidence", message).hint(hint));
        };
        if !self.judged.evidence {
            refuse(
                "no evidence can come: `analysis` compares no metric",
                "write `metrics: [errors, latency]` in `analysis`",
            );
        } else if self.has_all() {
            refuse(
                "no evidence can come after weight 100: stable has no traffic to compare with",
                "ask for evidence before `setWeight: 100`, or bake with `atLeast`",
            );
        } else if self.index < self.judged.from {
            let message = format!(
                "no evidence can come in step {}: the analysis starts with step {}",
                self.index + 1,
                self.judged.from + 1
            );
            refuse(&message, "make `startingStep` smaller, or bake with `atLeast`");
        } else if !(self.around.worker && self.judged.own) {
            self.needs_requests(field);
        }
    }

    /// A wait for requests ends only where some reach the candidate. Those led by headers are no
    /// evidence. What `expose` gives, it gives itself.
    fn needs_requests(&self, field: &Field<'a>) {
        let exposes = field.what == "`expose`";
        if exposes || self.has_traffic() && !self.around.worker {
            return;
        }
        let (message, hint) = if self.around.worker {
            let message = "this waits for requests, and a worker has none: it would never end";
            (message, "bake with `atLeast`, and hold the worker's own numbers against `checks`")
        } else {
            let message = "this waits for requests on the candidate, and no step before gives it \
                           any: it would never end";
            (message, "put a `setWeight` or a `setMirrorRoute` before it")
        };
        field.report(blocks(field, message).hint(hint));
    }

    fn warn_before_weight(&self, field: &Field<'a>, word: &str) {
        if self.instances || !self.complete {
            return;
        }
        let message = format!(
            "this `{word}` comes before the first `setWeight`: no traffic is on the candidate"
        );
        let problem = field.key_problem("wait-without-traffic", message);
        field.report(problem.warning().hint("put a `setWeight` before it"));
    }
}

/// Seconds as a bare number, as Argo Rollouts has it, or a time with its unit.
fn pause_time(field: &Field<'_>) -> Option<Millis> {
    let bare = field.is_plain() && field.scalar().is_some_and(|t| quantity::number(t).is_some());
    if bare { field.seconds(Millis(1)..=MONTH) } else { field.duration(Millis(1)..=MONTH) }
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
