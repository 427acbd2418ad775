//! Tests of a step: which are wanted now, and what their results mean.
//!
//! A test is wanted as long as the state says so: whoever runs it starts what is wanted and does
//! not run, and stops what is not wanted any more. So a test runs at least once for each try.

use super::Turn;
use super::convict;
use crate::{
    Cause, Fact, Hook, HookKey, Millis, Phase, RevisionId, Rollout, RunSpec, Service, ServiceName,
    Shared, Step, TestRun, Timestamp,
};

/// Beyond its own limit, after which a test without a result counts as failed.
const OVERDUE: Millis = Millis::secs(60);

/// Most bytes of what a test said that are kept.
const TEXT_MAX: usize = 2000;

/// A test that has to run now.
#[derive(Debug, Clone, PartialEq)]
pub struct HookOrder {
    /// Which try of which test; handed to the test, so that it can tell a second run of one try.
    pub key: HookKey,
    /// What is done.
    pub hook: Hook,
    /// Whose.
    pub service: ServiceName,
    /// The revision that is tested.
    pub revision: RevisionId,
    /// Where it is reached: `http://HOST:PORT`, without a slash at the end.
    pub url: String,
    /// How its instances run: tests get the same directory and user.
    pub run: Shared<RunSpec>,
}

/// Tests that have to run now for `service`.
pub fn hooks_wanted(service: &Service) -> Vec<HookOrder> {
    let Some(rollout) = service.rollout.as_ref() else { return vec![] };
    let (Some(hooks), Some(url)) = (tests(rollout), url(service, rollout)) else { return vec![] };
    let Some(known) = service.revisions.get(&rollout.candidate) else { return vec![] };
    let runs = hooks.iter().zip(&rollout.step.tests).enumerate();
    let open = runs.filter(|(_, (_, run))| run.passed.is_none() && run.since.is_some());
    let order = |(hook, (wanted, run)): (usize, (&Hook, &TestRun))| HookOrder {
        key: HookKey { rollout: rollout.id, step: rollout.step.index, hook, attempt: run.attempt },
        hook: wanted.clone(),
        service: service.name.clone(),
        revision: rollout.candidate.clone(),
        url: url.clone(),
        run: known.run.clone(),
    };
    open.map(order).collect()
}

/// The tests of the present step, if it runs any.
fn tests(rollout: &Rollout) -> Option<&[Hook]> {
    let step = rollout.schedule.step(rollout.step.index);
    match step.filter(|_| matches!(rollout.phase, Phase::Stepping)) {
        Some(Step::Run(hooks)) => Some(hooks),
        _ => None,
    }
}

/// Where the candidate is reached without being given traffic.
fn url(service: &Service, rollout: &Rollout) -> Option<String> {
    let preview = service.plan.as_deref().and_then(|plan| plan.preview.as_ref());
    let preview = preview.filter(|p| p.to == rollout.candidate && service.is_applied());
    let seen = service.observed.revisions.get(&rollout.candidate).filter(|seen| seen.ready > 0);
    let own = seen.and_then(|seen| seen.addresses.first().copied());
    let address = preview.map(|p| p.listen).or(own)?;
    Some(format!("http://{address}"))
}

/// What a failed test says against the candidate.
pub(super) fn failure(rollout: &Rollout) -> Option<Cause> {
    let hooks = tests(rollout)?;
    let mut runs = hooks.iter().zip(&rollout.step.tests);
    let (hook, run) = runs.find(|(_, run)| run.passed == Some(false))?;
    let tries = if hook.tries > 1 { format!(" {} times", run.attempt) } else { String::new() };
    let text = format!("test {} failed{tries}: {}", hook.name, last_line(&run.text));
    Some(rollout.cause("test", text, None))
}

/// The last line that says something, at most 200 characters of it.
pub(crate) fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map_or_else(|| "it said nothing".into(), |line| line.trim().chars().take(200).collect())
}

