//! Which of k arms is best? For A/B tests: the Bayesian picture for people, and a decision that
//! may be looked at as often as one likes.
//!
//! A posterior probability of 95 % that is looked at every half minute names a winner among equals
//! in every third test. So a [`Race`] names a winner only when three things agree: the expected loss
//! of choosing the leader is below the threshold of caring, every arm has its minimum of users, and
//! the anytime-valid test of each pair is sure that the leader is better than each other arm. That
//! the arms differ at all (Dirichlet mixture, [`Disagreement`]) is shown earlier, but names nobody;
//! to ask for it too would double the users needed where half of them convert.
//!
//! **Promise:** an arm is named although another one is at least as good with probability at most
//! `alpha`, over the whole test. For `k` arms each pair needs evidence of `k/alpha`: naming the wrong
//! arm `i` takes a false alarm against one fixed best arm, and there are at most `k` such pairs.
//!
//! **It holds if** users are dealt to the arms at random, are counted once (not requests: one user's
//! requests are not independent), in the tick in which their outcome is known. The conversion rate
//! common to all may move as it likes, and so may the shares.

mod belief;
mod pair;
mod value;

pub use belief::Odds;
pub use value::{ArmValue, MIN_BUYERS, value_odds};

use crate::multinomial::{CountError, Disagreement, ReplicaCount};
use belief::{Rate, odds};
use pair::{Duel, Pair};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most arms of a race.
pub const MAX_ARMS: usize = 10;

/// Users of one arm and those among them who did what is hoped for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCount {
    /// Users.
    pub n: u64,
    /// Conversions; at most `n`.
    pub conversions: u64,
}

/// When a difference is too small to care about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caring {
    /// Expected loss in conversions per user (0.001: one conversion in a thousand users).
    Absolute(f64),
    /// Expected loss as a part of the leader's conversion rate (0.01: 1 % of its conversions).
    Relative(f64),
}

/// What a winner needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WinnerSettings {
    /// Bound on the probability of naming an arm that is not better than all others.
    pub alpha: f64,
    /// Expected loss below which it does not matter any more.
    pub caring: Caring,
    /// Users that each arm needs.
    pub min_n: u64,
}

impl Default for WinnerSettings {
    fn default() -> Self {
        Self { alpha: 0.05, caring: Caring::Relative(0.01), min_n: 500 }
    }
}

impl WinnerSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `alpha` outside of 1e-9..=0.5 or a threshold of caring that is not a number in 0..=1.
    pub fn check(&self) -> Result<(), WinnerError> {
        if !(1e-9..=0.5).contains(&self.alpha) {
            return Err(WinnerError::Alpha(self.alpha));
        }
        let (Caring::Absolute(caring) | Caring::Relative(caring)) = self.caring;
        if (0.0..=1.0).contains(&caring) { Ok(()) } else { Err(WinnerError::Caring(caring)) }
    }
}

/// Counts and evidence of a running A/B test. As JSON 1 KB for two arms, 23 KB for ten.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Race {
    arms: Vec<ArmCount>,
    differ: Disagreement,
    /// Arms 0 and 1, 0 and 2, ..., 1 and 2, ...
    pairs: Vec<Pair>,
}

impl Race {
    /// A race of `arms` arms.
    ///
    /// # Errors
    /// Fewer than 2 or more than [`MAX_ARMS`].
    pub fn new(arms: usize) -> Result<Self, WinnerError> {
        if !(2..=MAX_ARMS).contains(&arms) {
            return Err(WinnerError::Arms(arms));
        }
        Ok(Self {
            arms: vec![ArmCount::default(); arms],
            differ: Disagreement::default(),
            pairs: vec![Pair::default(); arms * (arms - 1) / 2],
        })
    }

    /// Adds the users of one tick, by arm.
    ///
    /// # Errors
    /// Another number of arms, or more conversions than users. The state is unchanged.
    pub fn observe(&mut self, tick: &[ArmCount]) -> Result<(), WinnerError> {
        if tick.len() != self.arms.len() {
            return Err(WinnerError::Arms(tick.len()));
        }
        let replicas = tick.iter().map(|a| ReplicaCount { n: a.n, events: a.conversions });
        self.differ.observe(&replicas.collect::<Vec<_>>()).map_err(WinnerError::Counts)?;
        for ((i, j), pair) in pairs_of(tick.len()).zip(&mut self.pairs) {
            let both = [tick[i], tick[j]];
            let (n, events) = (both.map(|a| a.n as f64), both.map(|a| a.conversions as f64));
            pair.observe(&Duel { n, events });
        }
        for (sum, a) in self.arms.iter_mut().zip(tick) {
            sum.n = sum.n.saturating_add(a.n);
            sum.conversions = sum.conversions.saturating_add(a.conversions);
        }
        Ok(())
    }

