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
/// its frontend API serves it.
///
/// # Errors
/// Everything that is wrong with the set.
pub fn unleash(definition: &SetDefinition) -> Result<Value, Vec<Problem>> {
    unleash::features(definition).map(|exported| exported.document)
}
