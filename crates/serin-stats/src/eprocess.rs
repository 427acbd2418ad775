//! The e-processes. Each takes the counts of one tick and adds a log-likelihood-ratio increment
//! for each alternative; its evidence is the log of the mixture over the alternatives.

use crate::grid::{Grid, LogEvidence, RATIOS, log_mean_exp, log_sum_exp};
use serde::{Deserialize, Serialize};

/// Requests and events (errors, slow requests) of both arms in one tick. Events never exceed
/// requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests of the canary.
    pub canary_n: u64,
    /// Events among them.
    pub canary_events: u64,
    /// Requests of the baseline.
    pub baseline_n: u64,
    /// Events among them.
    pub baseline_events: u64,
}

impl Counts {
    /// The same tick with the arms exchanged.
    #[must_use]
    pub fn exchanged(self) -> Self {
        Self {
            canary_n: self.baseline_n,
            canary_events: self.baseline_events,
            baseline_n: self.canary_n,
            baseline_events: self.canary_events,
        }
    }

    /// Adds another tick. Saturates.
    pub fn add(&mut self, other: &Self) {
        self.canary_n = self.canary_n.saturating_add(other.canary_n);
        self.canary_events = self.canary_events.saturating_add(other.canary_events);
        self.baseline_n = self.baseline_n.saturating_add(other.baseline_n);
        self.baseline_events = self.baseline_events.saturating_add(other.baseline_events);
    }

    /// Share of the canary's requests with an event.
    pub fn canary_rate(&self) -> Option<f64> {
        (self.canary_n > 0).then(|| self.canary_events as f64 / self.canary_n as f64)
    }

    /// Share of the baseline's requests with an event.
    pub fn baseline_rate(&self) -> Option<f64> {
        (self.baseline_n > 0).then(|| self.baseline_events as f64 / self.baseline_n as f64)
    }

    /// Whether both arms had requests and there was an event: otherwise no comparison learns.
    fn is_comparable(&self) -> bool {
        self.canary_n > 0
            && self.baseline_n > 0
            && (self.canary_events > 0 || self.baseline_events > 0)
    }

    /// Realised share of the canary in all requests.
    fn share(&self) -> f64 {
        self.canary_n as f64 / (self.canary_n as f64 + self.baseline_n as f64)
    }

    fn events(&self) -> f64 {
        self.canary_events as f64 + self.baseline_events as f64
    }
}

/// Margin form: H0 "within the tick the canary is no worse than the baseline", for any error rate
/// and any share, both free to change from tick to tick. Adds the increments to `evidence`.
///
/// Given both sizes and all events, the canary's events are hypergeometric; Hoeffding (1963,
/// theorem 4) bounds their generating function by that of a binomial. There are four such
/// binomials (events or non-events, dealt to the arms or drawn by an arm); the smallest is used.
/// Which one is smallest depends on the margins only, hence the increment keeps a mean below 1:
/// it is the one belonging to the smallest of `p, 1-p, w, 1-w`.
pub fn add_margin(grid: &Grid, counts: &Counts, evidence: &mut LogEvidence) {
    if !counts.is_comparable() {
        return;
    }
    let (n_c, n_s) = (counts.canary_n as f64, counts.baseline_n as f64);
    let (e_c, e) = (counts.canary_events as f64, counts.events());
    let (w, p) = (counts.share(), e / (n_c + n_s));
    let smallest = p.min(1.0 - p).min(w).min(1.0 - w);
    // Bound = fixed * ln r + trials * ln(1 + chance * (r or 1/r - 1)).
    let (fixed, trials, chance, moves) = if p <= smallest {
        (0.0, e, w, &grid.up)
    } else if w <= smallest {
        (0.0, n_c, p, &grid.up)
    } else if 1.0 - p <= smallest {
        (n_c, n_c + n_s - e, w, &grid.down)
    } else {
        (e, n_s, p, &grid.down)
    };
    for (l, (ln_r, change)) in evidence.iter_mut().zip(grid.ln_r.iter().zip(moves)) {
        *l += (e_c - fixed) * ln_r - trials * libm::log1p(chance * change);
    }
}

/// Known-share form: log likelihood ratio of rate ratio `r` against `r0` for one tick, with the
/// tick's realised share. Zero when an arm had no requests.
pub fn known_share(counts: &Counts, r: f64, r0: f64) -> f64 {
    if !counts.is_comparable() {
        return 0.0;
    }
    let w = counts.share();
    let mixed = (w * r + 1.0 - w) / (w * r0 + 1.0 - w);
    counts.canary_events as f64 * libm::log(r / r0) - counts.events() * libm::log(mixed)
}

