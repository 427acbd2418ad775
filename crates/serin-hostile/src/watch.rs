//! What is decided in a run, and when.

use serin_core::{Given, RecordedTick};
use serin_stats::{Assessment, Guard, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung};

/// When one judge came to what, in seconds since the candidate had traffic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// First FAIL.
    pub fail: Option<f64>,
    /// First PASS, if there was no FAIL before.
    pub pass: Option<f64>,
    /// First tripped guard, if there was neither before.
    pub invalid: Option<(f64, Guard)>,
}

impl Seen {
    /// Takes note of an outcome.
    pub fn note(&mut self, at: f64, assessment: &Assessment) {
        match assessment.outcome {
            Outcome::Fail => {
                self.fail.get_or_insert(at);
            }
            Outcome::Pass if self.fail.is_none() => {
                self.pass.get_or_insert(at);
            }
            Outcome::Invalid if self.fail.is_none() && self.pass.is_none() => {
                let guard = assessment.invalid.as_ref().map_or(Guard::Counts, |i| i.guard);
                self.invalid.get_or_insert((at, guard));
            }
            _ => {}
        }
    }

    /// The first thing that would have moved the rollout.
    pub fn decided_at(&self) -> Option<f64> {
        let times = [self.fail, self.pass, self.invalid.as_ref().map(|i| i.0)];
        times.into_iter().flatten().reduce(f64::min)
    }
}

/// The judge of a rollout with the error rate as its only metric, fed with what the engine gave
/// its own.
#[derive(Default)]
pub struct ErrorsOnly {
    judge: Option<Judge>,
    used: usize,
}

impl ErrorsOnly {
    /// Catches up with what the engine's judge was given.
    pub fn follow(&mut self, ticks: &[RecordedTick]) {
        for tick in &ticks[self.used..] {
            match (&tick.given, self.judge.as_mut()) {
                (Given::Start { settings, .. }, _) => self.judge = judge(settings),
                (Given::Tick(tick), Some(judge)) => judge.observe(tick),
                (Given::Alone(tick), Some(judge)) => {
                    judge.observe_alone(tick.seconds, &tick.canary);
                }
                _ => {}
            }
        }
        self.used = ticks.len();
    }

    /// What it says.
    pub fn assess(&self) -> Option<Assessment> {
        self.judge.as_ref().map(|judge| judge.assess(Rung::LAST))
    }
}

fn judge(settings: &JudgeSettings) -> Option<Judge> {
    let metrics = vec![Metric::Errors.into()];
    let settings = JudgeSettings { metrics, ..settings.clone() };
    JudgeConfig::new(settings).ok().map(Judge::new)
}