    /// Takes an arm out: the others race on with what is known of them. Does nothing when there
    /// is no such arm. Whoever decides afterwards divides `alpha` as before: see [`Race::decide`].
    pub fn remove(&mut self, arm: usize) {
        let arms = self.arms.len();
        if arm >= arms {
            return;
        }
        let stays = pairs_of(arms).map(|(i, j)| i != arm && j != arm);
        let mut stays = stays.collect::<Vec<_>>().into_iter();
        self.pairs.retain(|_| stays.next().unwrap_or(true));
        self.arms.remove(arm);
    }

    /// Users and conversions so far.
    pub fn arms(&self) -> &[ArmCount] {
        &self.arms
    }

    /// The decision now, and what it is made of.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn decide(&self, settings: &WinnerSettings) -> Result<WinnerVerdict, WinnerError> {
        settings.check()?;
        if self.arms.iter().all(|a| a.n == 0) {
            return Ok(WinnerVerdict::NoData);
        }
        let standing = self.standing();
        let missing = self.missing(settings, &standing);
        if missing.is_empty() {
            return Ok(WinnerVerdict::Winner { arm: standing.leader, standing });
        }
        let limit = settings.caring_limit(standing.rates[standing.leader]);
        let enough = self.arms.iter().all(|a| a.n >= settings.min_n);
        let alike = enough && standing.odds.loss.iter().all(|loss| *loss <= limit);
        Ok(WinnerVerdict::Continue { standing, missing, alike })
    }

    /// Odds, rates and evidence.
    fn standing(&self) -> Standing {
        let beliefs: Vec<Rate> = self.arms.iter().map(|a| Rate::new(a.n, a.conversions)).collect();
        let odds = odds(&beliefs);
        let by_loss = |i: &usize, j: &usize| odds.loss[*i].total_cmp(&odds.loss[*j]);
        let seen = (0..self.arms.len()).filter(|i| self.arms[*i].n > 0);
        let leader = seen.min_by(by_loss).unwrap_or(0);
        let rate = |a: &ArmCount| a.conversions as f64 / a.n.max(1) as f64;
        Standing {
            leader,
            rates: self.arms.iter().map(rate).collect(),
            odds,
            ln_differ: self.differ.ln_e(),
            ln_better: (0..self.arms.len()).map(|j| self.ln_better(leader, j)).collect(),
        }
    }

    /// Log evidence that arm `i` is better than arm `j`; 0 for an arm against itself.
    fn ln_better(&self, i: usize, j: usize) -> f64 {
        let at = pairs_of(self.arms.len()).position(|p| p == (i.min(j), i.max(j)));
        at.and_then(|at| self.pairs.get(at)).map_or(0.0, |p| p.ln_e()[usize::from(i > j)])
    }

    fn missing(&self, settings: &WinnerSettings, standing: &Standing) -> Vec<Missing> {
        let leader = standing.leader;
        let short = self.arms.iter().enumerate().filter(|(_, a)| a.n < settings.min_n);
        let mut missing: Vec<Missing> =
            short.map(|(arm, a)| Missing::Users { arm, n: a.n, needed: settings.min_n }).collect();
        let (loss, limit) =
            (standing.odds.loss[leader], settings.caring_limit(standing.rates[leader]));
        if loss > limit {
            missing.push(Missing::Loss { loss, limit });
        }
        let needed = libm::log(self.arms.len() as f64 / settings.alpha);
        let rivals = standing.ln_better.iter().enumerate();
        let open = rivals.filter(|(j, ln_e)| *j != leader && **ln_e < needed);
        missing.extend(open.map(|(over, &ln_e)| Missing::Lead { over, ln_e, needed }));
        missing
    }
}

impl WinnerSettings {
    fn caring_limit(&self, leader_rate: f64) -> f64 {
        match self.caring {
            Caring::Absolute(limit) => limit,
            Caring::Relative(part) => part * leader_rate,
        }
    }
}

/// All `(i, j)` with `i < j`, in the order in which they are stored.
fn pairs_of(arms: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..arms).flat_map(move |i| (i + 1..arms).map(move |j| (i, j)))
}

