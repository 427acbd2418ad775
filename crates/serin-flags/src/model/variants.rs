//! The values a flag can have.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One value with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variant {
    /// The name that rules use.
    pub name: String,
    /// The value that the app gets.
    pub value: Value,
}

/// A flag's values in order, all of one JSON type. JSON: a list of `{"name", "value"}`; an object
/// of name to value is read too (then in the order of the names).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Variants(pub Vec<Variant>);

impl Variants {
    /// `on` = true, `off` = false.
    pub fn boolean() -> Self {
        let variant = |name: &str, value| Variant { name: name.to_owned(), value };
        Self(vec![variant("on", Value::Bool(true)), variant("off", Value::Bool(false))])
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|variant| variant.name == name).map(|variant| &variant.value)
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|variant| variant.name.as_str())
    }
}

impl<'de> Deserialize<'de> for Variants {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            List(Vec<Variant>),
            Map(BTreeMap<String, Value>),
        }
        let pair = |(name, value)| Variant { name, value };
        Ok(match Written::deserialize(from)? {
            Written::List(list) => Self(list),
            Written::Map(map) => Self(map.into_iter().map(pair).collect()),
        })
    }
}
