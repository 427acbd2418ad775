//! How much traffic the canary may get next, so that the failed requests users may yet suffer stay
//! within a budget.
//!
//! For each error rate the canary might have, from the floor of harm to all requests, the cost of
//! finding out is known: its excess over the baseline, times the canary requests until the judge
//! convicts it, and those on their way while that takes effect. Each cost counts as far as the
//! counts still allow its rate: times its likelihood against "no worse", at most 1. The dearest of
//! them has to fit into what is left of the budget. Shares chosen from past evidence do not touch
//! the judge's guarantees: its e-processes hold for any predictable share.

use crate::config::Metric;
use crate::evidence::Evidence;
use crate::judge::Judge;
use crate::planner::nats_per_error;

/// Error rates considered, evenly spaced by logarithm.
const RATES: usize = 16;
/// The first share.
const FIRST: f64 = 0.01;
/// Steps in which shares are tried, and the most that one call raises.
const GROWTH: f64 = 1.1;
const MOST: f64 = 2.0;
/// The baseline's rate is taken to be at least this, as no service is perfect.
const LEAST_RATE: f64 = 1e-4;
/// What the mixture over alternatives costs the judge, in nats.
const OVERHEAD: f64 = 0.75;

/// Where the rollout stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Situation {
    /// The canary's present share of requests, 0 to 1.
    pub share: f64,
    /// Requests a second of both arms.
    pub rps: f64,
    /// Seconds from a bad answer to the end of traffic on the canary.
    pub reaction_seconds: f64,
}

/// The largest share up to `up_to` (and up to twice the present one) at which the failed requests
/// that users may yet suffer stay within `budget`, what they have suffered already taken off. Never
/// below the present share, at least 1 %.
pub fn next_share(judge: &Judge, now: &Situation, budget: f64, up_to: f64) -> f64 {
    let present = now.share.clamp(FIRST, 1.0);
    let Some(known) = Known::of(judge) else { return present };
    let left = budget - known.spent();
    let most = up_to.min(present * MOST);
    let mut best = present;
    loop {
        let tried = (best * GROWTH).min(most);
        if tried <= best || known.harm(tried, now) > left {
            return best;
        }
        best = tried;
    }
}

/// What the judge knows of the error rates.
struct Known {
    usual: f64,
    n: f64,
    errors: f64,
    /// (error rate, how far the counts allow it).
    rates: [(f64, f64); RATES],
    needed: f64,
}

impl Known {
    fn of(judge: &Judge) -> Option<Self> {
        let Some(Evidence::Errors(errors)) = judge.of(&Metric::Errors) else { return None };
        let counts = errors.counts();
        let usual = counts.baseline_rate().unwrap_or(0.0).clamp(LEAST_RATE, 0.5);
        let (n, errors) = (counts.canary_n as f64, counts.canary_events as f64);
        let floor = judge.config().settings().harm_floor.max(usual * 1.2).min(0.9);
        let rates = allowed(n, errors, usual, floor);
        Some(Self { usual, n, errors, rates, needed: judge.config().fail_needed() + OVERHEAD })
    }

    /// Failed requests beyond the usual, so far.
    fn spent(&self) -> f64 {
        (self.errors - self.usual * self.n).max(0.0)
    }

    fn harm(&self, share: f64, now: &Situation) -> f64 {
        let under_way = share * now.rps * now.reaction_seconds;
        let cost = |rate: f64| {
            let excess = (rate - self.usual).max(0.0);
            excess * (self.requests_to_fail(rate, share) + under_way)
        };
        self.rates.iter().map(|(rate, allowed)| allowed * cost(*rate)).fold(0.0, f64::max)
    }

    /// Canary requests until a canary of this rate is convicted, from no evidence.
    fn requests_to_fail(&self, rate: f64, share: f64) -> f64 {
        let share = share.min(0.99);
        let nats = nats_per_error(share, (rate / self.usual).min(64.0));
        let errors_each = rate + self.usual * (1.0 - share) / share;
        self.needed / (nats * errors_each).max(1e-12)
    }
}

/// Each rate from the floor to 1 with its likelihood against the usual rate, at most 1.
fn allowed(n: f64, errors: f64, usual: f64, floor: f64) -> [(f64, f64); RATES] {
    let step = libm::log(1.0 / floor) / (RATES - 1) as f64;
    let rate = |k: usize| (floor * libm::exp(step * k as f64)).min(1.0 - 1e-9);
    let likelihood = |p: f64| {
        let good = (n - errors).max(0.0) * (libm::log1p(-p) - libm::log1p(-usual));
        errors * libm::log(p / usual) + good
    };
    std::array::from_fn(|k| (rate(k), libm::exp(likelihood(rate(k)).min(0.0))))
}
