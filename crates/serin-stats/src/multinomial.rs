//! Are counts dealt to the arms as they should be? Dirichlet mixtures of multinomial likelihood
//! ratios: the sample-ratio guard ([`ShareTest`]) and the test of equal event rates in two to a
//! hundred arms or replicas ([`Disagreement`]).
//!
//! Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data" (NeurIPS 2022): when
//! all arms have the same rate, the arm of the next event is a draw from the arms' shares, however
//! that rate moves over time. The mixture of likelihood ratios over a Dirichlet prior is an
//! e-process with the closed form of [`ln_dirichlet`].

use crate::beta::{deviance, point, stirling_remainder};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Total weight of the prior, in events: Dirichlet(100 * shares), the default of the authors'
/// own code. Looks for deviations of some 5 points in a share of a half.
pub const CONCENTRATION: f64 = 100.0;
/// Most arms or replicas of one test; it bounds the state.
pub const MAX_ARMS: usize = 100;
/// Evidence at which the sample-ratio guard trips: `ln 1000`.
pub const SHARE_TRIP: f64 = 6.907_755_278_982_137;

/// `ln (B(x) / prod shares^x)` up to a constant of the number of arms. Shares sum to 1.
fn ln_tilted(x: &[f64], shares: &[f64]) -> f64 {
    let total: f64 = x.iter().sum();
    let term = |(x, share): (&f64, &f64)| {
        deviance(*x, total * share) - 0.5 * libm::log(*x) + stirling_remainder(*x)
    };
    let terms: f64 = x.iter().zip(shares).map(term).sum();
    terms + 0.5 * libm::log(total) - stirling_remainder(total)
}

/// Log Bayes factor of `counts` against `shares`, under a Dirichlet(`prior`) mixture:
/// `ln [Γ(a0)/Γ(a0+n) prod Γ(a_i+n_i)/Γ(a_i) / prod share_i^n_i]` (Lindon and Malek 2022, eq. 7).
/// Positive shares that sum to 1, positive priors, three lists of one length (more is ignored);
/// what is not learns nothing.
pub fn ln_dirichlet(counts: &[u64], shares: &[f64], prior: &[f64]) -> f64 {
    if !shares.iter().chain(prior).all(|x| (1e-15..1e15).contains(x)) {
        return 0.0;
    }
    let after: Vec<f64> = prior.iter().zip(counts).map(|(a, n)| a + *n as f64).collect();
    ln_tilted(&after, shares) - ln_tilted(prior, shares)
}

/// Log Bayes factor of "the canary's share of all events is above `share`" against "it is not":
/// Beta(`concentration * share`, `concentration * (1 - share)`) cut off below `share`. An e-process
/// while the share stays what it is. `share` strictly between 0 and 1; anything else learns nothing.
pub fn ln_beta_onesided(canary: u64, baseline: u64, share: f64, concentration: f64) -> f64 {
    let possible = (1e-12..=1.0 - 1e-12).contains(&share);
    if !(possible && (1e-3..1e12).contains(&concentration)) {
        return 0.0;
    }
    let shares = [share, 1.0 - share];
    let prior = shares.map(|s| concentration * s);
    let after = [prior[0] + canary as f64, prior[1] + baseline as f64];
    let above = |x: [f64; 2]| point(x[0], x[1], share).ln_above + ln_tilted(&x, &shares);
    above(after) - above(prior)
}

/// Evidence that assignments do not follow the configured shares: the sample-ratio guard. Also the
/// test of equal conversion rates in k arms while the shares stay what they are: give it events
/// instead of assignments.
///
/// When the shares change, a new segment begins. Evidence of finished segments multiplies: each
/// is an e-process given the past.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShareTest {
    /// Shares of the current segment, summing to 1; empty before the first.
    shares: Vec<f64>,
    /// Counts of the current segment.
    counts: Vec<u64>,
    /// Sum of the finished segments' log evidence.
    finished: f64,
}

impl ShareTest {
    /// Adds the counts of one tick, by arm. `shares` are the configured weights in any unit.
    ///
    /// # Errors
    /// Lists of different lengths, too many arms, a weight that is no number of at least 0, or a
    /// count of an arm whose weight is 0. The state is then unchanged.
    pub fn observe(&mut self, counts: &[u64], shares: &[f64]) -> Result<(), CountError> {
        let shares = checked_shares(counts, shares)?;
        if !same_shares(&self.shares, &shares) {
            self.finished = self.ln_e();
            self.counts = vec![0; shares.len()];
            self.shares = shares;
        }
        for (sum, n) in self.counts.iter_mut().zip(counts) {
            *sum = sum.saturating_add(*n);
        }
        Ok(())
    }