/// Known-share form of many ratios against 1, given as `ln r` and `r - 1`.
pub fn add_known_share(
    ln_r: &LogEvidence,
    change: &LogEvidence,
    counts: &Counts,
    evidence: &mut LogEvidence,
) {
    if !counts.is_comparable() {
        return;
    }
    let (w, e_c, e) = (counts.share(), counts.canary_events as f64, counts.events());
    for (l, (ln_r, change)) in evidence.iter_mut().zip(ln_r.iter().zip(change)) {
        *l += e_c * ln_r - e * libm::log1p(w * change);
    }
}

/// Known-share form of many ratios against 1, with a share of the exposure that is not a share of
/// requests. Only the events of `counts` are used.
pub fn add_known_share_at(ln_r: &LogEvidence, share: f64, counts: &Counts, to: &mut LogEvidence) {
    let (e_c, e) = (counts.canary_events as f64, counts.events());
    if e == 0.0 {
        return;
    }
    for (l, ln_r) in to.iter_mut().zip(ln_r) {
        *l += e_c * ln_r - e * libm::log1p(share * libm::expm1(*ln_r));
    }
}

/// Log evidence against "each canary request has an event with probability at most `p_max`",
/// from cumulative canary counts: the ceiling test, a mixture of likelihood ratios (Wald 1947). Grid `min(p_max * r_k, 0.999)`.
pub fn ceiling(canary_n: u64, canary_events: u64, p_max: f64) -> f64 {
    ceiling_on(&RATIOS, canary_n as f64, canary_events as f64, p_max)
}

/// [`ceiling`] with another prior, from counts that may be weighed.
pub fn ceiling_on(grid: &Grid, canary_n: f64, canary_events: f64, p_max: f64) -> f64 {
    let ceiling = |p: f64| bernoulli(canary_n, canary_events, p, p_max);
    let evidence: LogEvidence =
        std::array::from_fn(|k| ceiling((p_max * (grid.up[k] + 1.0)).min(0.999)));
    grid.mix(&evidence)
}

/// Alternatives of the floor form, as parts of the floor.
const BELOW_FLOOR: [f64; 5] = [0.5, 0.25, 0.1, 0.02, 1e-4];
/// Their prior weights. Chosen by simulation: an equal mixture is up to 5 s slower at a floor of
/// 0.5 % and 100 requests a second.
pub(crate) const FLOOR_PRIOR: [f64; 5] =
    [2.0 / 13.0, 3.0 / 13.0, 3.0 / 13.0, 2.0 / 13.0, 3.0 / 13.0];
/// Prior weights of [`Harm::ratios`]: most on "no change", which most good versions are. An equal
/// mixture needs 5 % more requests there.
pub(crate) const RATIO_PRIOR: [f64; 5] = [0.1, 0.2, 0.4, 0.2, 0.1];

/// `ln sum_k prior_k exp(l_k)`.
pub(crate) fn mix_five(prior: &[f64; 5], logs: &[f64]) -> f64 {
    let terms: [f64; 5] = std::array::from_fn(|k| logs[k] + libm::log(prior[k]));
    log_sum_exp(&terms)
}

/// Log evidence against "each canary request has an event with probability at least `floor`",
/// from cumulative canary counts.
pub fn below_floor(canary_n: f64, canary_events: f64, floor: f64) -> f64 {
    let logs = BELOW_FLOOR.map(|x| bernoulli(canary_n, canary_events, floor * x, floor));
    mix_five(&FLOOR_PRIOR, &logs)
}

/// Log likelihood ratio of event probability `p` against `p0`.
fn bernoulli(n: f64, events: f64, p: f64, p0: f64) -> f64 {
    let good = (n - events).max(0.0);
    events * libm::log(p / p0) + good * (libm::log1p(-p) - libm::log1p(-p0))
}

/// What counts as harm: at least `ratio` times the baseline's rate and at least `floor`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Harm {
    /// Rate ratio, above 1.
    pub ratio: f64,
    /// Absolute rate, in 0..1.
    pub floor: f64,
}

impl Harm {
    /// Alternatives of the ratio form: `ratio^s`, so that for a ratio of 2 they are 1.5, 1.25, 1,
    /// 0.75 and 0.5, and for any other ratio they keep their place between harm and none.
    pub fn ratios(&self) -> [f64; 5] {
        const PLACES: [f64; 5] =
            [0.584_962_500_721_156_2, 0.321_928_094_887_362_3, 0.0, -0.415_037_499_278_843_8, -1.0];
        let ln_ratio = libm::log(self.ratio);
        PLACES.map(|s| libm::exp(s * ln_ratio))
    }
}

/// PASS: evidence against [`Harm`]. Harm is an intersection (relative *and* absolute), so
/// rejecting either part is enough, and the mean of the two e-processes is one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PassEvidence {
    /// Log likelihood ratios of [`Harm::ratios`] against the harm ratio.
    ratio: [f64; 5],
    /// Cumulative counts of the judged ticks.
    counts: Counts,
    /// The canary's requests and events, each tick divided by its factor of clumping.
    weighed: (f64, f64),
}

