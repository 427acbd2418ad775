//! Proves that a way back worked: the route is read back, no new request reaches what was left,
//! and errors come back to where they were.

use super::Turn;
use crate::lifecycle::{before, class_between};
use crate::{
    ArmCounts, CountedAt, Counts, Fact, Millis, Phase, Recovery, RevisionId, Rollout, RolloutKind,
    Service, Timestamp, VerifySpec, WayBack, Weight,
};

/// How long requests are waited for before it is reckoned whether enough can come in time.
const PATIENCE: Millis = Millis::secs(10);

impl Turn {
    /// The way back that a rollback is from its start.
    pub(super) fn back_at_start(&self, to: &RevisionId, kind: RolloutKind) -> Option<WayBack> {
        let left = self.service.stable.as_ref().filter(|_| kind == RolloutKind::Rollback)?;
        Some(self.way_back_from(left, Some(to)))
    }

    /// The way back of a rollout that is turned back. None when the candidate never had traffic:
    /// then there is nothing to go back from.
    pub(super) fn back_at_revert(&self) -> Option<WayBack> {
        let rollout = self.service.rollout.as_ref()?;
        let planned = self.service.plan.as_deref().map(|plan| plan.weight(&rollout.candidate));
        let had = rollout.weight.max(planned.unwrap_or_default()) > Weight::NONE;
        had.then(|| self.way_back_from(&rollout.candidate, self.service.stable.as_ref()))
    }

    fn way_back_from(&self, left: &RevisionId, to: Option<&RevisionId>) -> WayBack {
        let service = &self.service;
        let class = to.map(|to| class_between(service, Some(left), to).0);
        WayBack {
            class: class.unwrap_or(crate::RollbackClass::Redeploy),
            left: left.clone(),
            to: to.cloned(),
            began_at: self.now,
            routed_at: None,
            routed: None,
            silent_at: None,
            recovered: None,
            before: to.and_then(|to| before(service, service.rollout.as_ref(), to)),
            requests: 0,
            errors: 0,
        }
    }

    /// Takes up what can be said by now of the way back.
    pub(super) fn prove(&mut self) {
        self.prove_route();
        self.prove_silence();
        self.prove_recovery();
    }

    fn prove_route(&mut self) {
        let service = &mut self.service;
        let (Some(plan), true) = (service.plan.as_deref(), service.observed.applied.is_some())
        else {
            return;
        };
        let applied = service.observed.applied >= Some(plan.generation);
        let Some(back) = service.rollout.as_mut().and_then(|r| r.back.as_mut()) else { return };
        let led = plan.weight(&back.left) == Weight::NONE
            && back.to.as_ref().is_none_or(|to| plan.weight(to) == Weight::ALL);
        if back.routed_at.is_some() || !led || !applied {
            return;
        }
        back.routed_at = Some(self.now);
        back.routed = Some(plan.generation);
        let after = self.now.since(back.began_at);
        let Some(revision) = back.to.clone() else { return };
        self.tell(Fact::Routed { revision, after });
    }

    /// Silent without any count when no process of it is left.
    fn prove_silence(&mut self) {
        let seen = &self.service.observed.revisions;
        let Some(back) = self.service.rollout.as_ref().and_then(|r| r.back.as_ref()) else {
            return;
        };
        let gone = !seen.contains_key(&back.left);
        if back.routed_at.is_some() && back.silent_at.is_none() && gone {
            self.silent(self.now);
        }
    }

    fn silent(&mut self, at: Timestamp) {
        let Some(back) = self.service.rollout.as_mut().and_then(|r| r.back.as_mut()) else {
            return;
        };
        back.silent_at = Some(at);
        let (left, after) = (back.left.clone(), at.since(back.began_at));
        self.tell(Fact::Silent { left, after });
    }

    fn prove_recovery(&mut self) {
        let (verify, now) = (self.service.spec.rollback.verify.clone(), self.now);
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let rate = rollout.counted.rate;
        let Some(back) = rollout.back.as_mut().filter(|back| back.recovered.is_none()) else {
            return;
        };
        let Some(recovery) = recovery(back, &verify, rate, now) else { return };
        back.recovered = Some(recovery.clone());
        let after = now.since(back.began_at);
        self.tell(Fact::BackProven { recovery, after });
    }

    /// Counts while a way back is to be proven; nothing is judged any more.
    pub(super) fn count_back(&mut self, reports: &[Counts]) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let keys = reports.iter().filter(|c| c.generation > rollout.after).map(|c| c.key);
        let Some(key) = keys.max().filter(|key| rollout.counted.begin(*key)) else { return };
        let mut reached = 0;
        let mut closed = 0;
        for counts in reports.iter().filter(|c| c.key == key) {
            closed = closed.max(counts.closed_through);
            reached += rollout.absorb_back(counts);
        }
        rollout.counted.forget();
        let Some(back) = rollout.back.as_mut() else { return };
        let covered = back.routed_at.is_some_and(|at| closed.saturating_mul(1000) >= at.0);
        let mut latest = reports.iter().filter(|c| c.key == key);
        match back.silent_at {
            None if covered && reached == 0 => {
                let since = silent_since(back, latest);
                self.silent(since.unwrap_or(self.now));
            }
            Some(at) if reached > 0 && !latest.all(|c| is_silent_from(back, c, at)) => {
                back.silent_at = None;
            }
            _ => {}
        }
    }
}

