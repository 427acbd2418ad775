//! What people write: sets of flags, segments, rules.

mod approval;
mod clause;
mod definition;
pub(crate) mod read;
mod release;
mod rule;
mod shared;
mod variants;

pub use approval::Approval;
pub use clause::{Attribute, Clause, Operator};
pub use definition::{Anonymous, CodeVersion, Definition, Killed, Kind, Prerequisite, State};
pub use release::{Goal, Judged, PathTest, Release, WHOLE};
pub use rule::{Rule, Segment, Serve, Share, Target};
pub use shared::Shared;
pub use variants::{Variant, Variants};

use crate::{FlagKey, Metadata};
use serde::{Deserialize, Serialize};

/// The version of the model that this code writes.
pub(crate) const VERSION: u32 = 1;

/// Which of flagd's hashes puts a user of a set into a part of a percentage. All clients of a set
/// must use the same one: the two disagree about half of the users at 50/50.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Bucketing {
    /// Murmur3 over the text itself: flagd and its providers up to mid 2026.
    V2,
    /// Murmur3 over the value in canonical CBOR: flagd's providers since October 2026.
    #[default]
    V3,
}

/// How one flag puts its users into buckets, where it does not do as its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Method {
    /// As [`Bucketing::V2`].
    #[serde(rename = "v2")]
    V2,
    /// As [`Bucketing::V3`].
    #[serde(rename = "v3")]
    V3,
    /// `md5(salt:user)`, first 8 hex digits, modulo 100. Whole percents; only Serin evaluates it.
    #[serde(rename = "md5-100")]
    Md5_100,
    /// Unleash's: murmur3 modulo 100 where two variants are split, modulo 1 000 where more are.
    /// Only Serin and Unleash clients evaluate it.
    #[serde(rename = "unleash")]
    Unleash,
}

/// A set of flags: one environment. A key is unique in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetDefinition {
    /// The version of this model; 1.
    #[serde(default = "version")]
    pub version: u32,
    /// The set's name, the same as the environment's.
    pub name: String,
    /// Its flags.
    #[serde(default)]
    pub flags: Shared<FlagKey, Definition>,
    /// Groups of users that rules name.
    #[serde(default)]
    pub segments: Shared<String, Segment>,
    /// How its users are put into buckets, where a flag does not say otherwise.
    #[serde(default)]
    pub bucketing: Bucketing,
    /// Sent along with every answer; a flag's own wins.
    #[serde(default)]
    pub metadata: Metadata,
    /// Whether an evaluation without a targeting key is an error.
    #[serde(default)]
    pub require_targeting_key: bool,
    /// Who must agree to changes of the set and of its flags; a flag's own wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

fn version() -> u32 {
    VERSION
}

impl SetDefinition {
    /// A set without flags.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            name: name.into(),
            flags: Shared::default(),
            segments: Shared::default(),
            bucketing: Bucketing::default(),
            metadata: Metadata::new(),
            require_targeting_key: false,
            approval: None,
        }
    }
}
