//! Sets of flags from elsewhere. What cannot be kept is reported, never silently changed: a flag that
//! would answer differently is left out, and the notes say so.

mod flagd;
mod growthbook;
mod launchdarkly;
mod mission;
mod unleash;
mod values;

pub use flagd::flagd;
pub use growthbook::growthbook;
pub use launchdarkly::launchdarkly;
pub use mission::{Remainder, mission};
pub use unleash::unleash;

use crate::{Definition, FlagKey, Problem, SetDefinition, check::limit, validate};
use serde_json::Value;

/// A set that was taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The set; it can be served as it is.
    pub set: SetDefinition,
    /// What is not as it was where it came from, and why. A flag that was left out says so.
    pub notes: Vec<Problem>,
}

impl Imported {
    fn new(name: &str) -> Self {
        Self { set: SetDefinition::new(name), notes: Vec::new() }
    }

    fn checked(set: SetDefinition, notes: Vec<Problem>) -> Result<Self, Vec<Problem>> {
        let problems = validate(&set);
        if problems.is_empty() { Ok(Self { set, notes }) } else { Err(problems) }
    }

    fn note(&mut self, key: &str, found: impl Into<String>) {
        let key: String = key.chars().filter(|c| !c.is_control()).take(200).collect();
        self.notes.push(Problem::new(format!("flags.{key}"), found));
    }

    /// Takes a flag over with what there is to say about it, or notes why it is left out.
    fn take(&mut self, key: &str, flag: Result<Definition, String>, notes: Vec<String>) {
        let parsed = key.parse::<FlagKey>().map_err(|error| error.to_string());
        match parsed.and_then(|key| Ok((key, flag?))) {
            Ok((parsed, flag)) => {
                self.set.flags.insert(parsed, flag);
                for note in notes {
                    self.note(key, note);
                }
            }
            Err(reason) => self.note(key, format!("left out: {reason}")),
        }
    }

    /// Leaves out every flag with a problem, and then those that need it, until the rest is in order.
    fn settled(mut self) -> Result<Self, Vec<Problem>> {
        loop {
            let problems = validate(&self.set);
            let wrong: Vec<(FlagKey, String)> =
                problems.iter().filter_map(|problem| self.culprit(problem)).collect();
            if wrong.is_empty() {
                return Self::checked(self.set, self.notes);
            }
            for (key, reason) in wrong {
                if self.set.flags.remove(&key).is_some() {
                    self.note(key.as_str(), format!("left out: {reason}"));
                }
            }
        }
    }

    /// The flag a problem is about.
    fn culprit(&self, problem: &Problem) -> Option<(FlagKey, String)> {
        let rest = problem.place.strip_prefix("flags.")?;
        let owns = |key: &&FlagKey| {
            let after = rest.strip_prefix(key.as_str());
            after.is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
        };
        // The longest, because a key may have dots.
        let key = self.set.flags.keys().filter(owns).max_by_key(|key| key.as_str().len())?;
        Some((key.clone(), problem.to_string()))
    }
}

/// A document of others as JSON.
fn json(text: &[u8]) -> Result<Value, Vec<Problem>> {
    if text.len() > limit::BYTES {
        let found = format!("{} bytes of JSON", text.len());
        let allowed = format!("at most {} bytes", limit::BYTES);
        return Err(vec![Problem::new("document", found).allowed(allowed)]);
    }
    let read = serde_json::from_slice(text);
    read.map_err(|error| vec![Problem::new("document", format!("not JSON: {error}"))])
}

/// A document of another shape than expected.
fn misshapen(found: &str, allowed: &str) -> Vec<Problem> {
    vec![Problem::new("document", found).allowed(allowed)]
}

#[cfg(test)]
mod tests;
