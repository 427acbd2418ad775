//! What is known about one user or request when a flag is evaluated.

mod datum;

pub use datum::Datum;

use datum::Entries;

use crate::{
    ErrorCode, EvalError,
    names::{Name, TOLD_BY_HASH, name_hash, same_text},
};
use serde_json::Value;
use std::borrow::Cow;

/// The attribute that names the user: percentages are of it unless a rule says otherwise.
pub(crate) const TARGETING_KEY: &str = "targetingKey";

/// Up to this many attributes a walk over their hashes is faster than a binary search.
const WALK_MAX: usize = 16;

/// Attributes by name. Text is borrowed from where the context was built from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context<'a> {
    /// Ordered by (hash of the name, name), each name once.
    attributes: Vec<Attribute<'a>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Attribute<'a> {
    hash: u64,
    name: Cow<'a, str>,
    datum: Datum<'a>,
}

impl<'a> Context<'a> {
    /// A context that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a JSON object, within the default [`ContextLimits`].
    pub fn from_json(json: &'a [u8]) -> Result<Self, ContextError> {
        Self::from_json_within(json, ContextLimits::default())
    }

    /// Reads a JSON object, within limits.
    pub fn from_json_within(json: &'a [u8], limits: ContextLimits) -> Result<Self, ContextError> {
        if json.len() > limits.bytes {
            return Err(ContextError::TooLarge { bytes: json.len(), allowed: limits.bytes });
        }
        match serde_json::from_slice(json) {
            Ok(Entries(entries)) => Ok(Self::from_entries(entries)),
            Err(error) if error.is_data() => Err(ContextError::NotAnObject),
            Err(error) => Err(ContextError::NotJson(error.to_string())),
        }
    }

    /// Takes the attributes of a JSON object that is read already.
    pub fn from_value(value: &'a Value) -> Result<Self, ContextError> {
        match Datum::from_value(value).ok_or(ContextError::TooDeep)? {
            Datum::Map(entries) => Ok(Self::from_entries(entries)),
            _ => Err(ContextError::NotAnObject),
        }
    }

    fn from_entries(entries: Vec<(Cow<'a, str>, Datum<'a>)>) -> Self {
        let mut attributes: Vec<Attribute> =
            entries.into_iter().map(|(name, datum)| Attribute::new(name, datum)).collect();
        attributes.sort_by(|a, b| a.place().cmp(&b.place()));
        // The sort is stable, so the last of equals is the one that came last.
        attributes.dedup_by(|later, earlier| {
            let same = later.name == earlier.name;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self { attributes }
    }

    /// Sets the attribute `targetingKey`, which names the user.
    pub fn set_targeting_key(&mut self, key: impl Into<Cow<'a, str>>) -> &mut Self {
        self.set(TARGETING_KEY, Datum::Text(key.into()))
    }

    /// Sets an attribute; the last value of a name holds.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, datum: impl Into<Datum<'a>>) -> &mut Self {
        let attribute = Attribute::new(name.into(), datum.into());
        match self.attributes.binary_search_by(|other| other.place().cmp(&attribute.place())) {
            Ok(at) => self.attributes[at] = attribute,
            Err(at) => self.attributes.insert(at, attribute),
        }
        self
    }

    /// An attribute by its name.
    pub fn get(&self, name: &str) -> Option<&Datum<'a>> {
        self.find(name_hash(name), name)
    }

    /// The name of the user, if there is one that is not empty.
    pub fn targeting_key(&self) -> Option<&str> {
        match self.get(TARGETING_KEY) {
            Some(Datum::Text(key)) if !key.is_empty() => Some(key),
            _ => None,
        }
    }

    /// All attributes, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Datum<'a>)> {
        self.attributes.iter().map(|attribute| (attribute.name.as_ref(), &attribute.datum))
    }

    /// How many attributes there are.
    pub fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// An attribute by a name whose hash is known.
    pub(crate) fn lookup(&self, name: &Name) -> Option<&Datum<'a>> {
        self.find(name.hash, &name.text)
    }

    fn find(&self, hash: u64, name: &str) -> Option<&Datum<'a>> {
        if self.attributes.len() <= WALK_MAX {
            let mut attributes = self.attributes.iter();
            let told = |other: &Attribute| match name.len() {
                0..=TOLD_BY_HASH => other.name.len() == name.len(),
                _ => same_text(&other.name, name),
            };
            let found = attributes.find(|other| other.hash == hash && told(other));
            return found.map(|attribute| &attribute.datum);
        }
        let at = self.attributes.binary_search_by(|other| other.place().cmp(&(hash, name))).ok()?;
        Some(&self.attributes[at].datum)
    }
}

impl<'a> Attribute<'a> {
    fn new(name: Cow<'a, str>, datum: Datum<'a>) -> Self {
        Self { hash: name_hash(&name), name, datum }
    }

    fn place(&self) -> (u64, &str) {
        (self.hash, &self.name)
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Datum<'a>)> for Context<'a> {
    /// Takes many attributes at once; the last value of a name holds.
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Datum<'a>)>>(entries: I) -> Self {
        let entries = entries.into_iter().map(|(name, datum)| Attribute::new(name, datum));
        let mut attributes: Vec<Attribute> = entries.collect();
        attributes.sort_by(|a, b| a.place().cmp(&b.place()));
        // The sort is stable, so the last of equals is the one that came last.
        attributes.dedup_by(|later, earlier| {
            let same = later.place() == earlier.place();
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self { attributes }
    }
}

/// How large a context may be. Its depth is limited to 100 levels in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextLimits {
    /// Bytes of JSON.
    pub bytes: usize,
}

impl Default for ContextLimits {
    /// One MiB: a thousand times what a real context has.
    fn default() -> Self {
        Self { bytes: 1 << 20 }
    }
}

/// Why a context was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// More bytes than allowed.
    #[error("the context has {bytes} bytes and {allowed} are allowed; send fewer attributes")]
    TooLarge {
        /// Bytes sent.
        bytes: usize,
        /// Bytes allowed.
        allowed: usize,
    },
    /// Lists and objects inside each other without end.
    #[error("the context is nested deeper than 100 levels; send it flat")]
    TooDeep,
    /// Not JSON at all.
    #[error("the context is not JSON: {0}; send an object")]
    NotJson(String),
    /// JSON, but nothing with names in it.
    #[error("the context is not a JSON object; send one, such as {{\"targetingKey\":\"u1\"}}")]
    NotAnObject,
}

impl From<ContextError> for EvalError {
    fn from(error: ContextError) -> Self {
        Self::new(ErrorCode::InvalidContext, error.to_string())
    }
}
