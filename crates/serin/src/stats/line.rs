//! One line of the input as it is written, before it is checked.

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serin_stats::{Histogram, Judge, JudgeSettings, MAX_BUCKET, Outcome};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A header, a tick or a trailer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line<'a> {
    /// Which of the runs in the stream.
    #[serde(borrow, default)]
    pub run: RunName<'a>,
    /// Seconds since the start, at the end of the tick.
    pub t: Option<Number>,
    /// Length of the tick.
    pub seconds: Option<Number>,
    #[serde(alias = "baseline")]
    pub stable: Option<ArmLine>,
    #[serde(alias = "candidate")]
    pub canary: Option<ArmLine>,
    /// From before the rollout: both groups of users had stable.
    #[serde(default)]
    pub before: bool,
    /// The canary had all requests.
    #[serde(default)]
    pub alone: bool,
    /// Planned share of the canary, for the sample-ratio guard.
    pub weight: Option<Number>,
    /// What was dealt, where it is more than what is judged.
    pub dealt: Option<Pair>,
    /// Stable's (n, k) by part of the users.
    #[serde(default)]
    pub split: Vec<(Number, Number)>,
    /// The canary's.
    #[serde(default)]
    pub canary_split: Vec<(Number, Number)>,
    /// (n, k) of each of stable's instances.
    #[serde(default)]
    pub replicas: BTreeMap<String, (Number, Number)>,
    /// Metrics of the user's own.
    #[serde(default)]
    pub samples: BTreeMap<String, SampleLine>,
    /// Of a header: what the judge guarantees.
    pub settings: Option<Box<JudgeSettings>>,
    /// Of a header: rungs of the ladder, for the reader.
    #[serde(rename = "rungs")]
    pub _rungs: Option<u32>,
    /// Of a header: where the judge begins, when evidence of an earlier try counts.
    pub judge: Option<Box<Judge>>,
    /// The rung that was asked for at this tick: j of m.
    pub rung: Option<(u32, u32)>,
    /// Instead of a tick: a person looked at a tripped guard.
    #[serde(default)]
    pub cleared: bool,
    /// Of a trailer: the verdict on record.
    pub recorded: Option<Box<Recorded>>,
}

/// The verdict on record. What else stands there is for other readers.
#[derive(Debug, Clone, Deserialize)]
pub struct Recorded {
    pub verdict: Option<Outcome>,
    /// `ln` of the e-value of FAIL.
    pub evidence: Option<f64>,
    /// Whether everything the judge was given is in the stream.
    #[serde(default = "yes")]
    pub complete: bool,
}

fn yes() -> bool {
    true
}

/// One arm of a tick.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmLine {
    /// Requests.
    pub n: Option<Number>,
    /// Failed units.
    pub k: Option<Number>,
    /// Users that were there, each once a window: then these are the units.
    pub sessions: Option<Number>,
    /// Latency of the units that did not fail.
    pub hist: Option<Hist>,
    pub unfinished: Option<Number>,
    pub aborted: Option<Number>,
}

/// A number of each arm.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    #[serde(alias = "baseline")]
    pub stable: Number,
    #[serde(alias = "candidate")]
    pub canary: Number,
}

/// Two numbers of each arm.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twos {
    #[serde(alias = "baseline")]
    pub stable: (Number, Number),
    #[serde(alias = "candidate")]
    pub canary: (Number, Number),
}

/// Sums of each arm.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    #[serde(alias = "baseline")]
    pub stable: SumsOf,
    #[serde(alias = "candidate")]
    pub canary: SumsOf,
}

/// Sums of one arm.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumsOf {
    pub n: Number,
    pub sum: Number,
    pub sum_squares: Number,
}

/// Numbers of a metric of the user's own.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleLine {
    /// (trials, events).
    Share(Twos),
    /// (exposure, events).
    Count(Twos),
    /// Sums of a number.
    Mean(Sums),
    /// (mean, standard error).
    MeanError(Twos),
}

/// Name of a run: text, or a number taken as text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RunName<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for RunName<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RunVisitor)
    }
}

struct RunVisitor;

impl<'de> Visitor<'de> for RunVisitor {
    type Value = RunName<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a run")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(RunName(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(RunName(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(RunName(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(RunName(Cow::Owned(number.to_string())))
    }
}

/// A number of JSON. Whether it can be what it stands for is decided where its name is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// A whole one, not negative.
    Whole(u64),
    /// Any other.
    Other(f64),
}

/// Up to here every whole number is a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Number {
    /// Its value, nearly.
    pub fn float(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Other(x) => x,
        }
    }

    /// Its value as a count.
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Whole(n) => Some(n),
            Self::Other(x) => ((0.0..=EXACT).contains(&x) && x.fract() == 0.0).then_some(x as u64),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(n) => n.fmt(f),
            Self::Other(x) => x.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, n: u64) -> Result<Number, E> {
        Ok(Number::Whole(n))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Number, E> {
        Ok(Number::Other(n as f64))
    }

    fn visit_f64<E>(self, x: f64) -> Result<Number, E> {
        Ok(Number::Other(x))
    }
}

/// A histogram, as `{"bucket": count}` or `[[bucket, count], ...]`.
#[derive(Debug, Default, Clone)]
pub struct Hist(pub Histogram);

impl<'de> Deserialize<'de> for Hist {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HistVisitor)
    }
}

struct HistVisitor;

impl<'de> Visitor<'de> for HistVisitor {
    type Value = Hist;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counts by bucket: {\"bucket\": count, ...}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Hist, A::Error> {
        let mut entries = Vec::with_capacity(64);
        while let Some(Bucket(bucket)) = map.next_key()? {
            entries.push(entry(bucket, map.next_value()?)?);
        }
        Ok(Hist(entries.into_iter().collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Hist, A::Error> {
        let mut entries = Vec::with_capacity(64);
        while let Some((bucket, count)) = list.next_element::<(Number, Number)>()? {
            let bucket = bucket.count().and_then(|b| u16::try_from(b).ok());
            let bucket = bucket.filter(|b| *b <= MAX_BUCKET).ok_or_else(no_bucket)?;
            entries.push(entry(bucket, count)?);
        }
        Ok(Hist(entries.into_iter().collect()))
    }
}

fn entry<E: de::Error>(bucket: u16, count: Number) -> Result<(u16, u64), E> {
    let wrong =
        || E::custom(format!("bucket {bucket} has {count}; a count is a whole number from 0"));
    count.count().map(|count| (bucket, count)).ok_or_else(wrong)
}

fn no_bucket<E: de::Error>() -> E {
    E::custom(format!(
        "buckets are 0 to {MAX_BUCKET}: floor(32 * log2(microseconds)), 640 is 1.05 s"
    ))
}

/// The key of a bucket.
struct Bucket(u16);

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(BucketVisitor)
    }
}

struct BucketVisitor;

impl Visitor<'_> for BucketVisitor {
    type Value = Bucket;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a bucket from 0 to {MAX_BUCKET}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bucket, E> {
        let bucket = text.parse().ok().filter(|b| *b <= MAX_BUCKET);
        bucket.map(Bucket).ok_or_else(no_bucket)
    }
}
