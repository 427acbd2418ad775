//! Both paths of a flag, for tests: what to set so that code takes one path or the other.

use crate::{Definition, FlagKey, compile::is_boolean};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One path through the code that asks for a flag.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Path {
    /// `flag_enabled` and `flag_disabled` for a boolean flag, else `flag_` and the variant.
    pub name: String,
    /// The flag.
    pub flag: FlagKey,
    /// The variant.
    pub variant: String,
    /// What the app gets.
    pub value: Value,
    /// The variable to set, and its value: the variant's value as JSON, text without quotes.
    pub environment: (String, String),
    /// What OpenFeature's in-memory provider takes: `{key: {variants, defaultVariant, disabled}}`.
    pub in_memory: Value,
}

/// All paths of a flag, one for each variant.
pub fn paths(key: &FlagKey, definition: &Definition) -> Vec<Path> {
    let variants: Map<String, Value> =
        definition.variants.0.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
    let path = |name: &str, value: &Value| Path {
        name: path_name(definition, name, value),
        flag: key.clone(),
        variant: name.to_owned(),
        value: value.clone(),
        environment: (variable(key), text(value)),
        in_memory: json!({ key.as_str(): {
            "variants": variants, "defaultVariant": name, "disabled": false,
        } }),
    };
    definition.variants.0.iter().map(|one| path(&one.name, &one.value)).collect()
}

fn path_name(definition: &Definition, name: &str, value: &Value) -> String {
    match value {
        Value::Bool(true) if is_boolean(definition) => "flag_enabled".to_owned(),
        Value::Bool(false) if is_boolean(definition) => "flag_disabled".to_owned(),
        _ => format!("flag_{name}"),
    }
}

/// The name of a flag's environment variable: `FLAG_` and its key in capitals, with `_` for all
/// other characters.
pub fn variable(key: &FlagKey) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "FLAG_".chars().chain(key.as_str().chars().map(letter)).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::paths;
    use crate::{Definition, Kind, Variant, Variants};
    use serde_json::json;

    #[test]
    fn a_boolean_flag_has_two_paths() {
        let flag = Definition::boolean(Kind::Release, "payments");
        let paths = paths(&"new-checkout".parse().unwrap(), &flag);
        let short: Vec<_> = paths
            .iter()
            .map(|path| {
                (path.name.as_str(), path.environment.0.as_str(), path.environment.1.as_str())
            })
            .collect();
        let expected = [
            ("flag_enabled", "FLAG_NEW_CHECKOUT", "true"),
            ("flag_disabled", "FLAG_NEW_CHECKOUT", "false"),
        ];
        assert_eq!(short, expected);
        let memory = json!({ "new-checkout": {
            "variants": { "on": true, "off": false }, "defaultVariant": "off", "disabled": false,
        } });
        assert_eq!(paths[1].in_memory, memory);
    }

    #[test]
    fn every_variant_is_a_path() {
        let variant = |name: &str, value| Variant { name: name.to_owned(), value };
        let variants =
            Variants(vec![variant("red", json!("#f00")), variant("blue", json!("#00f"))]);
        let flag = Definition { variants, ..Definition::boolean(Kind::Experiment, "shop") };
        let paths = paths(&"colour".parse().unwrap(), &flag);
        let found: Vec<_> =
            paths.iter().map(|path| (path.name.as_str(), &*path.environment.1)).collect();
        assert_eq!(found, [("flag_red", "#f00"), ("flag_blue", "#00f")]);
    }
}
