//! Which part of all users somebody is in.

use crate::{
    hash::{Length, Murmur3, Sink, Text, bucket_of, cbor, md5_head},
    rule::val::{Frame, Made, TooMuch, Val},
};
use serde_json::Value;
use std::borrow::Cow;

/// Parts that a whole has, in Serin's own operators: 0.001 % is one.
pub(crate) const WHOLE: u32 = 100_000;

/// The largest sum of weights that flagd allows.
const SUM_MAX: u64 = i32::MAX as u64;

/// The seed with which Unleash spreads variants, so that they do not follow the percentage.
const UNLEASH_VARIANT_SEED: u32 = 86_028_157;

/// How users are put into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    V2,
    V3,
    Md5,
    Unleash,
    UnleashVariant,
}

impl Method {
    /// The method of a name in a rule, which is also its name for people.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::V2, Self::V3, Self::Md5, Self::Unleash, Self::UnleashVariant];
        all.into_iter().find(|method| method.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::Md5 => "md5-100",
            Self::Unleash => "unleash",
            Self::UnleashVariant => "unleash-variant",
        }
    }

    /// The bucket of a unit, in 0..100 000. The salt ends with a colon.
    pub fn bucket(self, salt: &str, unit: &str) -> u32 {
        let murmur = |seed| {
            let mut murmur = Murmur3::new(seed);
            if self == Self::V3 {
                cbor::text_head(salt.len() + unit.len(), &mut murmur);
            }
            murmur.put(salt.as_bytes());
            murmur.put(unit.as_bytes());
            murmur.finish()
        };
        match self {
            Self::V2 | Self::V3 => bucket_of(murmur(0), WHOLE),
            Self::Md5 => md5_head(&[salt.as_bytes(), unit.as_bytes()]) % 100 * 1_000,
            Self::Unleash => murmur(0) % 100 * 1_000,
            Self::UnleashVariant => murmur(UNLEASH_VARIANT_SEED) % 1_000 * 100,
        }
    }
}

/// What is hashed, of the values on the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// No value: the flag's key and the targeting key.
    Implicit,
    /// One value as it is.
    Value,
    /// The text of so many values, one after the other.
    Cat(u16),
    /// A salt with its colon, and the text of one value.
    Salted(Box<str>),
}

impl Key {
    /// How many values it takes from the stack.
    pub fn values(&self) -> usize {
        match self {
            Self::Implicit => 0,
            Self::Value | Self::Salted(_) => 1,
            Self::Cat(count) => usize::from(*count),
        }
    }
}

/// How much each part weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Weights {
    /// Where each part ends, and the sum.
    Literal { ends: Box<[u32]>, total: u32 },
    /// So many values on the stack, over the key.
    Dynamic(usize),
}

impl Weights {
    /// `None` if the sum is 0 or too large.
    pub fn literal(weights: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut sum = 0;
        let ends = weights.into_iter().map(|weight| {
            sum += u64::from(weight);
            sum.min(SUM_MAX + 1) as u32
        });
        let ends: Box<[u32]> = ends.collect();
        (1..=SUM_MAX).contains(&sum).then_some(Self::Literal { ends, total: sum as u32 })
    }
}

/// A weight as it is written: a whole number; less than nothing is nothing. `None` if it is none.
pub(crate) fn literal_weight(weight: &Value) -> Option<u32> {
    let Value::Number(number) = weight else { return None };
    number.as_i64().map_or_else(|| fraction_weight(number.as_f64()?), int_weight)
}

fn int_weight(weight: i64) -> Option<u32> {
    u32::try_from(weight.max(0)).ok().filter(|weight| u64::from(*weight) <= SUM_MAX)
}

fn fraction_weight(weight: f64) -> Option<u32> {
    let whole = weight.fract() == 0.0 && weight <= SUM_MAX as f64;
    whole.then_some(weight.max(0.0) as u32)
}

fn weight_of(value: Val<'_>) -> Option<u32> {
    match value {
        Val::Int(weight) => int_weight(weight),
        Val::Float(weight) => fraction_weight(weight),
        _ => None,
    }
}

/// The sum of weights, if all are weights and flagd allows the sum.
fn total_of(weights: &[Val<'_>]) -> Option<u32> {
    let add = |sum: u64, weight: &Val<'_>| Some(sum + u64::from(weight_of(*weight)?));
    let sum = weights.iter().try_fold(0, add)?;
    (1..=SUM_MAX).contains(&sum).then_some(sum as u32)
}

/// All users in parts.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    pub method: Method,
    pub key: Key,
    pub weights: Weights,
    /// Where the code of each part begins.
    pub targets: Vec<u32>,
    /// Where it goes on after all of them.
    pub end: u32,
}

/// What came out of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub bucket: u32,
    pub total: u32,
    /// The part, if one holds this bucket.
    pub part: Option<usize>,
}