/// When a try without a result counts as failed.
fn overdue_at(rollout: &Rollout, hook: &Hook, since: Timestamp) -> Timestamp {
    let from = rollout.took_over_at.map_or(since, |at| at.max(since));
    from.plus(hook.timeout).plus(OVERDUE)
}

/// When the step has to be looked at although nothing happened.
pub(super) fn wakes(rollout: &Rollout) -> Vec<Timestamp> {
    let runs = tests(rollout).unwrap_or_default().iter().zip(&rollout.step.tests);
    let open = runs.filter(|(_, run)| run.passed.is_none());
    let overdue = open.filter_map(|(hook, run)| Some(overdue_at(rollout, hook, run.since?)));
    overdue.chain([convict::ready_by(rollout)]).collect()
}

impl Turn {
    /// Takes the result of a try; one of another try, step or rollout is old news.
    pub(super) fn hook_ended(&mut self, key: &HookKey, passed: bool, text: &str) {
        let Some(rollout) = self.service.rollout.as_ref().filter(|r| r.id == key.rollout) else {
            return;
        };
        let hook = tests(rollout).filter(|_| rollout.step.index == key.step);
        let Some(hook) = hook.and_then(|hooks| hooks.get(key.hook)).cloned() else { return };
        let run = rollout.step.tests.get(key.hook);
        if run.is_some_and(|run| run.passed.is_none() && run.attempt == key.attempt) {
            self.end_try(key.hook, &hook, passed, text);
        }
    }

    fn end_try(&mut self, at: usize, hook: &Hook, passed: bool, text: &str) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let step = rollout.step.index + 1;
        let Some(run) = rollout.step.tests.get_mut(at) else { return };
        run.text = tail(text);
        let (attempt, tries) = (run.attempt, hook.tries.max(1));
        if passed || attempt >= tries {
            run.passed = Some(passed);
        } else {
            *run = TestRun { attempt: attempt + 1, since: Some(self.now), ..run.clone() };
        }
        let (name, text) = (hook.name.clone(), last_line(text));
        self.tell(Fact::TestEnded { step, name, passed, attempt, tries, text });
    }

    /// Runs the tests, and goes on when all have passed.
    pub(super) fn run_step(&mut self, hooks: &[Hook]) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        if rollout.step.tests.len() != hooks.len() {
            rollout.step.tests = vec![TestRun::default(); hooks.len()];
        }
        if rollout.step.tests.iter().all(|run| run.passed == Some(true)) {
            let go = rollout.paused.is_none();
            if go {
                self.next_step(now);
            }
            return go;
        }
        self.begin_tests() || self.end_overdue(hooks)
    }

    /// The tests are wanted from the moment the candidate can be reached.
    fn begin_tests(&mut self) -> bool {
        let now = self.now;
        let reached = self.service.rollout.as_ref().and_then(|r| url(&self.service, r)).is_some();
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        let mut waiting = rollout.step.tests.iter_mut().filter(|run| run.since.is_none());
        let begins = reached && rollout.paused.is_none();
        begins && waiting.by_ref().map(|run| run.since = Some(now)).count() > 0
    }

    /// A test whose result never came has failed.
    fn end_overdue(&mut self, hooks: &[Hook]) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let late = |hook: &Hook, run: &TestRun| {
            let since = run.since.filter(|_| run.passed.is_none());
            since.is_some_and(|since| self.now >= overdue_at(rollout, hook, since))
        };
        let mut runs = hooks.iter().zip(&rollout.step.tests);
        let Some(at) = runs.position(|(hook, run)| late(hook, run)) else { return false };
        let Some(hook) = hooks.get(at) else { return false };
        let text = format!("no result within {}", Millis(hook.timeout.0 + OVERDUE.0));
        self.end_try(at, hook, false, &text);
        true
    }
}

/// The end of `text`, as much as is kept.
fn tail(text: &str) -> String {
    let mut from = text.len().saturating_sub(TEXT_MAX);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}
