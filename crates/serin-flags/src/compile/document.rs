//! The frame around the rules.

use super::is_forced_off;
use crate::{Definition, Kind, Metadata, Scalar, SetDefinition, State};
use serde_json::{Map, Value, json};

const SCHEMA: &str = "https://flagd.dev/schema/v0/flags.json";

pub(super) fn whole(set: &SetDefinition, flags: Map<String, Value>) -> Value {
    let mut document = json!({ "$schema": SCHEMA, "metadata": about_set(set) });
    document["flags"] = Value::Object(flags);
    document
}

/// A set's metadata.
pub(crate) fn about_set(set: &SetDefinition) -> Value {
    let mut metadata = metadata(&set.metadata);
    metadata.entry("flagSetId").or_insert_with(|| set.name.clone().into());
    Value::Object(metadata)
}

pub(super) fn flag(definition: &Definition, targeting: Value) -> Value {
    let forced = is_forced_off(definition);
    let default =
        if forced { Some(&definition.off_variant) } else { definition.default_variant.as_ref() };
    // A rule must be an object: clients refuse a bare name. What is decided needs no rule at all.
    let (default, targeting) = match targeting {
        Value::String(decided) => (Some(decided), Value::Null),
        rule => (default.cloned(), rule),
    };
    let disabled = definition.state == State::Disabled && definition.killed.is_none();
    let variants = definition.variants.0.iter();
    let variants: Map<String, Value> =
        variants.map(|variant| (variant.name.clone(), variant.value.clone())).collect();
    let mut flag = json!({
        "state": if disabled { "DISABLED" } else { "ENABLED" },
        "variants": variants,
        "defaultVariant": default,
        "metadata": about(definition),
    });
    if !targeting.is_null() {
        flag["targeting"] = targeting;
    }
    flag
}

/// A flag's metadata: what people wrote, and what is known of it.
fn about(definition: &Definition) -> Map<String, Value> {
    let mut metadata = metadata(&definition.metadata);
    metadata.insert("type".to_owned(), kind(definition.kind).into());
    if !definition.owner.is_empty() {
        metadata.insert("owner".to_owned(), definition.owner.clone().into());
    }
    if let Some(end) = definition.expires_at {
        metadata.insert("expiresAt".to_owned(), end.to_string().into());
    }
    metadata
}

fn metadata(metadata: &Metadata) -> Map<String, Value> {
    metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect()
}

impl From<Scalar> for Value {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool(value) => Self::Bool(value),
            Scalar::Number(value) => Self::Number(value),
            Scalar::Text(value) => Self::String(value),
        }
    }
}

/// The word for a kind.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Release => "release",
        Kind::Experiment => "experiment",
        Kind::Ops => "ops",
        Kind::KillSwitch => "kill-switch",
        Kind::Permission => "permission",
    }
}
