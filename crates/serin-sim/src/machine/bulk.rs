//! Many requests at once: what a stretch of time brings to each arm is drawn, not each request.

use super::instance::Life;
use super::traffic::USERS;
use super::{Machine, release};
use crate::dice::binomial;
use crate::draw::Truth;
use fastrand::Rng;
use serin_core::{ArmCounts, Generation, Plan, RevisionId, Role, Timestamp, Weight};
use serin_stats::bucket_of_us;

/// Parts that users are split into.
const PARTS: usize = 8;

/// Instances that are told apart, by name.
const NAMES: [&str; 4] = ["i0", "i1", "i2", "i3"];

/// Latencies of a good revision, each of a fifth of its requests.
const LATENCIES_US: [u64; 5] = [12_000, 16_000, 20_000, 24_000, 28_000];

/// An arm while its requests are drawn.
#[derive(Clone, Copy)]
struct Arm<'a> {
    revision: &'a RevisionId,
    fresh: bool,
    weight: Weight,
    truth: Truth,
    at: Generation,
    now: Timestamp,
    sticky: bool,
}

/// What became of an arm's requests.
struct Dealt {
    assigned: u64,
    given_up: u64,
    judged: u64,
    failed: u64,
}

/// Who gets which share of the requests.
fn arms(plan: &Plan) -> Vec<(&RevisionId, bool, Weight)> {
    let of = |(revision, planned): (_, &'_ serin_core::RevisionPlan)| {
        let fresh = planned.fresh.as_ref().map(|fresh| (revision, true, fresh.weight));
        [(revision, false, planned.weight)].into_iter().chain(fresh)
    };
    plan.revisions.iter().flat_map(of).collect()
}

impl Machine {
    /// The requests of the last `elapsed` seconds.
    pub(super) fn serve_many(
        &mut self,
        (now, elapsed): (Timestamp, u64),
        truth: &impl Fn(&RevisionId) -> Truth,
        rng: &mut Rng,
    ) {
        let mut left = binomial(2 * self.rate * elapsed, 0.5, rng);
        if left == 0 {
            return;
        }
        let Some(plan) = self.plan.take() else { return };
        let mut weight_left = 100_000;
        let arms = if self.flag.is_some() { release::arms(&plan) } else { arms(&plan) };
        for (revision, fresh, weight) in arms {
            let share = f64::from(weight.parts()) / f64::from(weight_left.max(1));
            let n = binomial(left, share, rng);
            left -= n;
            weight_left -= weight.parts().min(weight_left);
            let (truth, sticky) = (truth(revision), plan.affinity.is_some());
            let at = plan.generation;
            self.deal(&plan, Arm { revision, fresh, weight, truth, at, now, sticky }, n, rng);
        }
        self.plan = Some(plan);
    }

    fn deal(&mut self, plan: &Plan, arm: Arm<'_>, n: u64, rng: &mut Rng) {
        let is_candidate =
            plan.revisions.get(arm.revision).map(|r| r.role) == Some(Role::Candidate);
        let n = if is_candidate { n - binomial(n, self.skew, rng) } else { n };
        if n == 0 {
            return;
        }
        let ready = self.ready_in(arm.revision, arm.fresh);
        let stable = plan.in_role(Role::Stable).map(|(id, _)| id);
        let stable_is_there = stable.is_some_and(|id| self.ready_in(id, false) > 0);
        if ready == 0 && !(stable_is_there && (arm.fresh || stable != Some(arm.revision))) {
            self.dropped += n;
            self.ledger(arm.at, arm.now).arm(arm.revision, arm.fresh).assigned += n;
            return;
        }
        let dealt = self.outcome(arm, (n, ready), rng);
        let counts = self.ledger(arm.at, arm.now).arm(arm.revision, arm.fresh);
        record(counts, arm, &dealt, ready, rng);
        if !arm.fresh {
            self.made(arm.at, arm.revision, dealt.judged);
        }
    }

    /// `ready` of its instances are there for `n` requests; without any, stable answers for it.
    fn outcome(&self, arm: Arm<'_>, (n, ready): (u64, u32), rng: &mut Rng) -> Dealt {
        let users = (USERS * u64::from(arm.weight.parts()) / 100_000).max(1);
        let units = if arm.sticky { n.min(users) } else { n };
        let given_up = match arm.truth {
            Truth::GivenUp(share) => binomial(units, share, rng),
            _ => 0,
        };
        let judged = units - given_up;
        let failed = if ready == 0 { judged } else { self.failed(arm, judged, rng) };
        Dealt { assigned: units, given_up, judged, failed }
    }

    fn failed(&self, arm: Arm<'_>, judged: u64, rng: &mut Rng) -> u64 {
        match arm.truth {
            Truth::Errors(share) => binomial(judged, share, rng),
            Truth::Late { after, share } => {
                let first = self.first_ready.get(arm.revision);
                let is_late = first.is_some_and(|at| arm.now.since(*at).0 / 1000 >= after);
                if is_late { binomial(judged, share, rng) } else { 0 }
            }
            _ => 0,
        }
    }

    pub(super) fn ready_in(&self, revision: &RevisionId, fresh: bool) -> u32 {
        let of = self.instances.iter().filter(|i| {
            matches!(i.life, Life::Ready { .. })
                && i.crew.fresh == fresh
                && i.crew.revision == *revision
        });
        of.count() as u32
    }
}

fn record(counts: &mut ArmCounts, arm: Arm<'_>, dealt: &Dealt, ready: u32, rng: &mut Rng) {
    counts.sessions = arm.sticky;
    counts.assigned += dealt.assigned;
    counts.aborted += dealt.given_up;
    counts.n += dealt.judged;
    counts.errors += dealt.failed;
    let slower = if let Truth::Slow(ms) = arm.truth { ms * 1000 } else { 0 };
    let mut left = dealt.judged - dealt.failed;
    for (at, us) in LATENCIES_US.into_iter().enumerate() {
        let n = binomial(left, 1.0 / (LATENCIES_US.len() - at) as f64, rng);
        counts.latency.record(bucket_of_us(us + slower), n);
        left -= n;
    }
    if arm.sticky {
        counts.split.resize(PARTS, (0, 0));
        spread(dealt, PARTS, rng, |at, part| add(&mut counts.split[at], part));
        return;
    }
    spread(dealt, NAMES.len().min(ready.max(1) as usize), rng, |at, part| {
        match counts.instances.get_mut(NAMES[at]) {
            Some(sum) => add(sum, part),
            None => drop(counts.instances.insert(NAMES[at].to_owned(), part)),
        }
    });
}

fn add(sum: &mut (u64, u64), part: (u64, u64)) {
    sum.0 += part.0;
    sum.1 += part.1;
}

/// Deals requests and failures over so many parts, by chance.
fn spread(dealt: &Dealt, parts: usize, rng: &mut Rng, mut take: impl FnMut(usize, (u64, u64))) {
    let (mut good, mut failed) = (dealt.judged - dealt.failed, dealt.failed);
    for at in 0..parts {
        let share = 1.0 / (parts - at) as f64;
        let (g, f) = (binomial(good, share, rng), binomial(failed, share, rng));
        (good, failed) = (good - g, failed - f);
        take(at, (g + f, f));
    }
}
