//! Who is logged in: kept in the memory of one instance, or signed into the cookie so that every
//! instance of every version knows.

use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The cookie.
pub(super) const COOKIE: &str = "sid";

/// Logins one instance remembers at most; the oldest is forgotten.
const MOST: usize = 10_000;

/// Where sessions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// In the instance: gone with it, unknown to all others.
    Memory,
    /// In the cookie, with a proof made with this key.
    Signed(String),
}

/// The sessions one instance knows.
pub(super) struct Sessions {
    kept: Kept,
    known: RefCell<BTreeMap<u64, String>>,
    next: RefCell<fastrand::Rng>,
}

impl Sessions {
    pub(super) fn new(kept: Kept, seed: u64) -> Self {
        let next = RefCell::new(fastrand::Rng::with_seed(seed));
        Self { kept, known: RefCell::default(), next }
    }

    /// Begins a session of `user`; the value of its cookie.
    pub(super) fn begin(&self, user: &str) -> String {
        match &self.kept {
            Kept::Signed(key) => format!("{user}.{}", proof(key, user)),
            Kept::Memory => {
                let id = self.next.borrow_mut().u64(..);
                let mut known = self.known.borrow_mut();
                if known.len() >= MOST {
                    known.pop_first();
                }
                known.insert(id, user.to_owned());
                format!("{id:016x}")
            }
        }
    }

    /// Whose session this cookie is.
    pub(super) fn user(&self, value: &str) -> Option<String> {
        match &self.kept {
            Kept::Signed(key) => {
                let (user, shown) = value.rsplit_once('.')?;
                (shown == proof(key, user)).then(|| user.to_owned())
            }
            Kept::Memory => {
                let id = u64::from_str_radix(value, 16).ok()?;
                self.known.borrow().get(&id).cloned()
            }
        }
    }
}

/// HMAC-SHA-256 (RFC 2104) of the user's name, in hex.
fn proof(key: &str, user: &str) -> String {
    let block = |pad: u8| {
        let mut block = [pad; 64];
        let hashed = Sha256::digest(key.as_bytes());
        block.iter_mut().zip(hashed.iter()).for_each(|(b, k)| *b ^= k);
        block
    };
    let inner = Sha256::new().chain_update(block(0x36)).chain_update(user).finalize();
    let outer = Sha256::new().chain_update(block(0x5c)).chain_update(inner).finalize();
    outer.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_memory_is_known_to_one_instance_alone() {
        let (one, other) = (Sessions::new(Kept::Memory, 1), Sessions::new(Kept::Memory, 2));
        let cookie = one.begin("ada");
        assert_eq!(one.user(&cookie).as_deref(), Some("ada"));
        assert_eq!(other.user(&cookie), None);
    }

    #[test]
    fn what_is_signed_is_known_to_all_who_have_the_key() {
        let sessions = |key: &str| Sessions::new(Kept::Signed(key.into()), 1);
        let cookie = sessions("k").begin("ada");
        assert_eq!(sessions("k").user(&cookie).as_deref(), Some("ada"));
        assert_eq!(sessions("other").user(&cookie), None);
        assert_eq!(sessions("k").user(&cookie.replace("ada", "eve")), None);
    }
}
