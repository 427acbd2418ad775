//! What keeps users with one revision.

use crate::Millis;
use serde::{Deserialize, Serialize};

/// What keeps a user with one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffinitySpec {
    /// What tells users apart.
    pub key: AffinityKey,
    /// A user is evidence once in each window of this length, 1 s to 5 min.
    pub window: Millis,
}

/// What tells users apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AffinityKey {
    /// The value of this cookie; users without it are given one.
    Cookie(String),
    /// The value of this request header; requests without it are dealt one by one.
    Header(String),
    /// The client's address, of IPv6 its /64.
    Address,
}
