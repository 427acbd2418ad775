//! What keeps users with their arm.

use serde::{Deserialize, Serialize};

/// Default of [`Affinity::window_s`].
pub const DEFAULT_WINDOW_S: u32 = 60;

/// Longest window.
pub const MAX_WINDOW_S: u32 = 300;

/// Users stay with the arm that a salted hash of their key deals them to, and count once in each
/// window however often they ask.
///
/// - Raising the candidate's weight never takes a user off it; a user of an arm without a ready
///   instance is served by another, for the time being.
/// - A client that repeats a request is still the same user, so that repetitions need no case of
///   their own: request ids and idempotency keys are not looked at.
/// - Clients that keep no cookies are a new user with every request; a header suits them better.
/// - A response that gives a cookie to a newcomer is not for a shared cache, which would make one
///   user of many.
/// - Whoever sets the cookie or header chooses the arm: fine for testers, no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// What tells users apart.
    pub key: AffinityKey,
    /// Mixed into the hash: with a new salt, users are dealt anew.
    #[serde(default)]
    pub salt: String,
    /// Seconds within which a user is evidence once, 1 to [`MAX_WINDOW_S`]. Window `i` holds what
    /// arrived from second `i * window_s` of Unix time on.
    #[serde(default = "default_window_s")]
    pub window_s: u32,
}

fn default_window_s() -> u32 {
    DEFAULT_WINDOW_S
}

/// What tells users apart. Of a value, the first 4 KiB count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AffinityKey {
    /// The value of this cookie. A user without it is given one, unless the app's own response
    /// sets a cookie of this name.
    Cookie(String),
    /// The value of this header. A request without it is a user of its own.
    Header(String),
    /// The address the connection comes from, of IPv6 its /64. Everybody behind one address is one
    /// user: the last resort, for clients that keep no cookies and send no header.
    Address,
}

/// Why an affinity cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AffinityError {
    /// The window's length.
    #[error("a window of {0} s; give it 1 to 300 s")]
    Window(u32),
    /// The name of the cookie or header.
    #[error("`{0}` cannot be the name of a cookie or header; use letters, digits, `-` and `_`")]
    Name(String),
}

impl Affinity {
    /// Checks what can be wrong with it.
    ///
    /// # Errors
    /// [`AffinityError`] names the rule and the value.
    pub fn check(&self) -> Result<(), AffinityError> {
        if !(1..=MAX_WINDOW_S).contains(&self.window_s) {
            return Err(AffinityError::Window(self.window_s));
        }
        let (AffinityKey::Cookie(name) | AffinityKey::Header(name)) = &self.key else {
            return Ok(());
        };
        // Both are tokens (RFC 9110 section 5.6.2, RFC 6265 section 4.1.1).
        match http::HeaderName::from_bytes(name.as_bytes()) {
            Ok(_) => Ok(()),
            Err(_) => Err(AffinityError::Name(name.clone())),
        }
    }
}
