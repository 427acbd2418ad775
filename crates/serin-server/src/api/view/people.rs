//! Who may use the API over the network.

use serde::{Deserialize, Serialize};

/// `POST /api/v1/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenWish {
    /// Whose token it is: 1 to 64 of a-z, A-Z, 0-9, `.`, `_`, `-` and `@`.
    pub name: String,
}

/// Everybody who has a token of their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiTokens {
    /// `serin.tokens/v1`.
    pub schema: String,
    /// In the order in which they were made.
    pub tokens: Vec<ApiToken>,
    /// The token that was just made; told this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiToken {
    /// Whose it is.
    pub name: String,
    /// When it was made, seconds of Unix time.
    pub at: i64,
}
