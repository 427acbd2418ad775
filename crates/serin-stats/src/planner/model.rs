//! The judge's mixtures as functions of expected counts.
//!
//! Every alternative's log evidence is linear in the canary's errors, the baseline's errors and
//! the canary's requests (near the expected rates at least), so that a mixture is known by three
//! slopes an alternative.

use super::passage::{Passage, Walk};
use crate::eprocess::{Counts, FLOOR_PRIOR, Harm, PassEvidence, RATIO_PRIOR, add_margin};
use crate::grid::{K, RATIOS, log_sum_exp};

/// Whole counts stand for shares of one request in units of this, so that the judge's own
/// functions can be asked.
const UNIT: f64 = 1_099_511_627_776.0;
/// The same for the requests of a small tick.
const SMALL_UNIT: f64 = 1_073_741_824.0;
/// Below so many requests a tick the ticks are taken one by one.
const SMALL_TICK: f64 = 20.0;
/// Step of a numeric slope, in errors a request.
const STEP: f64 = 1e-4;

/// What traffic is like. Rates within 0..=1, the share within (0, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Traffic {
    pub canary_rate: f64,
    pub baseline_rate: f64,
    /// The canary's share of all requests.
    pub share: f64,
    /// Mean requests of both arms in one tick, or infinite.
    pub tick: f64,
}

impl Traffic {
    fn baseline_per_canary(&self) -> f64 {
        (1.0 - self.share) / self.share
    }

    /// What comes with one canary request, and so many errors more.
    fn counts(&self, more_canary: f64, more_baseline: f64) -> Counts {
        let k = self.baseline_per_canary();
        let whole = |x: f64| libm::round(x * UNIT / (1.0 + k)) as u64;
        Counts {
            canary_n: whole(1.0),
            canary_events: whole(self.canary_rate + more_canary),
            baseline_n: whole(k),
            baseline_events: whole(self.baseline_rate * k + more_baseline),
        }
    }

    /// One canary request, in the units of [`Traffic::counts`].
    fn unit(&self) -> f64 {
        UNIT / (1.0 + self.baseline_per_canary())
    }

    /// Every tick of up to so many requests, as `(n of the canary, n of the baseline)`, with the
    /// number of such ticks for one canary request.
    fn ticks(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        let (mean, share) = (self.tick, self.share);
        let most = (mean + 8.0 * libm::sqrt(mean) + 8.0) as u32;
        let poisson = move |n: u32, mean: f64| {
            let (n, ln_mean) = (f64::from(n), libm::log(mean));
            libm::exp(n * ln_mean - mean - libm::lgamma(n + 1.0))
        };
        // The arms' numbers are independent where the whole is Poisson.
        let (canary, baseline) = (mean * share, mean * (1.0 - share));
        (1..=most).flat_map(move |n_c| {
            let likely = poisson(n_c, canary) / canary;
            (1..=most)
                .map(move |n_s| (f64::from(n_c), f64::from(n_s), likely * poisson(n_s, baseline)))
        })
    }

    /// How much a comparison learns in small ticks. An error in a tick of `n` requests is compared
    /// with the shares that this tick had, and on average `share (1 - share)` of those is smaller
    /// than planned by `1 - 1/n`; with Poisson arrivals, `n` being one more than the others.
    fn kept(&self) -> f64 {
        let others = self.tick.clamp(1e-6, 1e12);
        1.0 + libm::expm1(-others) / others
    }
}

/// One alternative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slope {
    ln_prior: f64,
    /// Log evidence of one canary error more.
    canary_error: f64,
    /// Log evidence of one baseline error more.
    baseline_error: f64,
    /// Log evidence of one canary request with all that is expected to come with it.
    request: f64,
}

/// A mixture of alternatives under given traffic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mixture {
    slopes: Vec<Slope>,
    /// Variance of the errors that come with one canary request.
    canary_variance: f64,
    baseline_variance: f64,
}

impl Mixture {
    fn new(traffic: &Traffic, slopes: Vec<Slope>) -> Self {
        let (c, s) = (traffic.canary_rate, traffic.baseline_rate);
        let baseline_variance = s * (1.0 - s) * traffic.baseline_per_canary();
        Self { slopes, canary_variance: c * (1.0 - c), baseline_variance }
    }

    /// Slopes of alternatives whose log evidence `of` some counts is proportional to them, taken
    /// from the judge's own functions. With `kept` they compare the arms of each tick.
    fn slopes<const N: usize>(
        traffic: &Traffic,
        kept: bool,
        of: impl Fn(&Counts) -> [f64; N],
    ) -> [Slope; N] {
        let away = |rate: f64| if rate > 0.5 { -STEP } else { STEP };
        let (dc, ds) = (away(traffic.canary_rate), away(traffic.baseline_rate));
        let at = |c, s| of(&traffic.counts(c, s)).map(|l| l / traffic.unit());
        let (here, canary, baseline) = (at(0.0, 0.0), at(dc, 0.0), at(0.0, ds));
        let request = if kept && traffic.tick < SMALL_TICK {
            Self::in_small_ticks(traffic, of)
        } else {
            here.map(|l| if kept { l * traffic.kept() } else { l })
        };
        std::array::from_fn(|k| Slope {
            ln_prior: 0.0,
            canary_error: (canary[k] - here[k]) / dc,
            baseline_error: (baseline[k] - here[k]) / ds,
            request: request[k],
        })
    }

