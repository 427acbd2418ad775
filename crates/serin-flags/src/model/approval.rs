//! Who must agree to a change.

use serde::{Deserialize, Serialize};

/// Hours that a request waits unless said.
const EXPIRES_HOURS: u32 = 72;

/// That others must agree before a flag, or anything of a set, is changed. A kill, `off` and a way
/// back are never kept waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// How many people must agree, 1 to 10.
    #[serde(default = "one")]
    pub count: u32,
    /// Whether the one who asked may be one of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// Hours after which a request that was not answered lapses, 1 to 720.
    #[serde(default = "expires_hours")]
    pub expires_hours: u32,
}

impl Default for Approval {
    fn default() -> Self {
        Self { count: one(), own: false, expires_hours: EXPIRES_HOURS }
    }
}

fn one() -> u32 {
    1
}

fn expires_hours() -> u32 {
    EXPIRES_HOURS
}
