//! What became of an order about flags.

use serde::{Deserialize, Serialize};
use serin_edge::Revision;

/// The answer to [`super::Request::Flags`] and [`super::Request::FlagUpsert`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagsReply {
    /// The flags hold for every request from now on, and every open stream was told.
    Held {
        /// Revision now held.
        revision: Revision,
        /// Whether they are on disk; when false, `error` says why.
        durable: bool,
        /// What kept them from the disk, or an address from opening.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The order is older than what is held, or was made for another table; send the whole table.
    Stale {
        /// Revision held.
        have: Revision,
    },
    /// The flags are wrong; nothing has changed.
    Refused(String),
}
