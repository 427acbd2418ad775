//! The numbers of one line, checked one by one: whole where they count, finite, not negative,
//! parts within the whole.

use super::line::{ArmLine, Line, Number, SampleLine, Sums, SumsOf, Twos};
use serin_stats::{Histogram, Moments, Sample};
use std::collections::BTreeMap;

/// What is wrong, without the number of the line.
pub type Wrong = String;

/// Longest tick in seconds: a month.
const LONGEST: f64 = 2_678_400.0;

/// One arm. What was not written is `None`: it is not zero.
#[derive(Debug, Clone, Default)]
pub struct Arm {
    pub n: Option<u64>,
    pub k: Option<u64>,
    pub sessions: Option<u64>,
    pub hist: Option<Histogram>,
    pub unfinished: u64,
    pub aborted: u64,
}

/// All numbers of a line that count something.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub stable: Option<Arm>,
    pub canary: Option<Arm>,
    /// Units dealt to (stable, canary), where it is written.
    pub dealt: Option<(u64, u64)>,
    pub split: Vec<(u64, u64)>,
    pub canary_split: Vec<(u64, u64)>,
    pub replicas: BTreeMap<String, (u64, u64)>,
    pub samples: BTreeMap<String, Sample>,
}

impl Counts {
    /// Checks the numbers of a line.
    pub fn of(line: &mut Line<'_>) -> Result<Self, Wrong> {
        let dealt = line.dealt.map(|dealt| both("dealt", (dealt.stable, dealt.canary)));
        let replicas = std::mem::take(&mut line.replicas).into_iter();
        let replicas = replicas.map(|(name, pair)| {
            let pair = both(&format!("replica {name}"), pair)?;
            Ok((name, pair))
        });
        let samples = std::mem::take(&mut line.samples).into_iter();
        let samples = samples.map(|(name, sample)| {
            let sample = sample_of(&name, sample)?;
            Ok((name, sample))
        });
        Ok(Self {
            stable: line.stable.take().map(|arm| Arm::of("stable", arm)).transpose()?,
            canary: line.canary.take().map(|arm| Arm::of("canary", arm)).transpose()?,
            dealt: dealt.transpose()?,
            split: pairs("split", &line.split)?,
            canary_split: pairs("canary_split", &line.canary_split)?,
            replicas: replicas.collect::<Result<_, Wrong>>()?,
            samples: samples.collect::<Result<_, Wrong>>()?,
        })
    }

    /// What was counted since `earlier`. `None` when any counter went down: it was restarted.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let nothing = Arm::default();
        let arm = |now: &Option<Arm>, then: &Option<Arm>| match now {
            Some(now) => now.since(then.as_ref().unwrap_or(&nothing)).map(Some),
            None => Some(None),
        };
        let replicas = self.replicas.iter();
        let replicas = replicas
            .map(|(name, now)| Some((name.clone(), less(*now, earlier.replicas.get(name))?)));
        let samples = self.samples.iter();
        let samples = samples.map(|(name, now)| {
            let since = sample_since(now, earlier.samples.get(name))?;
            Some((name.clone(), since))
        });
        Some(Self {
            stable: arm(&self.stable, &earlier.stable)?,
            canary: arm(&self.canary, &earlier.canary)?,
            dealt: match self.dealt {
                Some(now) => Some(less(now, earlier.dealt.as_ref())?),
                None => None,
            },
            split: pairs_since(&self.split, &earlier.split)?,
            canary_split: pairs_since(&self.canary_split, &earlier.canary_split)?,
            replicas: replicas.collect::<Option<_>>()?,
            samples: samples.collect::<Option<_>>()?,
        })
    }
}

fn pairs(name: &str, pairs: &[(Number, Number)]) -> Result<Vec<(u64, u64)>, Wrong> {
    pairs.iter().map(|pair| both(name, *pair)).collect()
}

fn pairs_since(now: &[(u64, u64)], then: &[(u64, u64)]) -> Option<Vec<(u64, u64)>> {
    now.iter().enumerate().map(|(i, now)| less(*now, then.get(i))).collect()
}

impl Arm {
    fn of(name: &str, arm: ArmLine) -> Result<Self, Wrong> {
        let number = |key: &str, number: Option<Number>| {
            number.map(|number| count_of(name, key, number)).transpose()
        };
        Ok(Self {
            n: number("n", arm.n)?,
            k: number("k", arm.k)?,
            sessions: number("sessions", arm.sessions)?,
            hist: arm.hist.map(|hist| hist.0),
            unfinished: number("unfinished", arm.unfinished)?.unwrap_or(0),
            aborted: number("aborted", arm.aborted)?.unwrap_or(0),
        })
    }

    fn since(&self, earlier: &Self) -> Option<Self> {
        let fewer = |now: Option<u64>, then: Option<u64>| match now {
            Some(now) => now.checked_sub(then.unwrap_or(0)).map(Some),
            None => Some(None),
        };
        let none = Histogram::new();
        let hist = match &self.hist {
            Some(now) => Some(now.since(earlier.hist.as_ref().unwrap_or(&none))?),
            None => None,
        };
        Some(Self {
            n: fewer(self.n, earlier.n)?,
            k: fewer(self.k, earlier.k)?,
            sessions: fewer(self.sessions, earlier.sessions)?,
            hist,
            unfinished: self.unfinished.checked_sub(earlier.unfinished)?,
            aborted: self.aborted.checked_sub(earlier.aborted)?,
        })
    }
}

