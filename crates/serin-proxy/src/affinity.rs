//! Who a request is from, and where in 0..100000 that user stands.
//!
//! A user is a 64-bit number: SipHash-2-4 of the key's value (its first 4 KiB), keyed by two hashes
//! of the salt. All that depends on the user is taken from it: the point that decides the arm from
//! its upper end, and what has to be independent of the arm from a second number mixed out of it.
//! The value itself is neither kept nor passed on anywhere but to the app.
//!
//! The candidate owns the lowest points, the baseline the highest, and stable what is between:
//! raising the weight never moves a user off the candidate.
//!
//! A client that repeats a request is no case of its own: with affinity the repetition comes from
//! the same user and is part of the same unit of evidence, so that an eager client neither hides a
//! failure nor multiplies it. Without affinity every request is a unit, repetitions included, in
//! both arms alike; request ids and idempotency keys are not looked at.

use crate::siphash::SipKey;
use crate::wire::{self, AffinityKey, WEIGHT_TOTAL};
use fastrand::Rng;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::net::IpAddr;

/// Bytes of a value that count.
const MAX_VALUE: usize = 4096;
/// Seconds for which a user keeps the cookie: 30 days.
const COOKIE_AGE: u32 = 30 * 24 * 3600;

/// Keys of the hashes that make the key out of the salt; any two would do, for ever.
const SALT_KEYS: [SipKey; 2] = [
    SipKey(0x9ae1_6a3b_2f90_404f, 0xc949_d7c7_509e_6557),
    SipKey(0xd6e8_feb8_6659_fd93, 0xa3b1_9535_4a39_b70d),
];

/// How a service's users are told apart.
pub struct Affinity {
    key: Key,
    hash: Salted,
    window_s: u64,
}

/// The hash that makes users of values.
#[derive(Clone, Copy)]
pub struct Salted(SipKey);

impl Salted {
    /// With another salt, other users.
    pub fn new(salt: &str) -> Self {
        let [k0, k1] = SALT_KEYS.map(|key| key.hash(salt.as_bytes()));
        Self(SipKey(k0, k1))
    }

    /// The user of a value.
    pub fn user(self, value: &[u8]) -> User {
        User(self.0.hash(&value[..value.len().min(MAX_VALUE)]))
    }
}

enum Key {
    Cookie(String),
    Header(HeaderName),
    Address,
}

/// What counts of a client's address: of IPv6 the network, as a machine changes the rest at will
/// (RFC 8981).
pub fn network(peer: IpAddr) -> [u8; 16] {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => (u128::from(address) >> 64 << 64).to_be_bytes(),
    }
}

/// One user, as a number that looks random.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct User(pub u64);

/// It stands for a value that may be a secret.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(..)")
    }
}

impl User {
    /// Where the user stands among all.
    pub fn point(self) -> u32 {
        scale(self.0, WEIGHT_TOTAL)
    }

    /// A second number, independent of the point: the finaliser of `SplitMix64` (Steele, Lea and
    /// Flood, OOPSLA 2014), a bijection in which every bit depends on every other.
    pub fn second(self) -> u64 {
        let x = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

/// A 64-bit number brought into 0..`below`, evenly.
pub fn scale(number: u64, below: u32) -> u32 {
    ((u128::from(number) * u128::from(below)) >> 64) as u32
}

impl Affinity {
    /// The affinity of a route; `None` when its name cannot be one.
    pub fn new(wire: &wire::Affinity) -> Option<Self> {
        let key = match &wire.key {
            AffinityKey::Cookie(name) => Key::Cookie(name.clone()),
            AffinityKey::Header(name) => Key::Header(name.parse().ok()?),
            AffinityKey::Address => Key::Address,
        };
        let hash = Salted::new(&wire.salt);
        Some(Self { key, hash, window_s: u64::from(wire.window_s.max(1)) })
    }

    /// Length of a window, in seconds.
    pub fn window_s(&self) -> u64 {
        self.window_s
    }

    /// Who sent these headers from this network; and the cookie to give to a newcomer.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        network: &[u8; 16],
        rng: &mut Rng,
    ) -> (User, Option<HeaderValue>) {
        match &self.key {
            Key::Cookie(name) => match cookie(headers, name) {
                Some(value) => (self.user(value), None),
                None => self.newcomer(name, rng),
            },
            Key::Address => (self.user(network), None),
            Key::Header(name) => {
                let value = headers.get(name).map(|value| value.as_bytes().trim_ascii());
                let known = value.filter(|value| !value.is_empty());
                (known.map_or_else(|| User(rng.u64(..)), |value| self.user(value)), None)
            }
        }
    }

    fn user(&self, value: &[u8]) -> User {
        self.hash.user(value)
    }

    fn newcomer(&self, name: &str, rng: &mut Rng) -> (User, Option<HeaderValue>) {
        let id = new_id(rng);
        (self.user(id.as_bytes()), cookie_for(name, &id))
    }

    /// Adds a newcomer's cookie to the response, unless the app sets one of that name itself.
    pub fn give(&self, cookie: HeaderValue, headers: &mut HeaderMap) {
        if let Key::Cookie(name) = &self.key {
            give(name, cookie, headers);
        }
    }
}

/// Adds a cookie to a response, unless the app sets one of that name itself.
pub fn give(name: &str, cookie: HeaderValue, headers: &mut HeaderMap) {
    let sets = |value: &HeaderValue| named(value.as_bytes(), name).is_some();
    if !headers.get_all(header::SET_COOKIE).iter().any(sets) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// A name for a newcomer.
pub fn new_id(rng: &mut Rng) -> String {
    format!("{:032x}", rng.u128(..))
}

/// The cookie by which a newcomer is known from now on.
pub fn cookie_for(name: &str, id: &str) -> Option<HeaderValue> {
    let text = format!("{name}={id}; Path=/; Max-Age={COOKIE_AGE}; HttpOnly; SameSite=Lax");
    HeaderValue::from_str(&text).ok()
}

/// The value in a cookie that is given to a newcomer.
pub fn given<'a>(cookie: &'a HeaderValue, name: &str) -> Option<&'a [u8]> {
    named(cookie.as_bytes().split(|byte| *byte == b';').next()?, name)
}

/// The first value of a cookie that is not empty.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| named(pair, name).filter(|value| !value.is_empty()))
}

/// The value in `name=value`.
fn named<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
    Some(rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii())
}

#[cfg(test)]
mod tests;
