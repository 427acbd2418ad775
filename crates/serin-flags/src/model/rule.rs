//! Who gets what.

use super::Clause;
use serde::{Deserialize, Serialize};

/// Users by name who get a variant. Read before every rule and percentage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// What the list is for, `beta testers`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The variant they get.
    pub variant: String,
    /// Targeting keys.
    pub users: Vec<String>,
}

/// Who gets what, by attributes. The first rule that fits decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// What the rule is for; shown by `explain`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The user is in one of these segments; empty: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// And all of these hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clauses: Vec<Clause>,
    /// What such a user gets.
    pub serve: Serve,
}

/// What a user gets whom a rule fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Serve {
    /// This variant.
    Variant(String),
    /// One of several, by bucket. A user without the attribute that is bucketed is not fitted by
    /// the rule.
    #[serde(rename_all = "camelCase")]
    Split {
        /// The shares, summing to 100 000.
        shares: Vec<Share>,
        /// The attribute that is bucketed; the flag's `bucketBy` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Another salt than the flag's, to shuffle the users anew.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        salt: Option<String>,
    },
}

/// A variant's part of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Share {
    /// The variant.
    pub variant: String,
    /// Its share, parts per 100 000.
    pub weight: u32,
}

/// A group of users.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Segment {
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Users who are in it by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Users who are not in it, whatever else holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// And users who are in one of these segments,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// and users for whom all clauses of one of these lists hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<Vec<Clause>>,
}
