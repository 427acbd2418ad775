//! What is the same for many, written by the first who needs it.

use bytes::Bytes;
use std::sync::OnceLock;

/// A text that depends on `K`, kept for the first `K` that it was asked for.
pub struct Once<K>(OnceLock<(K, Bytes)>);

impl<K> Default for Once<K> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<K: PartialEq> Once<K> {
    /// The text for `of`; `write` makes it, unless it was kept.
    pub fn get(&self, of: K, write: impl FnOnce() -> Bytes) -> Bytes {
        match self.0.get() {
            Some((held, bytes)) if *held == of => bytes.clone(),
            Some(_) => write(),
            None => {
                let bytes = write();
                let _ = self.0.set((of, bytes.clone()));
                bytes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_kept_and_another_is_right_too() {
        let once = Once::default();
        let get =
            |of: u8, fresh: &'static str| once.get(of, || Bytes::from_static(fresh.as_bytes()));
        assert_eq!(get(1, "one"), "one");
        assert_eq!(get(1, "again"), "one");
        assert_eq!(get(2, "two"), "two");
        assert_eq!(get(1, "again"), "one");
    }
}