/// One look at counts that were collected without looking. For a test that is watched feed a
/// [`Race`] tick by tick instead: calling this again with grown counts is peeking.
///
/// # Errors
/// As [`Race::new`], [`Race::observe`] and [`Race::decide`].
pub fn decide(settings: &WinnerSettings, arms: &[ArmCount]) -> Result<WinnerVerdict, WinnerError> {
    let mut race = Race::new(arms.len())?;
    race.observe(arms)?;
    race.decide(settings)
}

/// What [`Race::decide`] says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum WinnerVerdict {
    /// No user was counted.
    NoData,
    /// Not yet.
    Continue {
        /// Where the arms stand.
        standing: Standing,
        /// What is missing; never empty.
        missing: Vec<Missing>,
        /// Every arm has its users and none costs more than the threshold of caring: whichever
        /// is chosen, nothing that matters is lost. Not a proof that they are equal.
        alike: bool,
    },
    /// This arm.
    Winner {
        /// Its position.
        arm: usize,
        /// Where the arms stand.
        standing: Standing,
    },
}

/// Where the arms stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The arm with the least expected loss, among those with users.
    pub leader: usize,
    /// Conversions per user, by arm; 0 without users.
    pub rates: Vec<f64>,
    /// Probability to be best and expected loss, by arm, from a uniform prior.
    pub odds: Odds,
    /// Log evidence that the arms differ at all; `ln 1/alpha` is enough to say so.
    pub ln_differ: f64,
    /// Log evidence that the leader is better than each arm; 0 for itself.
    pub ln_better: Vec<f64>,
}

/// What is missing for a winner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "missing", rename_all = "kebab-case")]
pub enum Missing {
    /// Users of an arm.
    Users {
        /// The arm.
        arm: usize,
        /// Its users.
        n: u64,
        /// Users needed.
        needed: u64,
    },
    /// Choosing the leader may still cost more than one cares about.
    Loss {
        /// Expected loss, conversions per user.
        loss: f64,
        /// Threshold of caring, conversions per user.
        limit: f64,
    },
    /// Evidence that the leader is better than this arm, in nats.
    Lead {
        /// The arm.
        over: usize,
        /// Evidence there is.
        ln_e: f64,
        /// Evidence needed.
        needed: f64,
    },
}

/// Why a race was refused.
#[derive(Clone, Debug, PartialEq)]
pub enum WinnerError {
    /// Too few or too many arms, or not those of the race.
    Arms(usize),
    /// `alpha` out of range.
    Alpha(f64),
    /// Threshold of caring out of range.
    Caring(f64),
    /// Impossible counts.
    Counts(CountError),
    /// Too few buyers to speak about amounts.
    Buyers {
        /// The arm.
        arm: usize,
        /// Its buyers.
        buyers: u64,
    },
    /// The mean amount is known to a factor of 1.6 at best: no picture can be drawn of it.
    Vague {
        /// The arm.
        arm: usize,
        /// Standard error of the log of the mean amount.
        ln_sd: f64,
    },
    /// Sums of logs that no amounts have: not numbers, a mean beyond e^100, a negative variance.
    Sums {
        /// The arm.
        arm: usize,
        /// Mean of the logs.
        mean: f64,
        /// Variance of the logs.
        variance: f64,
    },
}

impl fmt::Display for WinnerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arms(found) => {
                write!(
                    f,
                    "{found} arms; a race has the same 2 to {MAX_ARMS} arms from start to end"
                )
            }
            Self::Alpha(alpha) => write!(f, "alpha is {alpha}; choose a value from 1e-9 to 0.5"),
            Self::Caring(x) => write!(f, "threshold of caring is {x}; choose a value from 0 to 1"),
            Self::Counts(error) => error.fmt(f),
            Self::Buyers { arm, buyers } => {
                write!(f, "arm {arm} has {buyers} buyers; wait for {MIN_BUYERS}")
            }
            Self::Vague { arm, ln_sd } => write!(
                f,
                "mean amount of arm {arm} has a standard error of {ln_sd:.2} on the log scale; wait for more buyers, until it is below {}",
                value::MOST_VAGUE
            ),
            Self::Sums { arm, mean, variance } => write!(
                f,
                "logs of arm {arm}'s amounts have mean {mean} and variance {variance}; sum ln(amount) and its square over buyers only"
            ),
        }
    }
}

impl std::error::Error for WinnerError {}
