//! The state of one check, and how a measurement changes it.

use super::check::{Check, Failures, Population};
use super::reading::{Reading, Sample, Trouble, read};
use super::verdict::CheckVerdict;
use super::window::Window;
use crate::Tick;
use crate::eprocess::ceiling;
use serde::{Deserialize, Serialize};

/// A source that could not be read is asked again after this time, or after the interval if that
/// is shorter.
const RETRY_MS: u64 = 10_000;
/// After so many intervals without a measurement the last one counts for nothing.
const STALE_INTERVALS: u64 = 3;

/// What one measurement was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Within the limits.
    Success,
    /// Outside of them.
    Failure,
    /// Neither good nor bad.
    Inconclusive,
    /// Not a number, contradictory, or not readable.
    Error,
    /// Nothing there, or too little.
    NoData,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// When.
    pub at_ms: u64,
    /// What it was.
    pub grade: Grade,
    /// The number, in the unit of the signal.
    pub value: Option<f64>,
    /// What it was made of.
    pub samples: Option<u64>,
    /// Why there is no number.
    pub trouble: Option<String>,
}

/// Measurements by grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Good ones.
    pub successes: u32,
    /// Bad ones in all.
    pub failures: u32,
    /// Bad ones since the last good one.
    pub failures_in_row: u32,
    /// Inconclusive ones in all.
    pub inconclusive: u32,
    /// Errors since the last reading.
    pub errors_in_row: u32,
}

impl Tally {
    /// Counts one measurement.
    pub fn count(&mut self, grade: Grade) {
        let more = |n: &mut u32| *n = n.saturating_add(1);
        match grade {
            Grade::Success => {
                more(&mut self.successes);
                self.failures_in_row = 0;
            }
            Grade::Failure => {
                more(&mut self.failures);
                more(&mut self.failures_in_row);
            }
            Grade::Inconclusive => more(&mut self.inconclusive),
            Grade::Error => more(&mut self.errors_in_row),
            Grade::NoData => {}
        }
        if grade != Grade::Error {
            self.errors_in_row = 0;
        }
    }

    /// Measurements that were judged.
    pub fn judged(&self) -> u32 {
        self.successes.saturating_add(self.failures).saturating_add(self.inconclusive)
    }

    /// Failures that count, and how many there may not be. For a group of checks that share one
    /// limit, as in Flagger, keep one tally for the group and count one failure for each round in
    /// which any of them failed.
    pub fn against(&self, failures: Failures) -> (u32, u32) {
        match failures {
            Failures::Total(limit) => (self.failures, limit),
            Failures::Consecutive(limit) => (self.failures_in_row, limit),
        }
    }

    fn has_failed(&self, failures: Failures) -> bool {
        let (found, limit) = self.against(failures);
        found >= limit.max(1)
    }
}

/// Everything a check remembers. Store it with the rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckState {
    started_ms: u64,
    /// When it was measured last, also if the clock was set back since.
    measured_ms: Option<u64>,
    last: Option<Measurement>,
    tally: Tally,
    /// The measurement that was the last straw; of a check that only reports, the latest one.
    failed: Option<Measurement>,
    window: Window,
    /// For the ceiling: requests and errors of the population since the start.
    n: u64,
    errors: u64,
}

impl CheckState {
    /// A check that begins now.
    pub fn new(now_ms: u64) -> Self {
        Self {
            started_ms: now_ms,
            measured_ms: None,
            last: None,
            tally: Tally::default(),
            failed: None,
            window: Window::default(),
            n: 0,
            errors: 0,
        }
    }

    /// The last measurement.
    pub fn last(&self) -> Option<&Measurement> {
        self.last.as_ref()
    }

    /// The counts so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// When the next measurement is due; `None` when none is: it has failed or its count is
    /// reached.
    pub fn next_ms(&self, check: &Check) -> Option<u64> {
        if self.is_over(check) {
            return None;
        }
        let first = self.started_ms.saturating_add(check.initial_delay_ms);
        let again = self.measured_ms.map_or(0, |at| at.saturating_add(self.pause_ms(check)));
        Some(first.max(again))
    }

    /// Whether nothing can change its verdict any more.
    pub fn is_over(&self, check: &Check) -> bool {
        let counted = check.ceiling.is_none() && self.is_counted_out(check);
        counted || (self.failed.is_some() && !check.report_only)
    }

    /// A person has looked at what was inconclusive, and goes on. Failures stay.
    pub fn forgive(&mut self) {
        self.tally.inconclusive = 0;
        self.tally.errors_in_row = 0;
    }

    /// Log evidence of the ceiling test in nats, at least as far as it is known.
    pub fn ceiling_evidence(&self, check: &Check) -> Option<f64> {
        let p_max = check.ceiling?.p_max.clamp(1e-9, 0.5);
        let evidence = ceiling(self.n, self.errors.min(self.n), p_max);
        evidence.is_finite().then_some(evidence)
    }

