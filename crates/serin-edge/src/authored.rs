//! What people wrote, as the documents that are made of it.

use serde_json::Value;
use serin_flags::{Form, Problem, SetDefinition, compile, unleash};

/// The document that Serin evaluates.
///
/// # Errors
/// Everything that is wrong with the set.
pub fn server(definition: &SetDefinition) -> Result<Value, Vec<Problem>> {
    compile(definition, Form::Server).map(|compiled| compiled.document)
}

/// The document that clients of flagd evaluate, without what only Serin can.
///
/// # Errors
/// Everything that is wrong with the set.
pub fn portable(definition: &SetDefinition) -> Result<Value, Vec<Problem>> {
    compile(definition, Form::Portable).map(|compiled| compiled.document)
}

/// The features that clients of Unleash evaluate; what Unleash cannot express is not among them, but
/// its frontend API serves it. A set that is served has no problems.
pub fn unleash(definition: &SetDefinition) -> Value {
    let exported = unleash::features(definition).map(|exported| exported.document);
    exported.unwrap_or_else(|_| serde_json::json!({"features": [], "segments": []}))
}
