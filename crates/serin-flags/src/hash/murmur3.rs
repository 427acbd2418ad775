//! MurmurHash3 x86 32 (Austin Appleby, 2011, public domain), fed piece by piece.

use super::Sink;

/// A hash under way. Its state can be copied, so a constant beginning is hashed once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Murmur3 {
    hash: u32,
    /// Bytes that do not fill a word yet, the first one lowest.
    pending: u64,
    /// Bits in `pending`: 0, 8, 16 or 24.
    bits: u32,
    /// Bytes taken so far, modulo 2^32 as the reference counts.
    length: u32,
}

impl Murmur3 {
    pub const fn new(seed: u32) -> Self {
        Self { hash: seed, pending: 0, bits: 0, length: 0 }
    }

    pub fn finish(self) -> u32 {
        let mut hash = self.hash ^ scramble(self.pending as u32) ^ self.length;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85EB_CA6B);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xC2B2_AE35);
        hash ^ hash >> 16
    }

    fn absorb(&mut self) {
        self.hash ^= scramble(self.pending as u32);
        self.hash = self.hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64);
        self.pending >>= 32;
    }
}

impl Sink for Murmur3 {
    fn put(&mut self, bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u32);
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.pending |= u64::from(u32::from_le_bytes(*word)) << self.bits;
            self.absorb();
        }
        for byte in rest {
            self.pending |= u64::from(*byte) << self.bits;
            self.bits += 8;
            if self.bits == 32 {
                self.absorb();
                self.bits = 0;
            }
        }
    }
}

fn scramble(word: u32) -> u32 {
    word.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593)
}