    /// Log evidence, in nats, that the shares were not kept.
    pub fn ln_e(&self) -> f64 {
        let used: Vec<usize> = (0..self.shares.len()).filter(|i| self.shares[*i] > 0.0).collect();
        if used.is_empty() {
            return self.finished;
        }
        let shares: Vec<f64> = used.iter().map(|i| self.shares[*i]).collect();
        let counts: Vec<u64> = used.iter().map(|i| self.counts[*i]).collect();
        let prior: Vec<f64> = shares.iter().map(|s| CONCENTRATION * s).collect();
        self.finished + ln_dirichlet(&counts, &shares, &prior)
    }

    /// Whether the sample-ratio guard trips: evidence of 1000 and more.
    pub fn tripped(&self) -> bool {
        self.ln_e() >= SHARE_TRIP
    }

    /// Counts of the current segment, by arm.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Shares of the current segment, by arm.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }
}

/// Shares that sum to 1.
fn checked_shares(counts: &[u64], shares: &[f64]) -> Result<Vec<f64>, CountError> {
    if counts.len() != shares.len() {
        return Err(CountError::Lengths { counts: counts.len(), shares: shares.len() });
    }
    check_size(counts.len())?;
    for (arm, (&count, &share)) in counts.iter().zip(shares).enumerate() {
        if !(0.0..1e15).contains(&share) {
            return Err(CountError::NotAShare { arm, share });
        }
        if share == 0.0 && count > 0 {
            return Err(CountError::CountWithoutShare { arm, count });
        }
    }
    let total: f64 = shares.iter().sum();
    if total <= 0.0 {
        return Err(CountError::NotAShare { arm: 0, share: 0.0 });
    }
    if let Some(arm) = shares.iter().position(|s| *s > 0.0 && s / total < 1e-9) {
        return Err(CountError::NotAShare { arm, share: shares[arm] });
    }
    Ok(shares.iter().map(|s| s / total).collect())
}

fn check_size(found: usize) -> Result<(), CountError> {
    if (1..=MAX_ARMS).contains(&found) { Ok(()) } else { Err(CountError::Size { found }) }
}

/// Equal but for rounding: 10:90 and 20:180 are one segment.
fn same_shares(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

/// Requests of one replica (or arm) in one tick and the events among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaCount {
    /// Requests (or users).
    pub n: u64,
    /// Those with the event; at most `n`.
    pub events: u64,
}

/// Evidence that replicas (or arms) of what should be the same do not have the same event rate.
///
/// One tick asks: given how many requests each replica had and how many events there were in all,
/// were the events dealt at random? If the rates are equal they are dealt like cards: drawn without
/// replacement from all requests of the tick. For every alternative `theta` the likelihood ratio
/// `prod (theta_i / w_i)^events_i`, with `w_i` the replica's realised share of requests, has mean 1
/// when drawn with replacement, and at most 1 without (Hoeffding 1963, theorem 4: a convex
/// function of a sum). So has every mixture over alternatives that is fixed before the tick, and
/// the product over ticks is an e-process: by Ville's inequality it ever reaches `1/alpha` with
/// probability at most `alpha`. The rate common to all replicas may move as it likes, and requests
/// may be dealt anew in each tick, by load or by anything that was known before.
///
/// The mixture of a tick is Dirichlet around what the past says: relative rates
/// `(100 w_i + events_i) / (100 w_i + expected_i)`, as heavy as 100 events and all those seen. While
/// shares stay equal the product is the closed form of [`ln_dirichlet`] over the whole time, however
/// it was cut into ticks.
///
/// What breaks it: events that come in clumps (one user's ten failures, one node's outage). Count
/// users or sessions then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    replicas: Vec<Seen>,
    ln_e: f64,
}

/// What one replica has had so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    n: u64,
    events: u64,
    /// Events it would have had if all rates were equal.
    expected: f64,
}

/// A replica whose events differ most from its share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// Its position.
    pub replica: usize,
    /// Its requests.
    pub n: u64,
    /// Its events.
    pub events: u64,
    /// Events it would have had at the common rate.
    pub expected: f64,
}

impl Disagreement {
    /// Adds one tick. A replica is known by its position; one that had no requests (or is new, or
    /// gone) takes no part. A slot that was taken over by another instance stays valid.
    ///
    /// # Errors
    /// More than [`MAX_ARMS`] replicas, none, or more events than requests. The state is unchanged.
    pub fn observe(&mut self, tick: &[ReplicaCount]) -> Result<(), CountError> {
        check_size(tick.len())?;
        if let Some(arm) = tick.iter().position(|r| r.events > r.n) {
            return Err(CountError::TooManyEvents {
                arm,
                n: tick[arm].n,
                events: tick[arm].events,
            });
        }
        if self.replicas.len() < tick.len() {
            self.replicas.resize(tick.len(), Seen::default());
        }
        self.judge(tick);
        self.learn(tick);
        Ok(())
    }