fn less(now: (u64, u64), then: Option<&(u64, u64)>) -> Option<(u64, u64)> {
    let then = then.copied().unwrap_or_default();
    Some((now.0.checked_sub(then.0)?, now.1.checked_sub(then.1)?))
}

/// Sums and counts have a difference; means with their errors are of one tick in themselves.
fn sample_since(now: &Sample, then: Option<&Sample>) -> Option<Sample> {
    let exposed = |now: (f64, u64), then: (f64, u64)| {
        let exposure = now.0 - then.0;
        (exposure >= 0.0).then_some((exposure, now.1.checked_sub(then.1)?))
    };
    let sums = |now: Moments, then: Moments| {
        Some(Moments {
            n: now.n.checked_sub(then.n)?,
            sum: now.sum - then.sum,
            sum_squares: Some(now.sum_squares - then.sum_squares).filter(|x| *x >= 0.0)?,
        })
    };
    match (*now, then.copied()) {
        (Sample::Share { baseline, canary }, Some(Sample::Share { baseline: b, canary: c })) => {
            Some(Sample::Share {
                baseline: less(baseline, Some(&b))?,
                canary: less(canary, Some(&c))?,
            })
        }
        (Sample::Count { baseline, canary }, Some(Sample::Count { baseline: b, canary: c })) => {
            Some(Sample::Count { baseline: exposed(baseline, b)?, canary: exposed(canary, c)? })
        }
        (Sample::Mean { baseline, canary }, Some(Sample::Mean { baseline: b, canary: c })) => {
            Some(Sample::Mean { baseline: sums(baseline, b)?, canary: sums(canary, c)? })
        }
        (now, _) => Some(now),
    }
}

fn count_of(arm: &str, key: &str, number: Number) -> Result<u64, Wrong> {
    number.count().ok_or_else(|| not_a_count(&format!("{arm}.{key}"), number))
}

fn count(what: &str, number: Number) -> Result<u64, Wrong> {
    number.count().ok_or_else(|| not_a_count(what, number))
}

fn not_a_count(what: &str, number: Number) -> Wrong {
    format!("{what} is {number}; a count is a whole number from 0")
}

/// Seconds since the start; before it for ticks from before the rollout.
pub fn time(number: Number, before: bool) -> Result<f64, Wrong> {
    let t = number.float();
    if t < 0.0 && !before {
        return Err(format!(
            "t is {t}; it is seconds since the start and only negative with before"
        ));
    }
    if t.abs() > 1e12 {
        return Err(format!("t is {t}; it is seconds since the start, not a date"));
    }
    Ok(t)
}

/// The length of a tick.
pub fn seconds(number: Number) -> Result<u32, Wrong> {
    let seconds = number.float();
    if (0.0..=LONGEST).contains(&seconds) {
        return Ok(seconds.round() as u32);
    }
    Err(format!("seconds is {seconds}; a tick lasts from 0 to {LONGEST}"))
}

/// The planned share of the canary.
pub fn weight(number: Number) -> Result<f64, Wrong> {
    let weight = number.float();
    if weight > 0.0 && weight < 1.0 {
        return Ok(weight);
    }
    let hint = if (1.0..100.0).contains(&weight) && weight > 1.0 {
        format!("write {} for {weight} %", weight / 100.0)
    } else {
        "leave it out where one arm gets no traffic".to_owned()
    };
    Err(format!("weight is {weight}; it is the canary's share, above 0 and below 1: {hint}"))
}

fn sample_of(name: &str, sample: SampleLine) -> Result<Sample, Wrong> {
    let shares = |Twos { stable, canary }: Twos| {
        Ok::<_, Wrong>(Sample::Share { baseline: both(name, stable)?, canary: both(name, canary)? })
    };
    let events = |Twos { stable, canary }: Twos| {
        let one =
            |(exposure, k): (Number, Number)| Ok::<_, Wrong>((exposure.float(), count(name, k)?));
        Ok::<_, Wrong>(Sample::Count { baseline: one(stable)?, canary: one(canary)? })
    };
    let floats = |(a, b): (Number, Number)| (a.float(), b.float());
    let sample = match sample {
        SampleLine::Share(twos) => shares(twos)?,
        SampleLine::Count(twos) => events(twos)?,
        SampleLine::Mean(Sums { stable, canary }) => {
            Sample::Mean { baseline: sums(name, stable)?, canary: sums(name, canary)? }
        }
        SampleLine::MeanError(Twos { stable, canary }) => {
            Sample::MeanError { baseline: floats(stable), canary: floats(canary) }
        }
    };
    if sample.is_possible() {
        return Ok(sample);
    }
    Err(format!(
        "the numbers of {name} contradict themselves: events are among the trials, exposures and \
         standard errors above 0, and sum^2 is at most n * sum_squares"
    ))
}

fn both(name: &str, (n, k): (Number, Number)) -> Result<(u64, u64), Wrong> {
    Ok((count(name, n)?, count(name, k)?))
}

fn sums(name: &str, of: SumsOf) -> Result<Moments, Wrong> {
    let (sum, sum_squares) = (of.sum.float(), of.sum_squares.float());
    Ok(Moments { n: count(name, of.n)?, sum, sum_squares })
}
