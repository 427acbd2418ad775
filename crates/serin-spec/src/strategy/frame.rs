//! What every strategy can say beside its steps.

use super::{Around, DAY, HOUR, KEEP_WARM, PROGRESS_DEADLINE, WARM_UP};
use crate::{analysis, field::Field, reader::Reader, steps::Judged};
use serin_core::{Analysis, Millis, Schedule, Stage, Step};
use serin_stats::threshold::Check;

const MONTH: Millis = Millis::secs(30 * 86_400);

/// Settings that are the same for all strategies.
pub(crate) struct Frame {
    pub(crate) analysis: Analysis,
    /// The first step, from 0, at which evidence is looked at.
    pub(crate) from: usize,
    pub(crate) warm_up: Millis,
    pub(crate) progress_deadline: Millis,
    pub(crate) keep_warm: Millis,
    pub(crate) keep_old: Millis,
    pub(crate) keep_failed: Millis,
}

/// What they are in one strategy unless said.
#[derive(Clone, Copy)]
pub(crate) struct Usual {
    pub(crate) keep_warm: Millis,
    pub(crate) keep_old: Millis,
}

impl Usual {
    /// Stable stays beside the candidate for a moment.
    pub(crate) const BESIDE: Self = Self { keep_warm: KEEP_WARM, keep_old: Millis(0) };
    /// The candidate took stable's places: nothing is left to keep.
    pub(crate) const REPLACED: Self = Self { keep_warm: Millis(0), keep_old: Millis(0) };
}

impl Frame {
    /// Everything as it is unless said.
    pub(crate) fn usual(analysis: Analysis) -> Self {
        Self {
            analysis,
            from: 0,
            warm_up: WARM_UP,
            progress_deadline: PROGRESS_DEADLINE,
            keep_warm: KEEP_WARM,
            keep_old: Millis(0),
            keep_failed: Millis(0),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>, around: &Around<'_>, usual: Usual) -> Self {
        let start = analysis::usual(around.worker);
        let asked = reader.maybe("analysis", |f| analysis::read(&f, around.worker));
        let (analysis, from) = asked.unwrap_or((start, 0));
        Self {
            analysis,
            from,
            warm_up: reader.or("warmUp", WARM_UP, |f| f.duration(Millis(0)..=HOUR)),
            progress_deadline: reader
                .or("progressDeadline", PROGRESS_DEADLINE, |f| f.duration(Millis::secs(1)..=DAY)),
            keep_warm: reader.or("keepWarm", usual.keep_warm, |f| f.duration(Millis(0)..=DAY)),
            keep_old: reader.or("keepOld", usual.keep_old, |f| f.duration(Millis(0)..=MONTH)),
            keep_failed: reader.or("keepFailed", Millis(0), |f| f.duration(Millis(0)..=DAY)),
        }
    }

    /// What the steps can wait for.
    pub(crate) fn judged(&self) -> Judged {
        Judged::of(&self.analysis, self.from)
    }

    /// A schedule of one stage.
    pub(crate) fn of(self, strategy: &str, steps: Vec<Step>) -> Schedule {
        let checks = self.analysis.checks.clone();
        self.staged(strategy, vec![Stage { name: strategy.into(), steps }], checks)
    }

    /// A schedule of several stages, judged by `checks` too.
    pub(crate) fn staged(self, strategy: &str, stages: Vec<Stage>, checks: Vec<Check>) -> Schedule {
        let analysis = Analysis { checks, ..self.analysis };
        Schedule {
            stages,
            // Without anything to judge by health alone decides.
            analysis: analysis::judges(&analysis).then_some(analysis),
            warm_up: self.warm_up,
            progress_deadline: self.progress_deadline,
            keep_warm: self.keep_warm,
            keep_old: self.keep_old,
            keep_failed: self.keep_failed,
            analysis_from: self.from,
            ..Schedule::of(strategy, Vec::new())
        }
    }
}

/// Refuses what a strategy that tries a version on some of the traffic cannot do without: traffic
/// to share out, and something to judge by.
pub(crate) fn must_judge(field: &Field<'_>, around: &Around<'_>, name: &str, schedule: &Schedule) {
    if around.worker && !around.metrics {
        let message = format!(
            "`{name}` tries a version on a share of the traffic, and this service has none: it is \
             a worker"
        );
        let hint = "use `rolling`, or publish numbers with `run: { metrics: { path: /metrics } }` \
                    to roll it by instances";
        field.report(field.key_problem("worker", message).hint(hint));
    } else if schedule.analysis.is_none() && !around.limits {
        let message = format!(
            "`{name}` has nothing to judge by: `analysis` has no metric, no check and no \
             `maxCanaryErrors`, so a bad version would pass"
        );
        let hint =
            "write `metrics: [errors, latency]`, or use `rolling`, which watches health alone";
        field.report(field.key_problem("no-metric", message).hint(hint));
    }
}

/// Refuses an analysis that would start after the last step.
pub(crate) fn check_start(reader: &Reader<'_>, schedule: &Schedule) {
    if schedule.analysis_from < schedule.len() {
        return;
    }
    let at = reader.peek("analysis").and_then(|f| f.map()).and_then(|r| r.peek("startingStep"));
    if let Some(field) = at {
        let message = format!(
            "the analysis starts with step {}, and there are {}: it would never look",
            schedule.analysis_from + 1,
            schedule.len()
        );
        field.report(field.problem("out-of-range", message).hint("steps are counted from 1"));
    }
}
