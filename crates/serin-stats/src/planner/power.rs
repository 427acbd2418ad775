//! What a rollout's traffic can show, and how long it takes: for people who plan one.

use super::model::{Mixture, Traffic};
use super::words::{percent, short, span};
use super::{SampleSize, TwoProportions};
use crate::assessment::Rung;
use crate::config::{JudgeConfig, Metric};
use crate::onset::Onset;
use serde::Serialize;
use std::fmt;

/// Part of alpha that the comparison has; the rest is for the time the canary is alone.
const COMPARED: f64 = 0.95;
/// Longer than this nobody waits for a comparison: seconds.
const PATIENCE: f64 = 3600.0;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What the judge is asked to guarantee.
    pub config: JudgeConfig,
    /// Usual error rate, from 0.
    pub baseline: f64,
    /// Error rate of the canary that should be found, above the baseline's.
    pub detect: f64,
    /// The canary's share of the traffic, 0.0001 to 0.99.
    pub share: f64,
    /// Requests a second of both versions together.
    pub rps: Option<f64>,
    /// Seconds there are.
    pub within: Option<f64>,
}

/// Requests and time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Amount {
    /// Canary requests.
    pub canary: u64,
    /// Requests of both versions.
    pub total: u64,
    /// Time they take, in seconds, when the traffic is known.
    pub seconds: Option<f64>,
}

/// How long a decision takes: it comes at a random moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Half of all rollouts are decided by then.
    pub median: Amount,
    /// Nine in ten are.
    pub p90: Amount,
}

/// The smallest error rates that can be told from the baseline in a given time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Detectable {
    /// The time, in seconds.
    pub within: f64,
    /// Canary requests in it.
    pub canary: u64,
    /// Found within it in half of all rollouts.
    pub median: Option<f64>,
    /// Found within it in nine of ten.
    pub p90: Option<f64>,
    /// Found by one look at its end, with probability `1 - beta`.
    pub fixed: Option<f64>,
}

/// What a reader should know before believing the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Warning {
    /// The rate to find is no harm by the judge's own measure.
    NotHarm {
        /// The rate to find.
        detect: f64,
        /// From where it is.
        harm: f64,
    },
    /// The time there is will seldom do.
    TooLittleTraffic {
        /// The rate to find.
        detect: f64,
        /// Canary requests a minute.
        per_minute: f64,
        /// Seconds after which nine of ten would be found.
        needed: f64,
        /// Seconds there are.
        available: f64,
        /// The smallest share that would do, if any does.
        share: Option<f64>,
    },
    /// The rate is tolerated, so that nothing is ever rolled back for it.
    Tolerated {
        /// Up to this rate.
        rate: f64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotHarm { detect, harm } => write!(
                f,
                "{} is no harm yet (that begins at {}): it may be promoted before it is found",
                percent(detect),
                percent(harm)
            ),
            Self::Tolerated { rate } => {
                write!(f, "up to {} errors nothing is rolled back", percent(rate))
            }
            Self::TooLittleTraffic { detect, per_minute, needed, available, share } => {
                let (detect, rate) = (percent(detect), short(per_minute));
                let (within, takes) = (span(available), span(needed));
                write!(
                    f,
                    "{rate} canary requests a minute are too few to find {detect} errors in \
                     {within}: nine in ten take {takes}; "
                )?;
                match share {
                    Some(share) => write!(f, "{} of the traffic would do", percent(share)),
                    None => f.write_str("no share of this traffic would do"),
                }
            }
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Power {
    /// One look at the end: requests of each version, with false alarms at `alpha` (one-sided)
    /// and misses at `beta`.
    pub fixed: Option<SampleSize>,
    /// The textbook's: two-sided 5 %, power 80 %.
    pub textbook: Option<SampleSize>,
    /// Until a canary with the rate to detect is rolled back.
    pub fail: Option<Timing>,
    /// Until a canary as good as the baseline may be promoted.
    pub pass: Option<Timing>,
    /// What the time and traffic there are can show.
    pub detectable: Option<Detectable>,
    /// The smallest share at which nine of ten bad canaries are found in the time there is.
    pub smallest_share: Option<f64>,
    /// What to know.
    pub warnings: Vec<Warning>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QuestionError {
    /// A number is outside its allowed range.
    OutOfRange {
        /// The number.
        name: &'static str,
        /// What it was.
        value: f64,
        /// Smallest allowed value.
        low: f64,
        /// Largest allowed value.
        high: f64,
    },
    /// The rate to find is not above the usual one.
    NotWorse {
        /// The usual rate.
        baseline: f64,
        /// The rate to find.
        detect: f64,
    },
}

impl fmt::Display for QuestionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { name, value, low, high } => {
                write!(f, "{name} is {value}; choose a value from {low} to {high}")
            }
            Self::NotWorse { baseline, detect } => {
                write!(f, "{detect} is not above the baseline's {baseline}; choose a higher rate")
            }
        }
    }
}

