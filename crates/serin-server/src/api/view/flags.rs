//! Documents about feature flags.

pub use crate::flags::stale::{Found, Ready, Verdict};
pub use crate::flags::{Answered, Constant, Due, Stamp, Trigger, Used};
use serde::{Deserialize, Serialize};
use serin_core::FlagEvidence;
use serin_edge::TokenKind;
use serin_flags::{Definition, Timestamp};
use std::collections::BTreeMap;

/// One flag, `GET /api/v1/flags/{key}`; also the answer to a change of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagView {
    /// `serin.flag/v1`.
    pub schema: String,
    /// Its set, which is the environment.
    pub set: String,
    /// Its key.
    pub key: String,
    /// `on`, `off`, `killed`, `disabled`, `releasing`, `archived`.
    pub state: String,
    /// Who gets what, as a sentence.
    pub serving: String,
    /// The share of users who get the on variant, where there is one number for it.
    pub percent: Option<f64>,
    /// Whether it stands before all others.
    pub pinned: bool,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What it is.
    pub definition: Definition,
    /// Its last change; its number is the flag's ETag.
    pub changed: Stamp,
    /// That everybody gets the same, and since when.
    pub constant: Option<Constant>,
    /// What clients asked for, as far as the data plane saw it.
    pub used: Option<Used>,
    /// Whether the data plane has this on its disk and has told its clients.
    pub pushed: bool,
    /// What keeps clients from being served.
    pub trouble: Option<String>,
}

/// All flags of a set, `GET /api/v1/flags`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagList {
    /// `serin.flags/v1`.
    pub schema: String,
    /// The set.
    pub set: String,
    /// Number of the last change of anything.
    pub n: u64,
    /// What the data plane complains of: flags it cannot read, an address that is taken.
    pub trouble: Option<String>,
    /// Operational flags first, then by key.
    pub flags: Vec<FlagView>,
}

/// A line of a flag's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagPast {
    /// The flag; empty for the set itself.
    pub key: String,
    /// The change.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Who got what from then on, as a sentence; none when it went.
    pub serving: Option<String>,
    /// The flag until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Definition>,
    /// The flag from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Definition>,
}

/// Changes, newest first, `GET /api/v1/flags/{key}/history`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagHistory {
    /// `serin.flag-history/v1`.
    pub schema: String,
    /// The set.
    pub set: String,
    /// The changes.
    pub changes: Vec<FlagPast>,
    /// Pass as `before` for the page after this; none at the end.
    pub next: Option<u64>,
}

/// One set, in `GET /api/v1/flag-sets`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagSetRow {
    /// Its name.
    pub name: String,
    /// Flags that are not archived.
    pub flags: usize,
    /// Its own last change.
    pub changed: Option<Stamp>,
}

/// All sets, `GET /api/v1/flag-sets`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagSets {
    /// `serin.flag-sets/v1`.
    pub schema: String,
    /// By name.
    pub sets: Vec<FlagSetRow>,
}

/// Who asks for a change, and why. Part of every request that changes something.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Asking {
    /// Who, as the client knows it.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// `PUT /api/v1/flags/{key}`: what the flag is from now on, made if it is not there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagPut {
    /// Who and why.
    #[serde(flatten)]
    pub asking: Asking,
    /// The flag.
    pub definition: Definition,
}

/// `PATCH /api/v1/flags/{key}`: what is different from now on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagPatch {
    /// Who and why.
    #[serde(flatten)]
    pub asking: Asking,
    /// A merge patch (RFC 7396) of the definition; `null` takes a field away.
    #[serde(default)]
    pub patch: serde_json::Map<String, serde_json::Value>,
    /// Who gets it, after the patch, in this order: `{"strategy": "percentage", "value": 5}`.
    #[serde(default)]
    pub strategies: Vec<serde_json::Value>,
    /// Whether it is made when it is not there: a boolean flag that is off, then patched.
    #[serde(default)]
    pub create: bool,
}

