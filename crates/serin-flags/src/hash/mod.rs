//! The hashes that put users into buckets. They must agree with everyone else's, bit for bit.

pub(crate) mod cbor;
mod md5;
mod murmur3;
#[cfg(test)]
mod tests;

pub(crate) use md5::md5_head;
pub(crate) use murmur3::Murmur3;

use std::fmt;

/// Takes bytes one piece after the other.
pub(crate) trait Sink {
    /// Takes the next piece.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Writes text into a sink.
pub(crate) struct Text<'s, S: Sink>(pub &'s mut S);

impl<S: Sink> fmt::Write for Text<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put(text.as_bytes());
        Ok(())
    }
}

/// Counts the bytes of a text that is never built.
#[derive(Default)]
pub(crate) struct Length(pub usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// The bucket of a 32-bit hash among `total` of them: all are equally wide to within one part in
/// 2^32 / total (flagd, "fractional", version 2 and later).
pub(crate) fn bucket_of(hash: u32, total: u32) -> u32 {
    ((u64::from(hash) * u64::from(total)) >> 32) as u32
}