    /// What the check says at `now_ms`. A measurement that is long past says nothing: its source
    /// has gone silent.
    pub fn verdict(&self, check: &Check, now_ms: u64) -> CheckVerdict {
        if let Some(failed) = &self.failed {
            return self.failure(check, failed);
        }
        if self.tally.errors_in_row > check.error_limit {
            return CheckVerdict::Error { why: self.errors_words(check) };
        }
        if check.ceiling.is_some() {
            return self.below_ceiling(check, now_ms);
        }
        if self.tally.inconclusive > check.inconclusive_limit {
            let found = self.tally.inconclusive;
            let why = format!("{}: {found} measurements neither good nor bad", check.name);
            return CheckVerdict::Inconclusive { why };
        }
        if self.is_counted_out(check) {
            return self.counted_out(check);
        }
        self.of_last(check, now_ms)
    }

    fn pause_ms(&self, check: &Check) -> u64 {
        let unread = self.last.as_ref().is_some_and(|last| last.grade == Grade::Error);
        let pause = if unread { check.interval_ms.min(RETRY_MS) } else { check.interval_ms };
        pause.max(1)
    }

    fn is_counted_out(&self, check: &Check) -> bool {
        check.count.is_some_and(|count| self.tally.judged() >= count)
    }

    fn counted_out(&self, check: &Check) -> CheckVerdict {
        if self.tally.successes > 0 {
            return CheckVerdict::Pass;
        }
        let why = format!("{}: none of its measurements was good", check.name);
        CheckVerdict::Inconclusive { why }
    }

    fn of_last(&self, check: &Check, now_ms: u64) -> CheckVerdict {
        let name = &check.name;
        let Some(last) = &self.last else {
            let first = self.started_ms.saturating_add(check.initial_delay_ms);
            let wait = first.saturating_sub(now_ms).div_ceil(1000);
            return if wait > 0 {
                CheckVerdict::Continue { why: format!("{name}: measured first in {wait} s") }
            } else {
                CheckVerdict::NoData { why: format!("{name}: not measured yet") }
            };
        };
        if let Some(silent) = silent(check, last, now_ms) {
            return silent;
        }
        match (last.grade, check.count) {
            (Grade::Success, None) => CheckVerdict::Pass,
            (Grade::Success, Some(count)) => {
                let judged = self.tally.judged();
                CheckVerdict::Continue { why: format!("{name}: {judged} of {count} measurements") }
            }
            (Grade::NoData, _) => {
                let trouble = last.trouble.as_deref().unwrap_or("nothing to judge");
                CheckVerdict::NoData { why: format!("{name}: {trouble}") }
            }
            (Grade::Error, _) => CheckVerdict::Continue { why: self.errors_words(check) },
            (Grade::Failure | Grade::Inconclusive, _) => {
                CheckVerdict::Continue { why: self.failures_words(check, last) }
            }
        }
    }

    fn below_ceiling(&self, check: &Check, now_ms: u64) -> CheckVerdict {
        let (name, least) = (&check.name, check.min_samples.max(1));
        if let Some(silent) = self.last.as_ref().and_then(|last| silent(check, last, now_ms)) {
            return silent;
        }
        if self.n < least {
            let why = format!("{name}: {} requests, {least} are needed", self.n);
            return CheckVerdict::NoData { why };
        }
        let rate = self.errors as f64 / self.n as f64;
        let p_max = check.ceiling.map_or(0.0, |ceiling| ceiling.p_max);
        if rate <= p_max {
            return CheckVerdict::Pass;
        }
        let (rate, p_max) = (check.number(rate), check.number(p_max));
        let why = format!("{name}: {rate} is above {p_max}, by a little or by chance");
        CheckVerdict::Continue { why }
    }

    fn failure(&self, check: &Check, failed: &Measurement) -> CheckVerdict {
        let why = if check.ceiling.is_some() {
            self.ceiling_words(check)
        } else {
            self.failures_words(check, failed)
        };
        if check.report_only { CheckVerdict::Report { why } } else { CheckVerdict::Fail { why } }
    }

    fn ceiling_words(&self, check: &Check) -> String {
        let (name, n) = (&check.name, self.n);
        let rate = check.number(self.errors as f64 / n.max(1) as f64);
        let Some(ceiling) = check.ceiling else { return name.clone() };
        let p_max = check.number(ceiling.p_max);
        format!("{name}: {rate} of {n} requests, more than {p_max} (alpha {})", ceiling.alpha)
    }

    fn failures_words(&self, check: &Check, measured: &Measurement) -> String {
        let value = measured.value.map_or_else(|| "unknown".into(), |x| check.number(x));
        let allowed = match (&check.success, &check.failure) {
            (Some(range), _) => format!("allowed is {}", range.words(|x| check.number(x))),
            (None, Some(range)) => format!("bad is {}", range.words(|x| check.number(x))),
            (None, None) => "it has no limits".into(),
        };
        let (found, limit) = self.tally.against(check.failures);
        let row = match check.failures {
            Failures::Total(_) => "",
            Failures::Consecutive(_) => " in a row",
        };
        format!("{}: {value}, {allowed}; failure {found} of {limit}{row}", check.name)
    }