    fn judge(&mut self, tick: &[ReplicaCount]) {
        let requests: f64 = tick.iter().map(|r| r.n as f64).sum();
        let taking_part = || tick.iter().zip(&self.replicas).filter(|(r, _)| r.n > 0);
        let shares: Vec<f64> = taking_part().map(|(r, _)| r.n as f64 / requests).collect();
        let events: Vec<u64> = taking_part().map(|(r, _)| r.events).collect();
        if shares.len() < 2 || events.iter().all(|e| *e == 0) {
            return;
        }
        let seen: Vec<&Seen> = taking_part().map(|(_, seen)| seen).collect();
        self.ln_e += ln_dirichlet(&events, &shares, &around_the_past(&shares, &seen));
    }

    fn learn(&mut self, tick: &[ReplicaCount]) {
        let requests: f64 = tick.iter().map(|r| r.n as f64).sum();
        let events: f64 = tick.iter().map(|r| r.events as f64).sum();
        for (seen, r) in self.replicas.iter_mut().zip(tick) {
            seen.n = seen.n.saturating_add(r.n);
            seen.events = seen.events.saturating_add(r.events);
            seen.expected += events * (r.n as f64 / requests.max(1.0));
        }
    }

    /// Log evidence, in nats, that the rates differ.
    pub fn ln_e(&self) -> f64 {
        self.ln_e
    }

    /// Whether the evidence reached `1/alpha`. Never for an `alpha` outside of (0, 1).
    pub fn tripped(&self, alpha: f64) -> bool {
        alpha > 0.0 && alpha < 1.0 && self.ln_e >= -libm::log(alpha)
    }

    /// Requests and events so far, by position.
    pub fn totals(&self) -> impl ExactSizeIterator<Item = ReplicaCount> + '_ {
        self.replicas.iter().map(|r| ReplicaCount { n: r.n, events: r.events })
    }

    /// The replica that differs most, for the sentence that says so.
    pub fn outlier(&self) -> Option<Outlier> {
        let oddity = |s: &Seen| {
            let gap = s.events as f64 - s.expected;
            gap * gap / s.expected.max(1e-9)
        };
        let seen = self.replicas.iter().enumerate().filter(|(_, s)| s.expected > 0.0);
        let (replica, s) = seen.max_by(|a, b| oddity(a.1).total_cmp(&oddity(b.1)))?;
        Some(Outlier { replica, n: s.n, events: s.events, expected: s.expected })
    }
}

/// Dirichlet parameters of the next tick's mixture, from earlier ticks and this tick's shares.
fn around_the_past(shares: &[f64], seen: &[&Seen]) -> Vec<f64> {
    let pull = |(share, s): (&f64, &&Seen)| {
        let prior = CONCENTRATION * share;
        share * (prior + s.events as f64) / (prior + s.expected)
    };
    let pulls: Vec<f64> = shares.iter().zip(seen).map(pull).collect();
    let weight = CONCENTRATION + seen.iter().map(|s| s.events as f64).sum::<f64>();
    let total: f64 = pulls.iter().sum();
    pulls.iter().map(|x| weight * x / total).collect()
}

/// Why counts were refused.
#[derive(Clone, Debug, PartialEq)]
pub enum CountError {
    /// Counts and shares are of different lengths.
    Lengths {
        /// Counts given.
        counts: usize,
        /// Shares given.
        shares: usize,
    },
    /// No arms, or more than [`MAX_ARMS`].
    Size {
        /// Arms given.
        found: usize,
    },
    /// A weight is not a number of at least 0, too small to be tested, or all are 0.
    NotAShare {
        /// Its position.
        arm: usize,
        /// The weight.
        share: f64,
    },
    /// An arm that should get nothing got something.
    CountWithoutShare {
        /// Its position.
        arm: usize,
        /// What it got.
        count: u64,
    },
    /// More events than requests.
    TooManyEvents {
        /// Position of the replica.
        arm: usize,
        /// Its requests.
        n: u64,
        /// Its events.
        events: u64,
    },
}

impl fmt::Display for CountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lengths { counts, shares } => {
                write!(f, "{counts} counts for {shares} shares; give one count for each share")
            }
            Self::Size { found } => write!(f, "{found} arms; give from 1 to {MAX_ARMS}"),
            Self::NotAShare { arm, share } => {
                write!(
                    f,
                    "share {share} of arm {arm}; give a weight of at least 1e-9 of the whole, or 0 for an arm without traffic"
                )
            }
            Self::CountWithoutShare { arm, count } => {
                write!(
                    f,
                    "arm {arm} has a share of 0 but a count of {count}; count what was assigned at random only"
                )
            }
            Self::TooManyEvents { arm, n, events } => {
                write!(
                    f,
                    "{events} events in {n} requests of arm {arm}; events are counted among the requests of the same tick"
                )
            }
        }
    }
}

impl std::error::Error for CountError {}
