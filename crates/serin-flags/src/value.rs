//! Values that a flag can have, and the metadata beside them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// One type for all variants of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlagType {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// Whole numbers and fractions alike: flagd has one numeric type.
    Number,
    /// An object or a list.
    Object,
}

impl FlagType {
    /// The type of a value; `null` has none.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Boolean),
            Value::String(_) => Some(Self::String),
            Value::Number(_) => Some(Self::Number),
            Value::Object(_) | Value::Array(_) => Some(Self::Object),
        }
    }

    /// Its word in protocols: `boolean`, `string`, `number`, `object`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Number => "number",
            Self::Object => "object",
        }
    }
}

impl fmt::Display for FlagType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A variant's value, with its JSON text ready to send.
///
/// A whole number and a fraction stay apart: `7` is sent as `7` and `7.0` as `7.0`, because typed
/// clients refuse the other.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagValue {
    value: Value,
    json: Box<str>,
}

impl FlagValue {
    /// Keeps a value and its text.
    pub fn new(value: Value) -> Self {
        let json = value.to_string().into_boxed_str();
        Self { value, json }
    }

    /// The value as JSON.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value as JSON text.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The value if it is true or false.
    pub fn as_bool(&self) -> Option<bool> {
        self.value.as_bool()
    }

    /// The value if it is text.
    pub fn as_str(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// The value as a whole number, also from a fraction such as `7.0` if nothing is lost.
    pub fn as_i64(&self) -> Option<i64> {
        let Value::Number(number) = &self.value else { return None };
        number.as_i64().or_else(|| number.as_f64().and_then(whole))
    }

    /// The value as a fraction, also from a whole number of at most 2^53 - 1.
    pub fn as_f64(&self) -> Option<f64> {
        let Value::Number(number) = &self.value else { return None };
        if number.is_f64() {
            return number.as_f64();
        }
        number.as_i64().filter(|whole| whole.unsigned_abs() <= EXACT_MAX).map(|whole| whole as f64)
    }

    /// The value if it is an object or a list.
    pub fn as_object(&self) -> Option<&Value> {
        (FlagType::of(&self.value) == Some(FlagType::Object)).then_some(&self.value)
    }
}

/// The largest whole number up to which a double holds every whole number.
const EXACT_MAX: u64 = (1 << 53) - 1;

fn whole(fraction: f64) -> Option<i64> {
    (fraction.fract() == 0.0 && fraction.abs() <= EXACT_MAX as f64).then_some(fraction as i64)
}

/// A value of metadata: flagd allows nothing nested there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number, whole or not.
    Number(serde_json::Number),
    /// Text.
    Text(String),
}

impl Scalar {
    /// The scalar in a JSON value, if it is one.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Number(number) => Some(Self::Number(number.clone())),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bool(_) | Self::Number(_) => None,
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What is said about a flag or a set beside its value.
pub type Metadata = BTreeMap<String, Scalar>;