    fn errors_words(&self, check: &Check) -> String {
        let (found, limit) = (self.tally.errors_in_row, check.error_limit);
        let trouble = self.last.as_ref().and_then(|last| last.trouble.as_deref());
        let trouble = trouble.unwrap_or("not readable");
        format!("{}: {trouble}; error {found} in a row, {limit} are allowed", check.name)
    }
}

/// `NoData` when the last measurement is too long ago.
fn silent(check: &Check, last: &Measurement, now_ms: u64) -> Option<CheckVerdict> {
    let age = now_ms.saturating_sub(last.at_ms);
    let why = || format!("{}: not measured for {} s", check.name, age / 1000);
    let is_stale = age > check.interval_ms.saturating_mul(STALE_INTERVALS);
    is_stale.then(|| CheckVerdict::NoData { why: why() })
}

/// Adds one closed tick of the data plane, and measures when that is due.
pub fn observe(check: &Check, state: &mut CheckState, at_ms: u64, tick: &Tick) -> CheckVerdict {
    state.window.add(at_ms, check.window_ms, check.signal.is_timed(), tick);
    if check.ceiling.is_some() {
        return observe_ceiling(check, state, at_ms, tick);
    }
    if !is_due(check, state, at_ms) {
        return state.verdict(check, at_ms);
    }
    let sample = state.window.sample(at_ms, check.window_ms);
    measure(check, state, at_ms, &sample)
}

/// Judges one reading of the signal. One that comes before it is due (see
/// [`CheckState::next_ms`]), or after the check is over, changes nothing.
pub fn measure(check: &Check, state: &mut CheckState, at_ms: u64, sample: &Sample) -> CheckVerdict {
    if is_due(check, state, at_ms) {
        let measurement = grade(check, at_ms, read(check, sample));
        state.tally.count(measurement.grade);
        state.measured_ms = Some(at_ms);
        let counts = check.ceiling.is_none() && measurement.grade == Grade::Failure;
        if counts && state.tally.has_failed(check.failures) {
            state.failed = Some(measurement.clone());
        }
        state.last = Some(measurement);
    }
    state.verdict(check, at_ms)
}

/// Whether it is time. A clock that was set back begins a new interval.
fn is_due(check: &Check, state: &mut CheckState, at_ms: u64) -> bool {
    if state.measured_ms.is_some_and(|before| before > at_ms) {
        state.measured_ms = Some(at_ms);
        if let Some(last) = &mut state.last {
            last.at_ms = at_ms;
        }
    }
    if state.started_ms > at_ms {
        state.started_ms = at_ms;
    }
    state.next_ms(check).is_some_and(|due| at_ms >= due)
}

fn grade(check: &Check, at_ms: u64, reading: Result<Reading, Trouble>) -> Measurement {
    let none = |grade, trouble| Measurement {
        at_ms,
        grade,
        value: None,
        samples: None,
        trouble: Some(trouble),
    };
    match reading {
        Err(Trouble::NoData(why)) => none(Grade::NoData, why),
        Err(Trouble::Error(why)) => none(Grade::Error, why),
        Ok(Reading { value, samples }) => Measurement {
            at_ms,
            grade: compare(check, value),
            value: Some(value),
            samples,
            trouble: None,
        },
    }
}

fn compare(check: &Check, value: f64) -> Grade {
    let good = check.success.map(|range| range.contains(value));
    let bad = check.failure.map(|range| range.contains(value));
    match (good, bad) {
        (_, Some(true)) | (Some(false), None) => Grade::Failure,
        (Some(true), _) | (None, Some(false)) => Grade::Success,
        (Some(false), Some(false)) | (None, None) => Grade::Inconclusive,
    }
}

fn observe_ceiling(check: &Check, state: &mut CheckState, at_ms: u64, tick: &Tick) -> CheckVerdict {
    let early = at_ms < state.started_ms.saturating_add(check.initial_delay_ms);
    if early || state.failed.is_some() {
        return state.verdict(check, at_ms);
    }
    let sample = state.window.sample(at_ms, check.window_ms);
    if matches!(sample, Sample::Unreadable(_)) {
        return measure(check, state, at_ms, &sample);
    }
    state.tally.errors_in_row = 0;
    let arms = match check.population {
        Population::Stable => [Some(&tick.baseline), None],
        Population::Service => [Some(&tick.baseline), Some(&tick.canary)],
        _ => [Some(&tick.canary), None],
    };
    for arm in arms.into_iter().flatten() {
        state.n = state.n.saturating_add(arm.n);
        state.errors = state.errors.saturating_add(arm.errors);
    }
    let rate = (state.n > 0).then(|| state.errors as f64 / state.n as f64);
    let needed = check.ceiling.map_or(f64::MAX, |ceiling| -libm::log(ceiling.alpha));
    let reached = state.ceiling_evidence(check).is_some_and(|evidence| evidence >= needed);
    let grade = if reached { Grade::Failure } else { Grade::Success };
    let samples = Some(state.n);
    let measurement = Measurement { at_ms, grade, value: rate, samples, trouble: None };
    if reached {
        state.failed = Some(measurement.clone());
    }
    state.last = Some(measurement);
    state.verdict(check, at_ms)
}
