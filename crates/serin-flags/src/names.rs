//! Finding a name fast: hashes of names, and a table of them.

/// A name with its hash, so that looking it up costs no hashing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub hash: u64,
    pub text: Box<str>,
}

impl Name {
    pub fn new(text: &str) -> Self {
        Self { hash: name_hash(text), text: text.into() }
    }
}

/// The longest name that its hash and length tell from all others.
pub(crate) const TOLD_BY_HASH: usize = 7;

/// A fast hash for tables whose keys were written by the owner of the flags. Whoever looks
/// something up cannot make a chain longer, so it needs no secret.
pub(crate) fn name_hash(text: &str) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut hash = (text.len() as u64) << 56;
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR).rotate_left(29);
    }
    let tail = rest.iter().rev().fold(0, |tail: u64, byte| tail << 8 | u64::from(*byte));
    // Up to seven bytes and their number fill one word, and what follows loses nothing of it: the
    // hashes of two such names are equal only if the names are.
    hash = (hash ^ tail).wrapping_mul(FACTOR);
    hash ^ hash >> 32
}

/// Whether two texts are equal. Those of usual length are compared in two overlapping pieces, which
/// is faster than calling for a comparison of any length.
#[inline]
pub(crate) fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        0..4 => a.iter().eq(b),
        4..8 => ends::<4>(a) == ends::<4>(b),
        8..=16 => ends::<8>(a) == ends::<8>(b),
        17..=32 => ends::<16>(a) == ends::<16>(b),
        _ => a == b,
    }
}

/// The first and the last `N` bytes.
fn ends<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    Some((text.first_chunk()?, text.last_chunk()?))
}

/// Places of names in a list, found by hash: open addressing, at most half full.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// (low half of the hash, place + 1), or 0 for an empty slot.
    slots: Box<[(u32, u32)]>,
}

impl Table {
    /// A table over the hashes of a list, in the list's order. At most 2^31 entries.
    pub fn new(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        let size = (hashes.len() * 2).next_power_of_two().max(2);
        let mut slots = vec![(0, 0); size].into_boxed_slice();
        for (place, hash) in hashes.enumerate() {
            let mut at = slot_of(hash, size);
            while slots[at].1 != 0 {
                at = (at + 1) & (size - 1);
            }
            slots[at] = (hash as u32, place as u32 + 1);
        }
        Self { slots }
    }

    /// The place of the entry with this hash for which `is_it` says yes.
    pub fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let size = self.slots.len();
        if size == 0 {
            return None;
        }
        let mut at = slot_of(hash, size);
        loop {
            let (low, place) = self.slots[at];
            let place = (place as usize).checked_sub(1)?;
            if low == hash as u32 && is_it(place) {
                return Some(place);
            }
            at = (at + 1) & (size - 1);
        }
    }
}

/// The upper half decides the slot, the lower half is compared.
fn slot_of(hash: u64, size: usize) -> usize {
    (hash >> 32) as usize & (size - 1)
}

#[cfg(test)]
mod tests {
    use super::{Table, name_hash, same_text};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_the_same_if_they_are_equal(a in "[ab]{0,70}", at: prop::sample::Index) {
            prop_assert!(same_text(&a, &a.clone()));
            let mut other = a.clone().into_bytes();
            let longer = a.clone() + "a";
            prop_assert!(!same_text(&a, &longer));
            if !other.is_empty() {
                other[at.index(a.len())] = b'c';
                prop_assert!(!same_text(&a, &String::from_utf8(other).unwrap()));
            }
        }

        #[test]
        fn every_name_is_found_and_no_other(names in prop::collection::btree_set("[a-d]{0,9}", 0..80)) {
            let names: Vec<String> = names.into_iter().collect();
            let table = Table::new(names.iter().map(|name| name_hash(name)));
            for (place, name) in names.iter().enumerate() {
                let found = table.find(name_hash(name), |at| names[at] == *name);
                prop_assert_eq!(found, Some(place));
            }
            prop_assert_eq!(table.find(name_hash("e"), |at| names[at] == "e"), None);
        }

        #[test]
        fn short_names_are_told_by_their_hash(a in "\\PC{0,7}", b in "\\PC{0,7}") {
            prop_assume!(a.len() <= super::TOLD_BY_HASH && b.len() <= super::TOLD_BY_HASH);
            prop_assert_eq!(a == b, name_hash(&a) == name_hash(&b));
        }
    }
}
