//! Short-lived tokens for event streams: a browser can send no header with them, so the address
//! itself says that its holder was let in.

use crate::clock::now_s;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write as _;

/// Seconds for which one address is handed out again and again. It is good for one to two of them:
/// a client that reconnects with the address of its last answer always still gets in.
pub const PERIOD_S: u64 = 3600;

/// What signs. The same key in every process that serves the same clients, and after a restart.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// Signs with this key.
    pub fn new(key: &[u8; 32]) -> Self {
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(key);
        Self(Hmac::new(&wide.into()))
    }

    /// The period it is in.
    pub fn period() -> u64 {
        now_s() / PERIOD_S
    }

    /// The token for a set, from this period on to the end of the next one: `expiry.signature`.
    pub fn token(&self, set: &str, period: u64) -> String {
        let until = (period + 2) * PERIOD_S;
        let mut token = format!("{until}.");
        for byte in self.mac(set, until).finalize().into_bytes() {
            let _ = write!(token, "{byte:02x}");
        }
        token
    }

    /// Whether a token is ours, for this set, and not over.
    pub fn is_good(&self, set: &str, token: &str, now_s: u64) -> bool {
        let Some((until, signature)) = token.split_once('.') else { return false };
        let Some(bytes) = unhex(signature) else { return false };
        let Ok(until) = until.parse::<u64>() else { return false };
        now_s < until && self.mac(set, until).verify_slice(&bytes).is_ok()
    }

    fn mac(&self, set: &str, until: u64) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(b"serin stream\0");
        mac.update(&until.to_be_bytes());
        mac.update(set.as_bytes());
        mac
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| (byte as char).to_digit(16);
    let byte = |pair: &[u8; 2]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_tokens_and_old_ones_are_refused() {
        let signer = Signer::new(&[7; 32]);
        let token = signer.token("production", 100);
        let end = 102 * PERIOD_S;
        assert!(signer.is_good("production", &token, 0));
        assert!(signer.is_good("production", &token, end - 1));
        assert!(!signer.is_good("production", &token, end));
        assert!(!signer.is_good("staging", &token, 0));
        assert!(!Signer::new(&[8; 32]).is_good("production", &token, 0));
        let later = token.replacen(&end.to_string(), &(end + 1).to_string(), 1);
        assert_ne!(later, token);
        for forged in
            ["", ".", "9.", "9.00", "x.00", "9.zz", "9.é", &later, &token[..token.len() - 2]]
        {
            assert!(!signer.is_good("production", forged, 0), "{forged}");
        }
    }
}
