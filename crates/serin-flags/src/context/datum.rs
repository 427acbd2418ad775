//! A value in a context.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::{borrow::Cow, fmt};

/// How deep lists and objects may lie in each other.
const DEPTH_MAX: usize = 100;

/// A value of an attribute: JSON, with text borrowed where that is possible.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum<'a> {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fraction, or a whole number outside the range of 64 bits.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Several values.
    List(Vec<Datum<'a>>),
    /// Values by name, ordered by name, each name once.
    Map(Vec<(Cow<'a, str>, Datum<'a>)>),
}

impl<'a> Datum<'a> {
    /// The same value borrowed from a JSON value; `None` if it is nested too deep.
    pub fn from_value(value: &'a Value) -> Option<Self> {
        Self::within(value, DEPTH_MAX)
    }

    fn within(value: &'a Value, depth: usize) -> Option<Self> {
        let inner = depth.checked_sub(1)?;
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::from_number(number),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => {
                Self::List(items.iter().map(|v| Self::within(v, inner)).collect::<Option<_>>()?)
            }
            Value::Object(entries) => {
                let entries = entries
                    .iter()
                    .map(|(name, v)| Some((Cow::Borrowed(name.as_str()), Self::within(v, inner)?)));
                Self::map(entries.collect::<Option<_>>()?)
            }
        })
    }

    fn from_number(number: &serde_json::Number) -> Self {
        match number.as_i64() {
            Some(whole) => Self::Int(whole),
            None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    /// A map of entries in any order; the last value of a name holds.
    pub fn map(mut entries: Vec<(Cow<'a, str>, Datum<'a>)>) -> Self {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        // The sort is stable, so the last of equals is the one that came last.
        entries.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self::Map(entries)
    }

    /// The same value, with all of its text its own.
    pub fn into_owned(self) -> Datum<'static> {
        let own = |text: Cow<str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Datum::Null,
            Self::Bool(flag) => Datum::Bool(flag),
            Self::Int(whole) => Datum::Int(whole),
            Self::Float(fraction) => Datum::Float(fraction),
            Self::Text(text) => Datum::Text(own(text)),
            Self::List(items) => Datum::List(items.into_iter().map(Self::into_owned).collect()),
            Self::Map(entries) => {
                let entries = entries.into_iter();
                Datum::Map(entries.map(|(name, value)| (own(name), value.into_owned())).collect())
            }
        }
    }

    /// The value of a name inside a map.
    pub fn field(&self, name: &str) -> Option<&Datum<'a>> {
        let Self::Map(entries) = self else { return None };
        let at = entries.binary_search_by(|(other, _)| other.as_ref().cmp(name)).ok()?;
        Some(&entries[at].1)
    }
}

impl From<bool> for Datum<'_> {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Datum<'_> {
    fn from(whole: i64) -> Self {
        Self::Int(whole)
    }
}

impl From<f64> for Datum<'_> {
    fn from(fraction: f64) -> Self {
        Self::Float(fraction)
    }
}

impl<'a> From<&'a str> for Datum<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Datum<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Datum<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl<'de> Deserialize<'de> for Datum<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Datum<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Datum::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Datum::Bool(flag))
    }

    fn visit_i64<E>(self, whole: i64) -> Result<Self::Value, E> {
        Ok(Datum::Int(whole))
    }

    fn visit_u64<E>(self, whole: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(whole).map_or(Datum::Float(whole as f64), Datum::Int))
    }

    fn visit_f64<E>(self, fraction: f64) -> Result<Self::Value, E> {
        Ok(Datum::Float(fraction))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Datum::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Datum::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Datum::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Datum::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        EntriesReader.visit_map(entries).map(Datum::map)
    }
}

/// The entries of an object as they come: the same name may be there twice.
pub(super) struct Entries<'a>(pub Vec<(Cow<'a, str>, Datum<'a>)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesReader).map(Self)
    }
}

struct EntriesReader;

impl<'de> Visitor<'de> for EntriesReader {
    type Value = Vec<(Cow<'de, str>, Datum<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Vec::with_capacity(USUAL_ENTRIES);
        while let Some((Text(name), datum)) = entries.next_entry()? {
            map.push((name, datum));
        }
        Ok(map)
    }
}

/// Room for the attributes of a usual context.
const USUAL_ENTRIES: usize = 8;

/// A name that is borrowed unless it holds escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Reader)? {
            Datum::Text(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a name is text")),
        }
    }
}