impl Rollout {
    /// Whether what is counted now only proves a way back.
    pub(super) fn is_going_back(&self) -> bool {
        let backward = !self.is_on_trial() || self.kind == RolloutKind::Rollback;
        backward && self.back.is_some()
    }

    /// Uses up `counts`; tells how many requests were newly assigned to what was left.
    fn absorb_back(&mut self, counts: &Counts) -> u64 {
        let seen = CountedAt::of(counts);
        let before = self.counted.at.insert(counts.generation, seen).unwrap_or_default();
        let Some(back) = self.back.as_mut() else { return 0 };
        let none = ArmCounts::default();
        let pair = |id: &RevisionId| {
            let old = before.arms.get(id).unwrap_or(&none);
            counts.arms.get(id).map(|new| (new.clone(), old.clone()))
        };
        let led = back.routed.is_some_and(|from| counts.generation >= from);
        if let Some((new, old)) = back.to.as_ref().filter(|_| led).and_then(pair) {
            back.requests += new.n.saturating_sub(old.n);
            back.errors += new.errors.saturating_sub(old.errors);
        }
        pair(&back.left).map_or(0, |(new, old)| new.assigned.saturating_sub(old.assigned))
    }
}

/// When it was silent, if the counts can say: from the route on, when the last request came before.
fn silent_since<'a>(
    back: &WayBack,
    mut counts: impl Iterator<Item = &'a Counts>,
) -> Option<Timestamp> {
    let routed_at = back.routed_at?;
    counts.all(|c| is_silent_from(back, c, routed_at)).then_some(routed_at)
}

/// Whether the last request to what was left came no later than `at`, as far as `counts` know.
fn is_silent_from(back: &WayBack, counts: &Counts, at: Timestamp) -> bool {
    let before =
        |arm: &ArmCounts| arm.assigned == 0 || arm.last_assigned_at.is_some_and(|last| last <= at);
    counts.arms.get(&back.left).is_none_or(before)
}

/// What can be said of the errors at `now`; `rate` is requests a second before the way back.
fn recovery(back: &WayBack, verify: &VerifySpec, rate: f64, now: Timestamp) -> Option<Recovery> {
    let routed_at = back.routed_at?;
    let unmeasured = |why: String| Some(Recovery::NotMeasured { at: now, why });
    let Some(before) = back.before else {
        let what = back.to.as_ref().map_or("there is no version left".to_owned(), |to| {
            format!("the usual error rate of {} was never measured", to.version)
        });
        return unmeasured(what);
    };
    let (n, span) = (back.requests, verify.within);
    let limit = (before * verify.ratio).max(verify.floor);
    let measured = back.errors as f64 / n.max(1) as f64;
    if n >= verify.min_requests && n > 0 && measured <= limit {
        return Some(Recovery::Recovered { at: now, rate: measured, limit });
    }
    let over = now >= routed_at.plus(span);
    if over && n >= verify.min_requests && n > 0 {
        return Some(Recovery::NotRecovered { at: now, rate: measured, limit });
    }
    let hopeless = now >= routed_at.plus(PATIENCE) && too_few(n, PATIENCE, verify);
    let quiet = rate > 0.0 && rate * span.0 as f64 / 1000.0 < verify.min_requests as f64;
    let why = || format!("{n} of {} requests came", verify.min_requests);
    if over || hopeless || quiet { unmeasured(why()) } else { None }
}

/// Whether `n` requests in `span` are so few that the least number will not come in time.
fn too_few(n: u64, span: Millis, verify: &VerifySpec) -> bool {
    let expected = n as f64 * verify.within.0 as f64 / span.0.max(1) as f64;
    expected < verify.min_requests as f64
}

/// Whether a rollout may end: nothing of a way back is open that can still be proven.
pub(super) fn is_proven(service: &Service, rollout: &Rollout) -> bool {
    service.removing || rollout.back.as_ref().is_none_or(WayBack::is_settled)
}

/// When something can be said without anything happening.
pub(super) fn next_look(rollout: &Rollout, verify: &VerifySpec) -> Vec<Timestamp> {
    let back = rollout.back.as_ref().filter(|back| back.recovered.is_none());
    let going = !matches!(rollout.phase, Phase::Stepping);
    let routed = back.filter(|_| going).and_then(|back| back.routed_at);
    routed.map_or(vec![], |at| vec![at.plus(PATIENCE), at.plus(verify.within)])
}
