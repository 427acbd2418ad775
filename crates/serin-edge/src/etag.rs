//! When all answers are still the same.
//!
//! Over the *whole* context: a web client keeps the tag it has when only attributes other than its
//! targeting key change, and would otherwise be told that nothing is new. Over the period of the
//! stream's address too: whoever is told "nothing new" keeps an address that must still be good.

use crate::set::Set;
use http::{HeaderMap, header};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// The tag of the answers to what was sent.
pub fn of(set: Option<&Set>, parts: &[&[u8]], now_s: u64, period: u64) -> String {
    let mut hasher = DefaultHasher::new();
    let second = set.filter(|set| set.reads_time).map(|_| now_s);
    (set.map(|set| (set.name(), set.since)), second, period).hash(&mut hasher);
    parts.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Whether the client has the answers of this tag already.
pub fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let mut known = known.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    known.any(|held| {
        let held = held.trim();
        held.strip_prefix("W/").unwrap_or(held) == tag
    })
}