/// `POST /api/v1/flags/{key}:{verb}` and `POST /api/flags/{key}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FlagVerb {
    /// Who and why.
    #[serde(flatten)]
    pub asking: Asking,
    /// `all`, `none`, `percentage`, `user_list`, `attribute`, `variants`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// What goes with the strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// `restore`: the change after which the flag was as wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// `archive`: even though clients still ask for it.
    pub force: bool,
    /// Check only.
    pub dry_run: bool,
}

/// `POST /api/v1/flag-rollouts`: gives a flag to more and more users, as evidence allows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagRollout {
    /// Who and why.
    #[serde(flatten)]
    pub asking: Asking,
    /// The set.
    pub set: String,
    /// The flag.
    pub key: String,
    /// The service whose users are judged; their requests carry it, if it has any.
    pub service: String,
    /// What says how users fare: the service's traffic if it has any, unless said.
    #[serde(default)]
    pub evidence: Option<FlagEvidence>,
    /// The variant that is released; the first that is not the off variant unless said.
    #[serde(default)]
    pub to: Option<String>,
    /// Steps and analysis, as YAML under `strategy` of a service's file.
    pub strategy: String,
    /// Milliseconds in which a user counts once; a minute unless said.
    #[serde(default)]
    pub window_ms: Option<u64>,
    /// Even if it was rolled back before with the same code behind it.
    #[serde(default)]
    pub allow_bad: bool,
    /// Nothing is done.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /api/v1/flag-stale`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StaleRequest {
    /// How many days are a while; 14 unless said.
    pub days: Option<u32>,
    /// Mentions of each flag in code; none when nobody looked.
    pub references: Option<BTreeMap<String, u64>>,
}

/// Flags that have had their time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StaleReport {
    /// `serin.flag-stale/v1`.
    pub schema: String,
    /// The set.
    pub set: String,
    /// How many days are a while.
    pub days: u32,
    /// Flags that are for a time and not archived.
    pub temporary: usize,
    /// Of these, those that differ between users: the code has 2 to this power combinations.
    pub varied: usize,
    /// Those with which something is wrong.
    pub flags: Vec<StaleFlag>,
    /// Keys that clients ask for and no flag has.
    pub unknown: Vec<UnknownKey>,
}

/// A flag with which something is wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StaleFlag {
    /// Its key.
    pub key: String,
    /// Who answers for it.
    pub owner: String,
    /// What is wrong, and what can be done.
    #[serde(flatten)]
    pub found: Found,
    /// That everybody gets the same.
    pub constant: Option<Constant>,
    /// What clients asked for.
    pub used: Option<Used>,
    /// Mentions in code; none when nobody looked.
    pub references: Option<u64>,
}

/// A key without a flag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnknownKey {
    /// The key.
    pub key: String,
    /// How often it was asked for since the data plane was started.
    pub count: u64,
}

/// Changes of a flag that are to come, `GET /api/v1/flags/{key}/schedule`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagSchedule {
    /// `serin.flag-schedule/v1`.
    pub schema: String,
    /// The set.
    pub set: String,
    /// The flag.
    pub key: String,
    /// By time.
    pub due: Vec<Due>,
}

/// What an import did, `POST /api/v1/flag-import`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Imported {
    /// `serin.flag-import/v1`.
    pub schema: String,
    /// The set.
    pub set: String,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Flags that were made.
    pub new: Vec<String>,
    /// Flags that were there already, and stay as they are.
    pub kept: Vec<String>,
    /// What is not as it was where it came from.
    pub notes: Vec<String>,
}

/// Who may ask for values, `GET /api/v1/flag-tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagTokens {
    /// `serin.flag-tokens/v1`.
    pub schema: String,
    /// All tokens, without their secrets; none: everybody who reaches the address may ask.
    pub tokens: Vec<FlagToken>,
    /// Of one that was just made: the token itself. It is shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagToken {
    /// What people call it.
    pub name: String,
    /// The only set it is for; none: every set.
    pub set: Option<String>,
    /// What it may ask.
    pub kind: TokenKind,
    /// When it was made.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// `PATCH /api/v1/flag-sets/{name}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagSetPatch {
    /// Who and why.
    #[serde(flatten)]
    pub asking: Asking,
    /// A merge patch (RFC 7396) of the set without its flags.
    pub patch: serde_json::Map<String, serde_json::Value>,
}