impl Split {
    pub fn new(method: Method, key: Key, weights: Weights) -> Self {
        Self { method, key, weights, targets: Vec::new(), end: 0 }
    }

    /// How many values it takes from the stack.
    pub fn values(&self) -> usize {
        let weights = match self.weights {
            Weights::Literal { .. } => 0,
            Weights::Dynamic(count) => count,
        };
        self.key.values() + weights
    }

    /// Finds the part of who is described by `values`. `None` if nobody is, or a weight is none.
    pub fn draw<'v>(
        &self,
        values: &[Val<'v>],
        frame: &Frame<'v>,
        made: &Made<'v>,
    ) -> Option<Drawn> {
        let (key, weights) = values.split_at(self.key.values());
        match &self.weights {
            Weights::Literal { ends, total } => {
                let bucket = self.bucket(key, *total, frame, made)?;
                let part = ends.partition_point(|end| *end <= bucket);
                let part = (part < ends.len()).then_some(part);
                Some(Drawn { bucket, total: *total, part })
            }
            Weights::Dynamic(_) => {
                let total = total_of(weights)?;
                let bucket = self.bucket(key, total, frame, made)?;
                let mut end = 0;
                let part = weights.iter().position(|weight| {
                    end += weight_of(*weight).unwrap_or(0);
                    bucket < end
                });
                Some(Drawn { bucket, total, part })
            }
        }
    }

    fn bucket<'v>(
        &self,
        key: &[Val<'v>],
        total: u32,
        frame: &Frame<'v>,
        made: &Made<'v>,
    ) -> Option<u32> {
        match (&self.key, key) {
            (Key::Salted(salt), [unit]) => Some(self.method.bucket(salt, &unit_text(*unit, made)?)),
            _ => Some(bucket_of(self.hash(key, frame, made)?, total)),
        }
    }

    fn hash<'v>(&self, key: &[Val<'v>], frame: &Frame<'v>, made: &Made<'v>) -> Option<u32> {
        let mut murmur = Murmur3::new(0);
        match (&self.key, key) {
            (Key::Value, [value]) => match self.method {
                Method::V3 => cbor_value(*value, made, &mut murmur)?,
                _ => match made.text(*value) {
                    Some(text) => murmur.put(text.as_bytes()),
                    None if matches!(value, Val::Null) => self.implicit(frame, &mut murmur)?,
                    None => return None,
                },
            },
            (Key::Cat(_), pieces) => self.cat(pieces, made, &mut murmur).ok()?,
            _ => self.implicit(frame, &mut murmur)?,
        }
        Some(murmur.finish())
    }

    fn cat<'v>(
        &self,
        pieces: &[Val<'v>],
        made: &Made<'v>,
        murmur: &mut Murmur3,
    ) -> Result<(), TooMuch> {
        if self.method == Method::V3 {
            let mut length = Length::default();
            for piece in pieces {
                match made.text(*piece) {
                    Some(text) => length.0 += text.len(),
                    None => made.write(*piece, &mut length)?,
                }
            }
            cbor::text_head(length.0, murmur);
        }
        for piece in pieces {
            match made.text(*piece) {
                Some(text) => murmur.put(text.as_bytes()),
                None => made.write(*piece, &mut Text(murmur))?,
            }
        }
        Ok(())
    }

    fn implicit(&self, frame: &Frame<'_>, murmur: &mut Murmur3) -> Option<()> {
        let user = frame.context.targeting_key()?;
        if self.method == Method::V3 {
            cbor::list_head(2, murmur);
            cbor::text(frame.flag_key, murmur);
            cbor::text(user, murmur);
        } else {
            murmur.put(frame.flag_key.as_bytes());
            murmur.put(user.as_bytes());
        }
        Some(())
    }
}

/// Everything but null and lists can be hashed in version 3.
fn cbor_value<'v>(value: Val<'v>, made: &Made<'v>, murmur: &mut Murmur3) -> Option<()> {
    match value {
        Val::Bool(flag) => cbor::bool(flag, murmur),
        Val::Int(number) => cbor::int(number, murmur),
        Val::Float(number) => cbor::float(number, murmur),
        Val::Datum(map @ crate::Datum::Map(_)) => cbor::datum(map, murmur),
        _ => cbor::text(made.text(value)?, murmur),
    }
    Some(())
}

/// The text by which someone is told from others; `None` for nobody.
pub(crate) fn unit_text<'t>(unit: Val<'t>, made: &'t Made<'t>) -> Option<Cow<'t, str>> {
    match unit {
        Val::Bool(_) | Val::Int(_) | Val::Float(_) => made.written(unit).ok(),
        _ => made.text(unit).filter(|text| !text.is_empty()).map(Cow::Borrowed),
    }
}