impl std::error::Error for QuestionError {}

impl Question {
    /// Checks the numbers.
    ///
    /// # Errors
    /// The first number that is out of its range.
    pub fn validate(&self) -> Result<(), QuestionError> {
        in_range("baseline", self.baseline, 0.0, 0.99)?;
        in_range("detect", self.detect, 1e-9, 1.0)?;
        in_range("share", self.share, 0.0001, 0.99)?;
        if let Some(rps) = self.rps {
            in_range("rps", rps, 1e-6, 1e9)?;
        }
        if let Some(within) = self.within {
            in_range("within", within, 1.0, 3.2e7)?;
        }
        if self.detect > self.baseline {
            return Ok(());
        }
        Err(QuestionError::NotWorse { baseline: self.baseline, detect: self.detect })
    }

    /// Everything there is to say.
    ///
    /// # Errors
    /// See [`Question::validate`].
    pub fn answer(&self) -> Result<Power, QuestionError> {
        self.validate()?;
        let settings = self.config.settings();
        let fixed = self.fixed(settings.alpha, 1.0 - settings.beta, false, self.detect);
        Ok(Power {
            fixed: fixed.sample_size(),
            textbook: self.fixed(0.05, 0.8, true, self.detect).sample_size(),
            fail: self.detection(),
            pass: self.certification(Rung::LAST),
            detectable: self.rps.zip(self.within).map(|(rps, within)| self.detectable(rps, within)),
            smallest_share: self.rps.zip(self.within).and_then(|(r, s)| self.smallest_share(r, s)),
            warnings: self.warnings(),
        })
    }

    /// How long it takes until a canary with the rate to detect is rolled back. `None`: for ever.
    pub fn detection(&self) -> Option<Timing> {
        let at = |p| self.detection_quantile(self.detect, p);
        Some(Timing { median: self.amount(at(0.5)?), p90: self.amount(at(0.9)?) })
    }

    /// How long it takes until a canary that is as good as the baseline passes `rung`.
    pub fn certification(&self, rung: Rung) -> Option<Timing> {
        let traffic = self.traffic(self.baseline);
        let harm = self.config.error_harm();
        let needed = self.config.pass_needed() * rung.part();
        let passage = Mixture::pass(&traffic, &harm).passage(needed)?;
        // Without a single error the moment is not random.
        let clean = Mixture::pass(&Traffic { canary_rate: 0.0, ..traffic }, &harm);
        let clean = clean.requests(needed)?;
        let no_error = libm::exp(clean * libm::log1p(-self.baseline));
        let at = |p: f64| {
            let usual = passage.quantile(p);
            if no_error >= p { usual.min(clean) } else { usual.max(clean) }
        };
        Some(Timing { median: self.amount(at(0.5)), p90: self.amount(at(0.9)) })
    }

    /// The smallest share of the traffic at which nine of ten bad canaries are found in `seconds`,
    /// up to a half. `None`: there is too little traffic for any.
    pub fn smallest_share(&self, rps: f64, seconds: f64) -> Option<f64> {
        let does = |share: f64| {
            let asked = Self { share, rps: Some(rps), ..self.clone() };
            let found = asked.detection_quantile(self.detect, 0.9);
            found.is_some_and(|canary| canary <= rps * share * seconds)
        };
        smallest(does, 0.0001, 0.5)
    }

    /// The same for one look at the end, as a textbook plans it.
    pub fn smallest_share_fixed(&self, requests: f64, alpha: f64, power: f64) -> Option<f64> {
        let does = |share: f64| {
            let asked = Self { share, ..self.clone() };
            let size = asked.fixed(alpha, power, true, self.detect).sample_size();
            size.is_some_and(|size| size.canary <= share * requests)
        };
        smallest(does, 0.0001, 0.5)
    }

