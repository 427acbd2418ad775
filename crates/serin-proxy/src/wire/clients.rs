//! Which versions of client programs a revision serves.

use serde::{Deserialize, Serialize};

/// Major, minor, patch.
pub type ClientVersion = [u64; 3];

/// The clients of one revision. A request of a client that an arm does not serve goes to one that
/// does, as long as that has a ready instance; it is no evidence then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// The header in which a client says its version.
    pub header: String,
    /// The versions served.
    pub serves: Vec<ClientSpan>,
    /// What a request counts as that says none; without it everybody serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume: Option<ClientVersion>,
}

/// Versions from one to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSpan {
    /// The first.
    pub from: ClientVersion,
    /// The first that is none of them any more; `None` where there is no end.
    #[serde(default)]
    pub below: Option<ClientVersion>,
}
