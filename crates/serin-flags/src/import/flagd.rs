//! Files of flagd. Their rules are kept word for word.

use super::{Imported, json};
use crate::{
    Bucketing, Definition, FlagSet, Kind, Metadata, Problem, Scalar, SetDefinition, State, Variant,
    Variants,
    rule::{Evaluators, TooLarge},
};
use serde_json::{Map, Value};

/// Nodes that one rule may have after its references are replaced.
const NODES: usize = 100_000;

/// Takes over a flagd document (schema 0.2.15) whose clients hash with `bucketing`. A document that
/// cannot be evaluated is refused whole. `$ref`s are replaced by what they refer to.
pub fn flagd(text: &[u8], name: &str, bucketing: Bucketing) -> Result<Imported, Vec<Problem>> {
    FlagSet::parse(text, bucketing)?;
    let document = json(text)?;
    let set = SetDefinition { bucketing, ..SetDefinition::new(name) };
    let mut imported = Imported { set, notes: Vec::new() };
    imported.set.metadata = metadata(&document["metadata"]);
    if imported.set.metadata.get("flagSetId").and_then(Scalar::as_str) == Some(name) {
        imported.set.metadata.remove("flagSetId");
    }
    let mut evaluators = Evaluators::new(document["$evaluators"].as_object(), NODES);
    for (key, flag) in flags(&document["flags"]) {
        let mut notes = Vec::new();
        let taken = definition(flag, &mut evaluators, &mut notes);
        imported.take(key, taken, notes);
    }
    imported.settled()
}

fn flags(flags: &Value) -> Vec<(&str, &Value)> {
    match flags {
        Value::Object(flags) => flags.iter().map(|(key, flag)| (key.as_str(), flag)).collect(),
        Value::Array(flags) => {
            flags.iter().filter_map(|flag| Some((flag["key"].as_str()?, flag))).collect()
        }
        _ => Vec::new(),
    }
}

fn definition(
    flag: &Value,
    evaluators: &mut Evaluators<'_>,
    notes: &mut Vec<String>,
) -> Result<Definition, String> {
    let variants: Vec<Variant> = flag["variants"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| Variant { name: name.clone(), value: value.clone() })
        .collect();
    let default = flag["defaultVariant"].as_str().filter(|name| !name.is_empty());
    let off_variant = off_variant(&variants, default, notes)?;
    let mut metadata = metadata(&flag["metadata"]);
    let kind =
        take(&mut metadata, "type").and_then(|kind| serde_json::from_value(kind.into()).ok());
    let owner = take(&mut metadata, "owner").unwrap_or_default();
    if metadata.contains_key("expiresAt") {
        notes.push("`expiresAt` is kept as metadata; the rules decide when it ends".to_owned());
    }
    let raw = match &flag["targeting"] {
        Value::Null => None,
        Value::Object(rule) if rule.is_empty() => None,
        Value::Object(_) => Some(replaced(&flag["targeting"], evaluators)?),
        _ => return Err("its targeting is no rule".to_owned()),
    };
    let disabled = flag["state"] == "DISABLED";
    Ok(Definition {
        variants: Variants(variants),
        state: if disabled { State::Disabled } else { State::On },
        default_variant: default.map(str::to_owned),
        off_variant,
        metadata,
        raw,
        ..Definition::boolean(kind.unwrap_or(Kind::Release), &owner)
    })
}

fn replaced(rule: &Value, evaluators: &mut Evaluators<'_>) -> Result<Value, String> {
    let rule = evaluators.replace(rule).map_err(|error| match error {
        TooLarge::Nodes | TooLarge::Depth => "its rule is too large".to_owned(),
        TooLarge::Cycle(names) => format!("its references go in a circle: {}", names.join(", ")),
    })?;
    Ok(rule.into_owned())
}

/// flagd has no off variant; a kill switch needs one.
fn off_variant(
    variants: &[Variant],
    default: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<String, String> {
    let off = variants.iter().find(|one| one.value == Value::Bool(false) || one.name == "off");
    if let Some(off) = off {
        return Ok(off.name.clone());
    }
    let first = variants.first().ok_or("it has no variants")?;
    let guess = default.unwrap_or(&first.name).to_owned();
    notes.push(format!("has no variant that is off; a kill serves {guess:?}"));
    Ok(guess)
}

fn take(metadata: &mut Metadata, key: &str) -> Option<String> {
    let text = metadata.get(key)?.as_str()?.to_owned();
    metadata.remove(key);
    Some(text)
}

fn metadata(value: &Value) -> Metadata {
    let entries = value.as_object().into_iter().flat_map(Map::iter);
    entries.filter_map(|(key, value)| Some((key.clone(), Scalar::from_json(value)?))).collect()
}
