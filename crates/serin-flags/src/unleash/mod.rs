//! What clients of Unleash evaluate themselves: features with strategies and constraints.
//!
//! Unleash joins its strategies by OR, Serin's first rule that fits decides. So conditions are
//! written as alternatives of constraints joined by AND, and whoever an earlier rule has decided
//! about is taken out of the later ones.

mod condition;
mod constraint;
mod feature;

use crate::{FlagKey, LeftOut, Problem, SetDefinition, check::validate_served};
use serde_json::{Value, json};

/// A set for clients of Unleash.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// `{"version", "features", "segments"}` as the client API sends it. Segments are inlined.
    pub document: Value,
    /// Flags that Unleash's strategies cannot express. Its frontend API can still serve them.
    pub left_out: Vec<LeftOut>,
    /// Flags that are kept, with what differs.
    pub notes: Vec<LeftOut>,
}

/// The features of a set. A set with any problem is refused whole.
pub fn features(set: &SetDefinition) -> Result<Exported, Vec<Problem>> {
    let problems = validate_served(set);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut exported = Exported { document: Value::Null, left_out: vec![], notes: vec![] };
    let mut all = Vec::new();
    for (key, definition) in &set.flags {
        if definition.archived_at.is_some() {
            continue;
        }
        match feature::feature(set, key, definition) {
            Ok(written) => {
                all.push(written.feature);
                exported.notes.extend(written.note.map(|reason| said(key, reason)));
            }
            Err(reason) => exported.left_out.push(said(key, reason)),
        }
    }
    exported.document = json!({ "version": 2, "features": all, "segments": [] });
    Ok(exported)
}

/// One flag of a set that is in order, as clients of Unleash evaluate it; none when they do not get
/// it.
pub fn feature_of(set: &SetDefinition, key: &str) -> Option<Value> {
    let (key, definition) = set.flags.get_key_value(key)?;
    let served = Some(definition).filter(|definition| definition.archived_at.is_none())?;
    feature::feature(set, key, served).ok().map(|written| written.feature)
}

/// Why clients of Unleash do not get a flag of a set that is in order; none when they do, or when
/// nobody does because it is archived or unknown.
pub fn not_representable(set: &SetDefinition, key: &FlagKey) -> Option<String> {
    let definition = set.flags.get(key).filter(|definition| definition.archived_at.is_none())?;
    feature::feature(set, key, definition).err()
}

fn said(key: &FlagKey, reason: String) -> LeftOut {
    LeftOut { flag: key.clone(), reason }
}

#[cfg(test)]
mod tests;