impl PassEvidence {
    /// Adds one tick, its evidence divided by `factor` (see [`crate::dispersion`]).
    pub fn observe(&mut self, harm: &Harm, tick: &Counts, factor: f64) {
        self.counts.add(tick);
        self.weighed.0 += tick.canary_n as f64 / factor;
        self.weighed.1 += tick.canary_events as f64 / factor;
        if tick.is_comparable() {
            for (l, r) in self.ratio.iter_mut().zip(harm.ratios()) {
                *l += known_share(tick, r, harm.ratio) / factor;
            }
        }
    }

    /// [`ceiling`] of what was observed: evidence that the canary's rate is above `p_max`.
    pub fn above(&self, p_max: f64, repeats: f64) -> f64 {
        ceiling_on(&RATIOS, self.weighed.0 / repeats, self.weighed.1 / repeats, p_max)
    }

    /// `ln ((E_ratio + E_floor) / 2)`, of evidence that repeats itself `repeats` times (see
    /// [`crate::dispersion`]; 1: it does not).
    pub fn ln_e(&self, harm: &Harm, repeats: f64) -> f64 {
        let ratio = mix_five(&RATIO_PRIOR, &self.ratio.map(|l| l / repeats));
        let (n, events) = self.weighed;
        let floor = below_floor(n / repeats, events / repeats, harm.floor);
        log_mean_exp(&[ratio, floor])
    }

    /// Cumulative counts of the judged ticks.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Canary requests still needed until the evidence is expected to reach `needed`, if both arms
    /// go on with `rates` and `share` of the requests goes to the canary. `None`: not at this rate.
    pub fn requests_missing(&self, harm: &Harm, needed: f64, outlook: &Outlook) -> Option<u64> {
        let per_request = outlook.drifts(harm);
        let now = self.components(harm);
        requests_until(needed, |n| {
            let then: [f64; 10] = std::array::from_fn(|k| now[k] + n * per_request[k]);
            let parts = [mix_five(&RATIO_PRIOR, &then[..5]), mix_five(&FLOOR_PRIOR, &then[5..])];
            log_mean_exp(&parts)
        })
    }

    /// Log likelihood ratios of all ten alternatives: five ratios, five floors.
    pub fn components(&self, harm: &Harm) -> [f64; 10] {
        let (n, e) = self.weighed;
        std::array::from_fn(|k| match k.checked_sub(5) {
            None => self.ratio[k],
            Some(k) => bernoulli(n, e, harm.floor * BELOW_FLOOR[k], harm.floor),
        })
    }
}

/// What future traffic is expected to look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Event rate of the canary, 0..=1.
    pub canary_rate: f64,
    /// Event rate of the baseline, 0..=1.
    pub baseline_rate: f64,
    /// Share of all requests that goes to the canary, 0..=1.
    pub share: f64,
}

impl Outlook {
    /// The present rates, taken to go on. `None` while the canary has no requests.
    pub fn of(counts: &Counts) -> Option<Self> {
        Some(Self {
            canary_rate: counts.canary_rate()?,
            baseline_rate: counts.baseline_rate().unwrap_or(0.0),
            share: counts.share(),
        })
    }

    /// Expected change of the ten PASS components for one canary request.
    fn drifts(&self, harm: &Harm) -> [f64; 10] {
        let w = self.share.clamp(1e-9, 1.0);
        let events = self.canary_rate + self.baseline_rate * (1.0 - w) / w;
        let ratios = harm.ratios();
        let versus = |r: f64| {
            let mixed = (w * r + 1.0 - w) / (w * harm.ratio + 1.0 - w);
            self.canary_rate * libm::log(r / harm.ratio) - events * libm::log(mixed)
        };
        let below = |p: f64| {
            let good = libm::log1p(-p) - libm::log1p(-harm.floor);
            self.canary_rate * libm::log(p / harm.floor) + (1.0 - self.canary_rate) * good
        };
        std::array::from_fn(|k| match k.checked_sub(5) {
            None => versus(ratios[k]),
            Some(k) => below(harm.floor * BELOW_FLOOR[k]),
        })
    }
}

/// Smallest whole `n` up to `2^40` with `evidence(n) >= needed`, assuming that evidence which
/// reached the goal stays there.
pub fn requests_until(needed: f64, evidence: impl Fn(f64) -> f64) -> Option<u64> {
    let reached = |n: u64| evidence(n as f64) >= needed;
    if reached(0) {
        return Some(0);
    }
    let mut high = (0..=40).map(|bit| 1_u64 << bit).find(|n| reached(*n))?;
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if reached(middle) { high = middle } else { low = middle }
    }
    Some(high)
}
