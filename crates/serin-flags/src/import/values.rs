//! Names for values that had none.

use crate::{FlagType, Variant, Variants};
use serde_json::Value;

/// The values of a flag: true is `on`, false is `off`, others are `v0`, `v1`... unless they have a
/// name.
#[derive(Debug, Default)]
pub(super) struct Values(Vec<Variant>);

impl Values {
    /// The name of a value, which is added if it is new. A flag's values are of one type.
    pub fn name(&mut self, value: &Value) -> Result<String, String> {
        if let Some(known) = self.0.iter().find(|variant| variant.value == *value) {
            return Ok(known.name.clone());
        }
        let name = match value {
            Value::Bool(true) => "on".to_owned(),
            Value::Bool(false) => "off".to_owned(),
            _ => format!("v{}", self.0.len()),
        };
        self.add(name, value)
    }

    /// The value of a name.
    pub fn value_of(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|variant| variant.name == name).map(|variant| &variant.value)
    }

    /// A value with its own name, or a name of ours where that is taken or empty.
    pub fn add(&mut self, name: String, value: &Value) -> Result<String, String> {
        let kind = FlagType::of(value).ok_or("one of its values is null")?;
        let first = self.0.first().and_then(|first| FlagType::of(&first.value));
        if first.is_some_and(|first| first != kind) {
            return Err("its values are of different types".to_owned());
        }
        let taken = name.trim().is_empty() || self.0.iter().any(|variant| variant.name == name);
        let name = if taken { format!("v{}", self.0.len()) } else { name };
        self.0.push(Variant { name: name.clone(), value: value.clone() });
        Ok(name)
    }

    /// The variants, and the one to serve when the flag is switched off: false, or `fallback`.
    pub fn finish(self, fallback: &str) -> (Variants, String) {
        let off = self.0.iter().find(|variant| variant.value == Value::Bool(false));
        let off = off.map_or_else(|| fallback.to_owned(), |variant| variant.name.clone());
        (Variants(self.0), off)
    }
}
