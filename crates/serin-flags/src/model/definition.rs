//! One flag.

use super::{Approval, Method, Release, Rule, Target, Variants};
use crate::{FlagKey, Metadata, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a flag is for. Decides how long it may live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Separates release from deployment; 40 days.
    #[default]
    Release,
    /// Compares variants; 40 days.
    Experiment,
    /// Changes how the system works (read-only mode, an integration); permanent.
    Ops,
    /// Switches something off in an emergency; permanent.
    KillSwitch,
    /// Who may use something (a plan's features); permanent.
    Permission,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Release, Self::Experiment, Self::Ops, Self::KillSwitch, Self::Permission];

    /// Days from creation after which it should be gone; none: permanent.
    pub fn lifetime_days(self) -> Option<u32> {
        match self {
            Self::Release | Self::Experiment => Some(40),
            Self::Ops | Self::KillSwitch | Self::Permission => None,
        }
    }
}

/// Whether a flag decides anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its rules decide.
    #[default]
    On,
    /// Everybody gets the off variant.
    Off,
    /// Everybody gets what the app's code says; no value is sent.
    Disabled,
}

/// That somebody killed the flag: everybody gets the off variant, whatever else is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Killed {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Another flag of the set that must have one of these variants for the user; else the off variant
/// is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prerequisite {
    /// The other flag.
    pub flag: FlagKey,
    /// Any of these.
    pub variants: Vec<String>,
}

/// Code that must serve everything before anybody is exposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CodeVersion {
    /// The service.
    pub service: String,
    /// The lowest version that has the code.
    pub version: String,
}

/// What a user without the bucketed attribute gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Anonymous {
    /// No percentage fits them; what comes after decides, at last the default variant.
    #[default]
    Skip,
    /// This attribute is bucketed instead, for example a session id that the proxy keeps in a cookie.
    Attribute(String),
}

/// One flag as people write it. Read in this order, the first that decides wins: killed, state,
/// expiry, prerequisites, targets, rules, release, default variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// What it is for.
    #[serde(default)]
    pub kind: Kind,
    /// What it does, for people.
    #[serde(default)]
    pub description: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// From this second on only the default variant is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Its values.
    #[serde(default = "Variants::boolean")]
    pub variants: Variants,
    /// Whether its rules decide.
    #[serde(default)]
    pub state: State,
    /// Served when nothing else decides; none: what the app's code says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_variant: Option<String>,
    /// Served when it is killed or off, or a prerequisite is not met.
    #[serde(default = "off")]
    pub off_variant: String,
    /// Other flags it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisites: Vec<Prerequisite>,
    /// Users by name; before every rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// Rules; the first that fits decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// A guarded release, for users no rule fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The service whose requests carry it to the app since it was released by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_by: Option<String>,
    /// That it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub killed: Option<Killed>,
    /// What is hashed together with the user; the flag's key if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// The attribute that is bucketed; the targeting key if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_by: Option<String>,
    /// Another method than the set's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucketing: Option<Method>,
    /// What users without the bucketed attribute get.
    #[serde(default)]
    pub anonymous: Anonymous,
    /// What the app's code passes as its default, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_default: Option<Value>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Sent along with every answer.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// When it was put away; it is not served any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// Code it needs before anybody is exposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<CodeVersion>,
    /// Who must agree to changes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// JsonLogic kept word for word from a flagd file, in place of targets, rules and release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Value>,
}

fn off() -> String {
    "off".to_owned()
}

impl Definition {
    /// A boolean flag that is off for everybody.
    pub fn boolean(kind: Kind, owner: &str) -> Self {
        Self {
            kind,
            description: String::new(),
            owner: owner.to_owned(),
            created_at: None,
            expires_at: None,
            variants: Variants::boolean(),
            state: State::On,
            default_variant: Some(off()),
            off_variant: off(),
            prerequisites: Vec::new(),
            targets: Vec::new(),
            rules: Vec::new(),
            release: None,
            carried_by: None,
            killed: None,
            salt: None,
            bucket_by: None,
            bucketing: None,
            anonymous: Anonymous::Skip,
            code_default: None,
            tags: Vec::new(),
            metadata: Metadata::new(),
            archived_at: None,
            requires: None,
            approval: None,
            raw: None,
        }
    }
}
