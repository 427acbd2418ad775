//! Reading a set from JSON, with everything that is wrong at once.

use super::{Definition, Segment, SetDefinition};
use crate::{FlagKey, Problem, check::limit, entries::Entries};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

impl SetDefinition {
    /// Reads a set as [`Self::to_json`] or a person wrote it, and checks it. Unknown fields, keys
    /// that come twice and whatever [`crate::validate`] finds refuse it whole.
    pub fn from_json(text: &[u8]) -> Result<Self, Vec<Problem>> {
        let set = Self::parse(text)?;
        let problems = crate::validate(&set);
        if problems.is_empty() { Ok(set) } else { Err(problems) }
    }

    /// The set as JSON that [`Self::from_json`] reads.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    fn parse(text: &[u8]) -> Result<Self, Vec<Problem>> {
        if text.len() > limit::BYTES {
            let found = format!("{} bytes of JSON", text.len());
            let allowed = format!("at most {} bytes", limit::BYTES);
            return Err(vec![Problem::new("document", found).allowed(allowed)]);
        }
        let written: Written = serde_json::from_slice(text)
            .map_err(|error| vec![told("document", &error.to_string())])?;
        written.read()
    }
}

impl Definition {
    /// Reads one flag. What it refers to is checked when it is put into its set.
    pub fn from_json(text: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(text).map_err(|error| told("flag", &error.to_string()))
    }
}

/// The set's frame; its flags and segments are read one by one, so that each can say what is wrong
/// with it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    flags: Entries<Value>,
    #[serde(default)]
    segments: Entries<Value>,
    #[serde(flatten)]
    frame: BTreeMap<String, Value>,
}

impl Written {
    fn read(self) -> Result<SetDefinition, Vec<Problem>> {
        let mut problems = Vec::new();
        let frame = Value::Object(self.frame.into_iter().collect());
        let set: Option<SetDefinition> = read("document", frame, &mut problems);
        let flags: Vec<(String, Definition)> = each("flags", self.flags, &mut problems);
        let segments: Vec<(String, Segment)> = each("segments", self.segments, &mut problems);
        let mut keyed = BTreeMap::new();
        for (key, flag) in flags {
            match key.parse::<FlagKey>() {
                Ok(key) => drop(keyed.insert(key, flag)),
                Err(error) => problems.push(Problem::new("flags", error.to_string())),
            }
        }
        match set {
            Some(set) if problems.is_empty() => {
                let flags = keyed.into_iter().collect();
                Ok(SetDefinition { flags, segments: segments.into_iter().collect(), ..set })
            }
            _ => Err(problems),
        }
    }
}

fn each<T: DeserializeOwned>(
    place: &str,
    entries: Entries<Value>,
    problems: &mut Vec<Problem>,
) -> Vec<(String, T)> {
    let mut names = std::collections::BTreeSet::new();
    let mut all = Vec::new();
    for (name, value) in entries.0 {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
        let here = format!("{place}.{shown}");
        if let Some(item) = read(&here, value, problems) {
            all.push((name.clone(), item));
        }
        if !names.insert(name) {
            problems.push(Problem::new(here, "comes twice").allowed("once"));
        }
    }
    all
}

fn read<T: DeserializeOwned>(place: &str, value: Value, problems: &mut Vec<Problem>) -> Option<T> {
    serde_json::from_value(value)
        .map_err(|error| problems.push(told(place, &error.to_string())))
        .ok()
}

/// Serde's message as a problem; after an unknown field or word, the nearest of those it names.
pub(crate) fn told(place: &str, message: &str) -> Problem {
    const LONGEST: usize = 400;
    let message: String = message.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let Some((found, allowed)) = message.split_once(", expected ") else {
        return Problem::new(place, message);
    };
    let quoted = |text: &'_ str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let (wrong, right) = (quoted(found), quoted(allowed));
    let problem = Problem::new(place, found).allowed(allowed);
    match wrong.first() {
        Some(wrong) => problem.near(wrong, right.iter().map(String::as_str)),
        None => problem,
    }
}