    fn traffic(&self, canary_rate: f64) -> Traffic {
        let tick = self.rps.unwrap_or(f64::INFINITY);
        Traffic { canary_rate, baseline_rate: self.baseline, share: self.share, tick }
    }

    /// Evidence that the error rate needs on its own; `None` when it is not judged.
    fn fail_needed(&self) -> Option<f64> {
        let settings = self.config.settings();
        let mut shares = settings.metrics.iter().zip(self.config.weights());
        let share = shares.find_map(|(m, v)| (m.metric == Metric::Errors).then_some(v))?;
        let onset = if settings.late_onset { -Onset::LN_FIRST } else { 0.0 };
        (share > 0.0).then(|| self.config.fail_needed() - libm::log(share * COMPARED) + onset)
    }

    /// Canary requests until a share `p` of all canaries with this rate is found.
    fn detection_quantile(&self, rate: f64, p: f64) -> Option<f64> {
        let (traffic, needed) = (self.traffic(rate), self.fail_needed()?);
        let compared = Mixture::fail(&traffic).passage(needed)?.quantile(p);
        let Some(p_max) = self.config.settings().tolerate else { return Some(compared) };
        let ceiling = Mixture::ceiling(&traffic, p_max).passage(needed)?.quantile(p);
        Some(compared.max(ceiling))
    }

    fn fixed(&self, alpha: f64, power: f64, two_sided: bool, detect: f64) -> TwoProportions {
        TwoProportions {
            baseline_rate: self.baseline,
            canary_rate: detect,
            alpha,
            power,
            baseline_per_canary: (1.0 - self.share) / self.share,
            two_sided,
        }
    }

    fn amount(&self, canary: f64) -> Amount {
        let seconds = self.rps.map(|rps| libm::ceil(canary / (rps * self.share)).max(1.0));
        let whole = |x: f64| libm::ceil(x).min(1e18) as u64;
        Amount { canary: whole(canary), total: whole(canary / self.share), seconds }
    }

    fn detectable(&self, rps: f64, within: f64) -> Detectable {
        let canary = rps * self.share * within;
        let found = |p: f64| {
            self.smallest_rate(|rate| self.detection_quantile(rate, p).is_some_and(|n| n <= canary))
        };
        let settings = self.config.settings();
        let fixed = |rate| {
            let size = self.fixed(settings.alpha, 1.0 - settings.beta, false, rate).sample_size();
            size.is_some_and(|size| size.canary <= canary)
        };
        Detectable {
            within,
            canary: canary as u64,
            median: found(0.5),
            p90: found(0.9),
            fixed: self.smallest_rate(fixed),
        }
    }

    fn smallest_rate(&self, does: impl Fn(f64) -> bool) -> Option<f64> {
        smallest(does, self.baseline + 1e-6, 1.0)
    }

    fn warnings(&self) -> Vec<Warning> {
        let harm = self.config.error_harm();
        let from = (self.baseline * harm.ratio).max(harm.floor);
        let no_harm =
            (self.detect < from).then_some(Warning::NotHarm { detect: self.detect, harm: from });
        let tolerate = self.config.settings().tolerate.filter(|rate| self.detect <= *rate);
        let tolerated = tolerate.map(|rate| Warning::Tolerated { rate });
        [tolerated, no_harm, self.too_little()].into_iter().flatten().collect()
    }

    fn too_little(&self) -> Option<Warning> {
        let (rps, timing) = (self.rps?, self.detection()?);
        let (needed, available) = (timing.p90.seconds?, self.within.unwrap_or(PATIENCE));
        (needed > available).then(|| Warning::TooLittleTraffic {
            detect: self.detect,
            per_minute: rps * self.share * 60.0,
            needed,
            available,
            share: self.smallest_share(rps, available),
        })
    }
}

/// The smallest `x` between `low` and `high` that does, to 1 in a thousand, by halving logarithms;
/// `None` when `high` does not.
fn smallest(does: impl Fn(f64) -> bool, low: f64, high: f64) -> Option<f64> {
    if !does(high) {
        return None;
    }
    let (mut low, mut high) = (low, high);
    while high / low > 1.001 {
        let middle = libm::sqrt(low * high);
        if does(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

fn in_range(name: &'static str, value: f64, low: f64, high: f64) -> Result<(), QuestionError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(QuestionError::OutOfRange { name, value, low, high })
}