    /// Evidence of one canary request, each tick being compared by the shares it had.
    fn in_small_ticks<const N: usize>(
        traffic: &Traffic,
        of: impl Fn(&Counts) -> [f64; N],
    ) -> [f64; N] {
        let mut sum = [0.0; N];
        for (n_c, n_s, ticks) in traffic.ticks().filter(|(.., ticks)| *ticks > 1e-9) {
            let whole = |x: f64| libm::round(x * SMALL_UNIT) as u64;
            let evidence = of(&Counts {
                canary_n: whole(n_c),
                canary_events: whole(n_c * traffic.canary_rate),
                baseline_n: whole(n_s),
                baseline_events: whole(n_s * traffic.baseline_rate),
            });
            for (sum, l) in sum.iter_mut().zip(evidence) {
                *sum += ticks * l / SMALL_UNIT;
            }
        }
        sum
    }

    /// FAIL: the margin form over the grid of ratios.
    pub fn fail(traffic: &Traffic) -> Self {
        let mut slopes = Self::slopes(traffic, true, |counts| {
            let mut evidence = [0.0; K];
            add_margin(&RATIOS, counts, &mut evidence);
            evidence
        });
        for (slope, ln_prior) in slopes.iter_mut().zip(RATIOS.ln_prior) {
            slope.ln_prior = ln_prior;
        }
        let mut mixture = Self::new(traffic, slopes.into());
        mixture.canary_variance *= traffic.kept();
        mixture.baseline_variance *= traffic.kept();
        mixture
    }

    /// PASS: half the ratio form, half the floor form.
    pub fn pass(traffic: &Traffic, harm: &Harm) -> Self {
        let components = |counts: &Counts| {
            let mut pass = PassEvidence::default();
            pass.observe(harm, counts, 1.0);
            pass.components(harm)
        };
        let ratio = Self::slopes(traffic, true, components).into_iter().take(5);
        let floor = Self::slopes(traffic, false, components).into_iter().skip(5);
        let priors = RATIO_PRIOR.into_iter().chain(FLOOR_PRIOR);
        let weighted = ratio.chain(floor).zip(priors);
        let slopes = weighted.map(|(s, prior)| Slope { ln_prior: libm::log(prior / 2.0), ..s });
        Self::new(traffic, slopes.collect())
    }

    /// The ceiling test against `p_max`.
    pub fn ceiling(traffic: &Traffic, p_max: f64) -> Self {
        let slope = |k: usize| {
            let p = (p_max * (RATIOS.up[k] + 1.0)).min(0.999);
            let good = libm::log1p(-p) - libm::log1p(-p_max);
            let canary_error = libm::log(p / p_max) - good;
            let request = good + traffic.canary_rate * canary_error;
            Slope { ln_prior: RATIOS.ln_prior[k], canary_error, baseline_error: 0.0, request }
        };
        Self::new(traffic, (0..K).map(slope).collect())
    }

    /// Log evidence after `n` canary requests of exactly the expected kind, on top of what the
    /// alternatives have already.
    pub fn evidence(&self, n: f64) -> f64 {
        log_sum_exp(&self.terms(n))
    }

    fn terms(&self, n: f64) -> Vec<f64> {
        self.slopes.iter().map(|slope| slope.ln_prior + n * slope.request).collect()
    }

    /// The same mixture after `n` canary requests under `before`'s traffic.
    pub fn after(mut self, before: &Self, n: f64) -> Self {
        for (slope, old) in self.slopes.iter_mut().zip(&before.slopes) {
            slope.ln_prior = old.ln_prior + n * old.request;
        }
        self
    }

    /// Canary requests after which the expected evidence reaches `needed`; `None`: never.
    pub fn requests(&self, needed: f64) -> Option<f64> {
        if self.evidence(0.0) >= needed {
            return Some(0.0);
        }
        let mut high = 1.0;
        while self.evidence(high) < needed {
            high *= 2.0;
            if high > 1e15 {
                return None;
            }
        }
        let mut low = 0.0;
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.evidence(middle) < needed { low = middle } else { high = middle }
        }
        Some(high)
    }

    /// When the evidence gets to `needed`. Near the expected moment the mixture is a walk with the
    /// slopes of its alternatives, weighted by what they have by then.
    pub fn passage(&self, needed: f64) -> Option<Passage> {
        let n = self.requests(needed)?;
        let terms = self.terms(n);
        let total = log_sum_exp(&terms);
        let weights: Vec<f64> = terms.iter().map(|l| libm::exp(l - total)).collect();
        let mean = |of: &dyn Fn(&Slope) -> f64| -> f64 {
            self.slopes.iter().zip(&weights).map(|(slope, weight)| weight * of(slope)).sum()
        };
        let (canary, baseline) = (mean(&|s| s.canary_error), mean(&|s| s.baseline_error));
        let spread = |square: f64, mean: f64| (square - mean * mean).max(0.0);
        let canary_spread = spread(mean(&|s| s.canary_error * s.canary_error), canary);
        let baseline_spread = spread(mean(&|s| s.baseline_error * s.baseline_error), baseline);
        let variance = |c: f64, b: f64| self.canary_variance * c + self.baseline_variance * b;
        Some(Passage::new(&Walk {
            requests: n,
            drift: mean(&|s| s.request),
            variance: variance(canary * canary, baseline * baseline),
            bend: n / 2.0 * variance(canary_spread, baseline_spread),
            jump: canary,
        }))
    }
}
